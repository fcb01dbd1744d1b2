"""Rows of CSV and NDJSON files, and files as they are found: packed, odd, damaged."""

import gzip
import io
import sys
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.files import BadFile, fingerprint, open_file
from generator.rows import MAX_LINE_BYTES, TimestampUnit, TradeFile

ROW = {"ticker": "A", "price": "32.1", "volume": 100, "timestamp": 1_700_000_000_000}
CSV = b"ticker,price,volume,timestamp\nA,32.1,100,1700000000000\n"


def read(text, unit=None):
    content = text if isinstance(text, bytes) else text.encode()
    file = TradeFile(io.BytesIO(content), len(content), unit)
    return [(number, parse(file, line)) for number, line in file.lines]


def parse(file, line):
    try:
        return file.parse(line)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    "text",
    [
        CSV.decode(),
        CSV.decode().replace("\n", "\r\n"),
        "\ufeff" + CSV.decode(),
        "timestamp,size,price,symbol\n1700000000000,100,32.1,A\n",
        "Time,note,Quantity,PRICE,Ticker\n1700000000000,x,100,32.1,A",
        "ticker;price;volume;timestamp\nA;32.1;100;1700000000000\n",
        "ticker\tprice\tvolume\ttimestamp\nA\t32.1\t100\t1700000000000\n",
        '"ticker","price","volume","timestamp"\n"A","32.1","100","1700000000000"\n',
        'note,ticker,price,volume,timestamp\n"one, two",A,32.1,100,1700000000000\n',
        " ticker , price , volume , timestamp \n A , 32.1 , 100 , 1700000000000 \n",
    ],
)
def test_csv_in_its_usual_shapes(text):
    assert read(text) == [(2, ROW)]


@pytest.mark.parametrize(
    "line",
    [
        '{"ticker":"A","price":"32.1","volume":100,"timestamp":1700000000000}',
        '{"symbol":"A","price":32.1,"quantity":100,"time":1700000000000,"other":{"x":[1]}}',
        '{"symbol":"A","price":32.1,"size":"100","time":"1700000000000"}',
    ],
)
def test_ndjson_in_its_usual_shapes(line):
    assert read(line + "\n") == [(1, ROW)]
    assert read("\ufeff" + line + "\n\n" + line) == [(1, ROW), (3, ROW)]


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("1700000000", "s", 1_700_000_000_000),
        ("1700000000.1239", "s", 1_700_000_000_123),
        ("1700000000123", "ms", 1_700_000_000_123),
        ("1700000000123.9", None, 1_700_000_000_123),
        ("1700000000123456", "us", 1_700_000_000_123),
        ("1700000000123456789", "ns", 1_700_000_000_123),
        ("86400000", "ms", 86_400_000),
        ("2026-01-31T09:30:00Z", None, "2026-01-31T09:30:00Z"),
        ("2026-01-31T09:30:00Z", "s", "2026-01-31T09:30:00Z"),
    ],
)
def test_timestamps(text, unit, expected):
    unit = unit and TimestampUnit(unit)
    [(_, csv_row)] = read(f"ticker,price,volume,time\nA,1,1,{text}\n", unit)
    assert csv_row["timestamp"] == expected
    [(_, json_row)] = read(f'{{"ticker":"A","price":1,"volume":1,"time":"{text}"}}', unit)
    assert json_row["timestamp"] == expected


