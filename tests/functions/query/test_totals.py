"""Totals."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.query.rate import RateMeter
from functions.query.table import REFRESH_INTERVAL_MS
from trades.store import DeadLetter

Read = Callable[..., dict[str, Any]]


def test_nothing_yet(read: Read) -> None:
    assert read("/v1/totals") == {
        "tickers": 0,
        "trades_counted": 0,
        "trades_stored": 0,
        "volume": 0,
        "value": "0.0000",
        "latest_trade_time": None,
        "trades_per_second": None,
        "dead_letters_waiting": 0,
        "server_time": "2026-01-31T09:30:00.250Z",
    }


def test_sums(feed, clock, read: Read) -> None:
    feed("A", 10_000, 10, 1_000)
    feed("B", 25_000, 2, 2_000)
    feed("A", 10_001, 1, 1_500)
    totals = read("/v1/totals")
    assert (totals["tickers"], totals["trades_counted"], totals["trades_stored"]) == (2, 3, 3)
    assert (totals["volume"], totals["value"]) == (13, "16.0001")
    assert totals["latest_trade_time"] == "1970-01-01T00:00:02.000Z"
    clock.advance(7)
    assert read("/v1/totals")["server_time"] == "2026-01-31T09:30:00.257Z"


def test_the_rate_needs_two_looks(feed, clock, read: Read) -> None:
    feed("A", 10_000)
    assert read("/v1/totals")["trades_per_second"] is None
    for _ in range(10):
        feed("A", 10_000)
    clock.advance(2_000)
    assert read("/v1/totals")["trades_per_second"] == 5.0
    clock.advance(60_000)
    assert read("/v1/totals")["trades_per_second"] is None


def test_waiting_dead_letters_are_counted(store, clock, read: Read) -> None:
    for number in range(101):
        store.add_dead_letters([DeadLetter(f"{number:032x}", number, {}, b"", "", "", "", 0)])
        if number == 2:
            assert read("/v1/totals")["dead_letters_waiting"] == 3
    clock.advance(REFRESH_INTERVAL_MS)
    assert read("/v1/totals")["dead_letters_waiting"] == 101


@given(
    steps=st.lists(st.tuples(st.integers(100, 3_000), st.integers(0, 1_000)), min_size=1, max_size=300),
)
def test_a_rate_is_between_the_slowest_and_the_fastest(steps: list[tuple[int, int]]) -> None:
    meter, now_ms, count = RateMeter(), 0, 0
    meter.add(now_ms, count)
    rates = []
    for elapsed_ms, added in steps:
        now_ms, count = now_ms + elapsed_ms, count + added
        rates.append(added * 1_000 / elapsed_ms)
        meter.add(now_ms, count)
        rate = meter.per_second()
        assert rate is None or min(rates) - 0.1 <= rate <= max(rates) + 0.1
    assert (meter.per_second() is None) == (sum(ms for ms, _ in steps) < 1_000)


def test_a_clock_set_back_starts_the_rate_anew() -> None:
    meter = RateMeter()
    meter.add(100_000, 5)
    meter.add(50_000, 10)
    assert meter.per_second() is None
    meter.add(51_000, 12)
    assert meter.per_second() == pytest.approx(2.0)
