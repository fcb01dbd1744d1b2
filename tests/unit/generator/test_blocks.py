"""Blocks of a file: the same whatever surrounds them, bad rows left out in their place."""

import io

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.blocks import MAX_ROWS, BadRows, cut_blocks, rows_per_block
from generator.rows import TradeFile
from trades.codec import TRADE_BATCH, decode_event

HEADER = "ticker,price,volume,timestamp\n"
TIME = 1_700_000_000_000
BAD_LINES = [f"A,0,1,{TIME}", f"A,1,0,{TIME}", f"A,1.00001,1,{TIME}", "A,1,1,yesterday", "A"]


def cut(text, size=10, first=0, output=None):
    content = text.encode()
    bad_rows = BadRows(output)
    return list(cut_blocks(TradeFile(io.BytesIO(content), len(content)), size, first, bad_rows)), bad_rows


def line(n):
    return f"T{n},{n + 1}.25,{n + 1},{TIME + n}"


@given(st.lists(st.one_of(st.just(None), st.sampled_from(BAD_LINES)), max_size=60), st.integers(1, 12))
@settings(deadline=None)
def test_bad_rows_are_left_out_and_the_rest_stays_in_its_block(kinds, size):
    lines = [line(n) if kind is None else kind for n, kind in enumerate(kinds)]
    blocks, bad_rows = cut(HEADER + "\n".join(lines), size)
    expected = [
        [f"T{n}" for n, kind in enumerate(kinds) if kind is None and n // size == number]
        for number in range(-(-len(kinds) // size))
    ]
    assert [[trade.ticker for trade in block.trades] for block in blocks] == expected
    assert [block.number for block in blocks] == list(range(len(expected)))
    assert bad_rows.count == sum(kind is not None for kind in kinds)


@given(st.integers(0, 8))
def test_a_later_start_gives_the_same_blocks(first):
    text = HEADER + "\n".join(line(n) if n % 7 else "bad" for n in range(75))
    assert cut(text, first=first)[0] == cut(text)[0][first:]


def test_data_are_the_trades():
    for block in cut(HEADER + "\n".join(line(n) for n in range(25)))[0]:
        assert decode_event(TRADE_BATCH, "s", str(block.number), block.data).trades == block.trades


def test_each_bad_row_is_told_with_its_line_and_reason():
    output = io.BytesIO()
    cut(HEADER + "\n" + line(0) + "\n" + "\n".join(BAD_LINES), output=output)
    told = [msgspec.json.decode(entry) for entry in output.getvalue().splitlines()]
    assert sorted(entry["line"] for entry in told) == [4, 5, 6, 7, 8]
    reasons = {entry["line"]: entry["reason"] for entry in told}
    assert reasons[4] == "price must be greater than 0"
    assert reasons[5].startswith("volume must be a whole number")
    assert reasons[6] == "price must have at most 4 decimal places"
    assert "RFC3339" in reasons[7]
    assert reasons[8] == "1 columns, where the header has 4"


@pytest.mark.parametrize(
    ("size_bytes", "rows"),
    [(0, 1), (1_000, 1), (32_768, 2), (1 << 20, 64), (8 << 20, MAX_ROWS), (1 << 40, MAX_ROWS)],
)
def test_the_cut_of_a_file_is_for_ever(size_bytes, rows):
    """A file sent by an older version must meet the same ids: these figures never change."""
    assert rows_per_block(size_bytes) == rows