@pytest.mark.parametrize("number", ["1700000000", "1700000000123456", "1700000000123456789", "0"])
def test_a_number_that_cannot_be_ms_is_not_guessed_at(number):
    [(_, reason)] = read(f"ticker,price,volume,time\nA,1,1,{number}\n")
    assert "--timestamp-unit" in reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A,32.1,100", "3 columns, where the header has 4"),
        ("A,32.1,100,1700000000000,", "5 columns"),
        ("A,32.1,12.5,1700000000000", "volume must be a whole number, not '12.5'"),
        ("A,32.1,-5,1700000000000", "volume must be"),
        ("A,32.1,,1700000000000", "volume must be"),
        ("A,32.1,1_000,1700000000000", "volume must be"),
        ("A,32.1,\u0663,1700000000000", "volume must be"),
        ('A,"32.1,100,1700000000000', "not CSV"),
        ("A,32.1,1," + "9" * MAX_LINE_BYTES, f"longer than {MAX_LINE_BYTES} bytes"),
    ],
)
def test_a_broken_csv_row_costs_only_itself(line, reason):
    header, good = CSV.decode().splitlines()
    rows = read(f"{header}\n{good}\n{line}\n{good}\n")
    assert [rows[0], rows[2]] == [(2, ROW), (4, ROW)]
    assert reason in rows[1][1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"ticker":"A"', "not a JSON object"),
        ("[1]", "not a JSON object"),
        ('{"ticker":5,"price":1,"volume":1,"time":1700000000000}', "not a JSON object with the fields"),
        ('{"ticker":"A","price":1,"time":1700000000000}', "volume must be a whole number, not ''"),
        ('{"ticker":"A","price":1,"volume":null,"time":1700000000000}', "not 'null'"),
        ('{"ticker":"A","x":' + "[" * 10_000, "not a JSON object"),
    ],
)
def test_a_broken_json_row_costs_only_itself(line, reason):
    good = '{"ticker":"A","price":"32.1","volume":100,"timestamp":1700000000000}'
    rows = read(f"{good}\n{line}\n{good}\n")
    assert [rows[0], rows[2]] == [(1, ROW), (3, ROW)]
    assert reason in rows[1][1]


def test_bytes_that_are_no_text_cost_only_their_row():
    rows = read(CSV + b"\xff\xfe,1,1,1700000000000\n" + CSV.splitlines()[1])
    assert [number for number, row in rows if row == ROW] == [2, 4]
    assert "utf-8" in rows[1][1]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", "ticker or symbol"),
        ("A,32.1,100,1700000000000\n", "ticker or symbol"),
        ("ticker,price,timestamp\n", "volume or quantity or size"),
        ("symbol;price;size\n", "timestamp or time"),
    ],
)
def test_a_file_without_a_header_says_what_a_header_is(text, missing):
    with pytest.raises(BadFile, match=f"no column {missing}: .*ticker,price,volume,timestamp"):
        read(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_reasons(noise):
    for number, row in read(CSV + noise):
        assert number >= 2
        assert isinstance(row, dict | str)


def test_what_is_added_to_a_file_later_is_not_read():
    file = TradeFile(io.BytesIO(CSV + b"B,1,1,1\n"), len(CSV))
    assert [file.parse(line) for _, line in file.lines] == [ROW]
    assert file.fraction == 1.0


def test_packed_files_have_the_fingerprint_of_their_content(tmp_path):
    (tmp_path / "plain").write_bytes(CSV)
    (tmp_path / "packed").write_bytes(gzip.compress(CSV))
    (tmp_path / "other").write_bytes(CSV + b"\n")
    assert fingerprint(tmp_path / "plain") == fingerprint(tmp_path / "packed")
    assert fingerprint(tmp_path / "plain").digest != fingerprint(tmp_path / "other").digest


def test_zstd_files_are_read_like_the_others(tmp_path):
    zstd = pytest.importorskip(
        "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd",
        reason="zstd files need Python 3.14 or backports.zstd",
    )
    (tmp_path / "plain").write_bytes(CSV)
    (tmp_path / "packed").write_bytes(zstd.compress(CSV))
    assert fingerprint(tmp_path / "packed") == fingerprint(tmp_path / "plain")
    (tmp_path / "damaged").write_bytes(zstd.compress(CSV * 1000)[:-9])
    with pytest.raises(BadFile, match="damaged"):
        fingerprint(tmp_path / "damaged")


@pytest.mark.skipif(
    sys.version_info >= (3, 14) or find_spec("backports") is not None, reason="this Python reads zstd files"
)
def test_without_zstd_the_message_says_what_to_install(tmp_path):
    (tmp_path / "packed").write_bytes(b"\x28\xb5\x2f\xfd....")
    with pytest.raises(BadFile, match=r"pip install backports\.zstd"):
        open_file(tmp_path / "packed")


def test_a_damaged_file_is_refused_before_anything_is_sent(tmp_path):
    packed = gzip.compress(CSV * 1000)
    for name, content in {"short": packed[:-20], "wrong": packed[:40] + b"\x00" * 40 + packed[80:]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadFile, match="damaged"):
            fingerprint(tmp_path / name)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(BadFile, match="is not a file"):
        open_file(tmp_path)
    with pytest.raises(BadFile, match="there is no file"):
        open_file(tmp_path / "none")
