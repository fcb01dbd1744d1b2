"""The market: its bounds, its seed, and that its distributions are what their names say."""

from collections import Counter
from itertools import pairwise
from math import log, sqrt
from statistics import fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.events import EventMaker
from generator.market import (
    ABC,
    MIN_PRICE_TICKS,
    SECONDS_PER_DAY,
    Instrument,
    Market,
    list_instruments,
    normal_quantiles,
    volume_quantiles,
)
from trades.codec import TRADE_BATCH, decode_event
from trades.ticks import MAX_PRICE_TICKS
from trades.trade import MAX_NOTIONAL_TICKS, MAX_VOLUME


def market(instruments=ABC, seed=1, **kwargs):
    return Market(instruments, seed, **{"seconds_per_trade": 1 / 300, **kwargs})


instrument = st.builds(
    lambda price, sd, least, span: Instrument("X", price, sd, least, min(least + span, MAX_VOLUME)),
    st.integers(MIN_PRICE_TICKS, MAX_PRICE_TICKS // 100),
    st.floats(0, 1e9),
    st.integers(1, 1_000_000),
    st.integers(0, 999_000_000),
)


@given(
    st.lists(instrument, min_size=1, max_size=5),
    st.integers(),
    st.floats(1e-7, 1e9),
    st.sampled_from(["brownian", "cent_walk"]),
    st.sampled_from(["power_law", "uniform"]),
    st.floats(0, 20),
)
@settings(max_examples=25, deadline=None)
def test_every_trade_is_one_that_functions_take(instruments, seed, seconds, prices, volumes, skew):
    named = [one._replace(ticker=f"T{n}") for n, one in enumerate(instruments)]
    made = market(named, seed, seconds_per_trade=seconds, price_model=prices, volume_model=volumes, skew=skew)
    rows = made.trades(200, 1_700_000_000_000, 0.5)
    event = EventMaker("r", (one.ticker for one in named), single=False).make(rows)
    assert [tuple(trade) for trade in decode_event(TRADE_BATCH, "s", "0", event.data).trades] == rows
    bounds = {one.ticker: one for one in named}
    for ticker, ticks, volume, _ in rows:
        assert bounds[ticker].min_volume <= volume <= bounds[ticker].max_volume
        assert ticks >= MIN_PRICE_TICKS
        assert ticks * volume <= MAX_NOTIONAL_TICKS


@pytest.mark.parametrize("price_model", ["brownian", "cent_walk"])
@pytest.mark.parametrize("skew", [0.0, 1.0])
def test_the_seed_fixes_the_trades_however_they_are_timed(price_model, skew):
    def play(seed, first_ms, step_ms):
        made = market(list_instruments(["A", "B", "C", "D"], seed), seed, price_model=price_model, skew=skew)
        return [row for _ in range(10) for row in made.trades(30, first_ms, step_ms)]

    one, other = play(7, 0, 0), play(7, 1_700_000_000_000, 3.3)
    assert [row[:3] for row in one] == [row[:3] for row in other]
    assert [row[:3] for row in one] != [row[:3] for row in play(8, 0, 0)]


def test_the_trades_of_a_seed_are_for_ever():
    """People keep seeds: the same seed must mean the same trades in the next version too."""
    made = market(list_instruments(["AAPL", "MSFT", "NVDA"], 42), 42, seconds_per_trade=60)
    assert made.trades(4, 1000, 2.5) == [
        ("AAPL", 719082, 12, 1000),
        ("MSFT", 231005, 30, 1002),
        ("MSFT", 230869, 16, 1005),
        ("MSFT", 230720, 38, 1007),
    ]
    walk = market(ABC, 42, price_model="cent_walk", volume_model="uniform", skew=1.0)
    assert walk.trades(3, 1000) == [
        ("B.COM", 1239900, 19190, 1000),
        ("A.COM", 319900, 7378, 1000),
        ("A.COM", 319800, 1069, 1000),
    ]


def test_brownian_prices_spread_with_the_square_root_of_time():
    """10,000 independent symbols, a market day each: the standard deviation is that of the instrument."""
    count, trades_a_day = 2_000, 20
    instruments = [Instrument(f"S{n}", 10_000_000, 50_000.0, 1, 10) for n in range(count)]
    made = market(instruments, seconds_per_trade=SECONDS_PER_DAY / (count * trades_a_day))
    last = {ticker: ticks for ticker, ticks, _, _ in made.trades(count * trades_a_day, 0)}
    moves = [ticks - 10_000_000 for ticks in last.values()]
    assert abs(fmean(moves)) < 50_000 * 5 / sqrt(count)
    assert pstdev(moves) == pytest.approx(50_000, rel=0.1)


def test_a_symbol_that_trades_rarely_moves_as_far_as_one_that_trades_often():
    instruments = [Instrument(f"S{n}", 10_000_000, 50_000.0, 1, 10) for n in range(1_000)]
    made = market(instruments, seconds_per_trade=SECONDS_PER_DAY / 40_000, skew=0.5)
    moves = {}
    for ticker, ticks, _, _ in made.trades(40_000, 0):
        moves[ticker] = ticks - 10_000_000
    often = [moves[f"S{n}"] for n in range(300)]
    rarely = [moves[f"S{n}"] for n in range(700, 1_000) if f"S{n}" in moves]
    assert pstdev(rarely) == pytest.approx(pstdev(often), rel=0.25)


def test_the_walk_goes_one_cent_a_trade_and_stays_above_nothing():
    rows = market([Instrument("P", 300, 0.0, 1, 2)], price_model="cent_walk").trades(10_000, 0)
    prices = [ticks for _, ticks, _, _ in rows]
    assert min(prices) == MIN_PRICE_TICKS
    assert {abs(after - before) for before, after in pairwise(prices)} == {100}


def test_volumes_by_power_law_are_small_mostly_and_large_sometimes():
    volumes = [volume for _, _, volume, _ in market([ABC[0]]).trades(50_000, 0)]
    # density ~ 1/v²: P(V > v) = (1/v - 1/10001) / (1/50 - 1/10001)
    for size in (100, 500, 2_000):
        expected = (1 / size - 1 / 10_001) / (1 / 50 - 1 / 10_001)
        assert sum(volume >= size for volume in volumes) / 50_000 == pytest.approx(expected, rel=0.15)


def test_uniform_volumes_are_all_alike():
    volumes = [volume for _, _, volume, _ in market([ABC[0]], volume_model="uniform").trades(50_000, 0)]
    tenths = Counter((volume - 50) * 10 // 9_951 for volume in volumes)
    assert set(tenths) == set(range(10))
    assert all(share == pytest.approx(5_000, rel=0.1) for share in tenths.values())


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.sampled_from(["power_law", "uniform"]))
@settings(max_examples=20, deadline=None)
def test_quantiles_rise_within_their_bounds(least, span, model):
    most = min(least + span, 10**9)
    table = volume_quantiles(model, least, most)
    assert table[0] == least
    assert table[-1] <= most
    assert all(before <= after for before, after in pairwise(table[::97]))


def test_normal_quantiles_are_symmetric_with_unit_deviation():
    table = normal_quantiles()
    assert table[: len(table) // 2] == tuple(-value for value in reversed(table[len(table) // 2 :]))
    assert pstdev(table) == pytest.approx(1, abs=0.001)


def test_without_skew_symbols_trade_evenly():
    counts = Counter(row[0] for row in market(list_instruments(list("ABCDEFGHIJ"), 3), 3).trades(50_000, 0))
    assert all(count == pytest.approx(5_000, rel=0.1) for count in counts.values())


def test_skew_makes_the_nth_symbol_trade_as_one_over_n():
    instruments = [Instrument(f"S{n}", 10_000, 1.0, 1, 10) for n in range(1, 51)]
    counts = Counter(row[0] for row in market(instruments, skew=1.0).trades(100_000, 0))
    assert counts["S1"] / counts["S10"] == pytest.approx(10, rel=0.15)
    hot = Counter(row[0] for row in market(instruments, skew=6.0).trades(10_000, 0))
    assert hot["S1"] > 9_700


def test_a_symbol_begins_at_its_own_price_whatever_the_seed() -> None:
    tickers = [f"S{n}" for n in range(50)]
    one, other = list_instruments(tickers, 1), list_instruments(tickers[::-1], 2)
    assert sorted(one) == sorted(other)
    assert one != other


def test_listed_instruments_are_plausible():
    listed = list_instruments([f"S{n}" for n in range(4_000)], 1)
    dollars = sorted(one.price_ticks / 10_000 for one in listed)
    assert dollars[0] >= 1
    assert dollars[-1] <= 2_000
    assert log(dollars[2_000]) == pytest.approx(3.2, abs=0.2)
    assert all(one.price_ticks % MIN_PRICE_TICKS == 0 for one in listed)
    assert [one.ticker for one in listed] != sorted(one.ticker for one in listed)
