"""Tallies in bounded memory are what they would be in any; differences are described."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trades.store import StoredTrade
from trades.summary import Latest, PriceLevel, Summary, Tally
from trades.trade import SINGLE, Trade
from trades.verify import HASH_END, Part, compare, hash_ticker, merge_part, tally_ticker, to_tally
from tradewind.checks import tallies as tallying
from tradewind.checks.tallies import NoRoom, tally_all

tickers = st.text("ABCDEF", min_size=1, max_size=3)
stored_trades = st.lists(
    st.builds(
        lambda ticker, price, volume, time_ms, number: StoredTrade(
            Trade(ticker, price, volume, time_ms), "/s", f"e{number}", SINGLE
        ),
        tickers,
        st.integers(1, 30),
        st.integers(1, 100),
        st.integers(0, 5),
        st.integers(0, 10**6),
    ),
    max_size=80,
)


def brute(trades: list[StoredTrade], ticker: str) -> tuple[int, int, int, int, int, int]:
    mine = [stored.trade for stored in trades if stored.trade.ticker == ticker]
    prices = [trade.price_ticks for trade in mine]
    return (
        len(mine),
        sum(trade.volume for trade in mine),
        sum(trade.volume * trade.price_ticks for trade in mine),
        max(prices),
        min(prices),
        max(trade.time_ms for trade in mine),
    )


def check_parts(parts: list[Part], trades: list[StoredTrade]) -> None:
    """They cover each ticker once, in order, and hold what their trades add up to."""
    assert [part.start for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert parts[-1].end == HASH_END
    found: dict[str, Tally] = {}
    for part in parts:
        assert all(part.covers(ticker) for ticker in part.tallies)
        assert not part.tallies.keys() & found.keys()
        found |= part.tallies
    assert found.keys() == {stored.trade.ticker for stored in trades}
    for ticker, tally in found.items():
        summary = tally.summary
        assert brute(trades, ticker) == (
            summary.trade_count,
            summary.volume,
            summary.notional_ticks,
            summary.highest_ticks,
            summary.lowest_ticks,
            summary.latest.time_ms,
        )
        assert tally_ticker(stored for stored in trades if stored.trade.ticker == ticker) == tally


@given(stored_trades, st.integers(1, 40))
def test_parts_cover_each_ticker_once_and_keep_to_their_bound(
    trades: list[StoredTrade], max_levels: int
) -> None:
    parts = list(tally_all(iter(trades), max_levels))
    check_parts(parts, trades)
    for part in parts:
        levels = sum(len(tally.levels) for tally in part.tallies.values())
        assert levels <= max_levels or len({hash_ticker(ticker) for ticker in part.tallies}) == 1


@given(stored_trades, st.integers(1, 40))
def test_a_part_that_is_too_large_is_cut(trades: list[StoredTrade], max_levels: int) -> None:
    def pieces() -> Iterator[tuple[str, Tally]]:
        for stored in trades:
            tally = tally_ticker([stored])
            assert tally is not None
            yield stored.trade.ticker, tally

    parts = [merge_part(pieces(), 0, HASH_END, max_levels)]
    while parts[-1].end < HASH_END:
        parts.append(merge_part(pieces(), parts[-1].end, HASH_END, max_levels))
    check_parts(parts, trades)
    assert len(parts) <= len({stored.trade.ticker for stored in trades}) + 1


def test_sums_of_any_size_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though no summary has room for them, and no binary format of integers either."""
    monkeypatch.setattr(tallying, "MAX_LEVELS", 1)
    trade = StoredTrade(Trade("DEAR", 2**62, 2**62, 1), "/s", "e", SINGLE)
    tallies = {ticker: tally for part in tally_all([trade] * 3) for ticker, tally in part.tallies.items()}
    assert tallies == {"DEAR": tally_ticker([trade] * 3)}


def test_a_full_disk_is_said_to_be_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallying, "TemporaryFile", lambda **_: Path("/dev/full").open("wb"))  # noqa: SIM115
    trade = StoredTrade(Trade("T", 1, 1, 1), "/s", "e", SINGLE)
    with pytest.raises(NoRoom, match=r"No space left on device.*TMPDIR"):
        list(tally_all([trade] * 3, 1))


LATEST = Latest(5, "e1", 20_000)
TALLY = Tally(Summary(2, 30, 600_000, 20_000, 20_000, LATEST), {20_000: PriceLevel(2, 30, 5)})


def test_equal_ones_do_not_differ() -> None:
    assert compare("A", TALLY, to_tally(TALLY.summary, dict(TALLY.levels))) is None
    assert compare("A", None, to_tally(None, {})) is None


def test_each_figure_that_differs_is_named_in_dollars_and_shares() -> None:
    wrong = Tally(Summary(1, 10, 200_000, 20_000, 20_000, LATEST), {20_000: PriceLevel(1, 10, 5)})
    difference = compare("A", TALLY, wrong)
    assert difference is not None
    assert difference.describe() == [
        "trade_count 2 stored, 1 counted",
        "volume 30 stored, 10 counted",
        "notional 60.0000 stored, 20.0000 counted",
        "1 price level, at 2.0000: volume 30 stored, 10 counted",
    ]


def test_the_latest_trade_is_written_for_people() -> None:
    later = Latest(1_795_878_943_951, "1137-25", 757_425)
    wrong = Tally(Summary(2, 30, 600_000, 757_425, 20_000, later), TALLY.levels)
    difference = compare("A", TALLY, wrong)
    assert difference is not None
    assert difference.describe() == [
        "highest 2.0000 stored, 75.7425 counted",
        "latest 1970-01-01T00:00:00.005Z at 2.0000 (e1) stored, "
        "2026-11-28T15:15:43.951Z at 75.7425 (1137-25) counted",
    ]


def test_a_level_alone_is_enough_to_differ() -> None:
    more = Tally(TALLY.summary, {**TALLY.levels, 30_000: PriceLevel(1, 1, 1)})
    difference = compare("A", TALLY, more)
    assert difference is not None
    assert difference.describe() == ["1 price level, at 3.0000: volume 0 stored, 1 counted"]


def test_one_side_only() -> None:
    stored_only, counted_only = compare("A", TALLY, None), compare("A", None, TALLY)
    assert stored_only is not None
    assert counted_only is not None
    assert stored_only.describe() == ["2 trades stored, none counted"]
    assert counted_only.describe() == ["counted, but no trade of it is stored"]


def test_levels_without_a_summary_differ_from_nothing() -> None:
    assert compare("A", None, to_tally(None, TALLY.levels)) is not None
