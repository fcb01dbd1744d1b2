"""A ticker that trades without end: CONTRACT_BIG=1 takes a million trades, else fifty thousand."""

import os
import random

import pytest
from samples import NOON_MS, make_event

from trades.store import TradeStore
from trades.summary import tally_events
from trades.trade import Trade, TradeEvent

TRADES = 1_000_000 if os.environ.get("CONTRACT_BIG") == "1" else 50_000
TRADES_PER_EVENT = 500
EVENTS_PER_GROUP = 20


def make_group(start: int, price_count: int) -> list[TradeEvent]:
    rng = random.Random(start)
    events = []
    for number in range(start, start + EVENTS_PER_GROUP):
        first_ms = NOON_MS + number * TRADES_PER_EVENT // 40
        trades = [
            Trade(
                "HOT", 1_000_000 + rng.randrange(price_count), rng.randrange(1, 500), first_ms + index // 40
            )
            for index in range(TRADES_PER_EVENT)
        ]
        events.append(make_event(f"e{number}", trades))
    return events


@pytest.mark.timeout(900)
@pytest.mark.parametrize("price_count", [100, 40_000], ids=["a hundred prices", "forty thousand prices"])
def test_counts_stay_exact(store: TradeStore, price_count: int) -> None:
    expected = None
    for start in range(0, TRADES // TRADES_PER_EVENT, EVENTS_PER_GROUP):
        group = make_group(start, price_count)
        assert store.count_trades(group) == ["COUNTED"] * EVENTS_PER_GROUP
        tally = tally_events(group)["HOT"]
        expected = tally if expected is None else expected.merge(tally)
    assert expected is not None
    assert expected.summary.trade_count == TRADES
    assert store.read_summary("HOT") == expected.summary
    assert store.read_levels("HOT") == expected.levels
    assert store.count_trades(make_group(0, price_count)) == ["DUPLICATE"] * EVENTS_PER_GROUP


@pytest.mark.timeout(900)
def test_drill_down_stays_exact(store: TradeStore) -> None:
    for start in range(0, TRADES // TRADES_PER_EVENT, EVENTS_PER_GROUP):
        assert store.store_trades(make_group(start, 100)) == ["STORED"] * EVENTS_PER_GROUP
    newest = sorted(
        (trade for event in group_at_the_end() for trade in event.trades),
        key=lambda t: t.time_ms,
        reverse=True,
    )
    found, cursor = [], None
    for _ in range(3):
        trades, cursor = store.read_trades("HOT", 100, cursor)
        found += [stored.trade for stored in trades]
    assert [trade.time_ms for trade in found] == [trade.time_ms for trade in newest[:300]]
    assert len(set(found)) > 250
    assert sum(1 for _ in store.scan_trades()) == TRADES


def group_at_the_end() -> list[TradeEvent]:
    return make_group(TRADES // TRADES_PER_EVENT - EVENTS_PER_GROUP, 100)
