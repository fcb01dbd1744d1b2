"""Record keys and planned operations of the Aerospike adapter, without a server."""

from typing import Any

import aerospike
from hypothesis import given
from hypothesis import strategies as st

from trades.stores.aerospike import Names
from trades.stores.aerospike.groups import MAX_EVENTS, MAX_TRADES, cut
from trades.stores.aerospike.layout import (
    TIME_BITS,
    band_of,
    drill_base,
    event_prefix,
    parse_trade_key,
)
from trades.stores.aerospike.plan import MARK, fold_levels, plan_group
from trades.stores.aerospike.room import LARGEST
from trades.stores.aerospike.summaries import merge_summaries, parse_summary
from trades.summary import Tally, tally_events
from trades.trade import Trade, TradeEvent

NAMES = Names()
words = st.text(min_size=1, max_size=12)
tickers = st.sampled_from(["A", "A-1", "A-1-b1", "é", "-", "A-1-bands", "A-bands"])
trades = st.builds(
    Trade, tickers, st.integers(1, 600) | st.integers(1, 10**10), st.integers(1, 10**4), st.integers(0, 5)
)


def make_event(number: int, made: list[Trade], is_batch: bool = True) -> TradeEvent:
    return TradeEvent.of("/s", str(number), made, is_batch=is_batch)


def run(operations: list[dict[str, Any]], bins: dict[str, Any]) -> None:
    """What the server does with the operations that plans are made of."""
    for operation in operations:
        name, value = operation["bin"], operation.get("val")
        match operation["op"]:
            case aerospike.OPERATOR_INCR:
                bins[name] = bins.get(name, 0) + value
            case aerospike.OP_LIST_APPEND:
                bins[name] = sorted([*bins.get(name, []), value])
            case aerospike.OP_LIST_REMOVE_BY_INDEX_RANGE:
                bins[name] = [bins[name][operation["index"]]]
            case aerospike.OP_MAP_PUT_ITEMS:
                assert name in ("bands", "pages") or not bins.get(name, {}).keys() & value.keys()
                bins.setdefault(name, {}).update(value)
            case other:
                raise AssertionError(f"operation {other} is not planned for")


@given(st.lists(st.lists(st.lists(trades, min_size=1, max_size=5), min_size=1, max_size=4), max_size=4))
def test_records_add_up_to_the_tallies(groups: list[list[list[Trade]]]) -> None:
    """Whatever the groups, and the shards that they go to."""
    records: dict[str, dict[str, Any]] = {}
    events: list[TradeEvent] = []
    for shard, group in enumerate(groups, 1):
        made = [make_event(len(events) + at, trades) for at, trades in enumerate(group)]
        events += made
        for plan in plan_group(NAMES, shard, made):
            run(plan.write.ops, records.setdefault(plan.name, {}))
            assert plan.is_index or plan.marks.keys() <= {event.key for event in made}
    for ticker, tally in tally_events(events).items():
        shards = range(1, len(groups) + 1)
        parts = [parse_summary(records.get(NAMES.summary(ticker, shard)[2], {})) for shard in shards]
        summary = merge_summaries(parts)
        levels = {}
        for price in tally.levels:
            keys = [NAMES.levels(ticker, shard, band_of(price))[2] for shard in shards]
            added = [entry for key in keys for entry in records.get(key, {}).get("marks", {}).values()]
            levels[price] = fold_levels({}, added)[price]
        assert summary is not None
        assert Tally(summary, levels) == tally


@given(st.lists(trades, min_size=1, max_size=20))
def test_every_record_of_an_event_bears_its_mark(made: list[Trade]) -> None:
    event = make_event(1, made)
    for plan in plan_group(NAMES, 1, [event]):
        assert plan.is_index or list(plan.marks) == [event.key]
    summaries = [plan for plan in plan_group(NAMES, 1, [event]) if plan.notional]
    assert all(plan.marks[event.key] == MARK for plan in summaries)
    assert sum(plan.notional for plan in summaries) == sum(t.price_ticks * t.volume for t in made)


def test_bands_that_are_named_are_not_named_again() -> None:
    event = make_event(1, [Trade("A", 5, 1, 1), Trade("A", 5_000, 1, 1)])
    named = {NAMES.levels("A", 3, band_of(price))[2] for price in (5, 5_000)}
    assert [plan.is_index for plan in plan_group(NAMES, 3, [event], named)] == [False] * 3
    assert sum(plan.is_index for plan in plan_group(NAMES, 3, [event])) == 2


@given(words, words, st.integers(0, 999))
def test_a_trade_key_gives_back_its_event(source: str, event_id: str, index: int) -> None:
    key = NAMES.trade(event_prefix(source, event_id), index)[2]
    assert "\0" not in key
    assert parse_trade_key(key) == (source, event_id, index)


@given(tickers, tickers, st.integers(1, 12), st.integers(1, 12), st.integers(0, 12), st.integers(0, 12))
def test_record_keys_never_meet(
    first: str, second: str, shard: int, other_shard: int, band: int, other_band: int
) -> None:
    def keys(ticker: str, shard: int, band: int) -> dict[str, tuple[object, ...]]:
        return {
            NAMES.summary(ticker, shard)[2]: ("summary", ticker, shard),
            NAMES.levels(ticker, shard, band)[2]: ("levels", ticker, shard, band),
            NAMES.pages(ticker, shard)[2]: ("pages", ticker, shard),
            NAMES.bands(ticker, shard, band)[2]: ("bands", ticker, shard, band),
        }

    mine, others = keys(first, shard, band), keys(second, other_shard, other_band)
    assert len(mine) == len(others) == 4
    for key in mine.keys() & others.keys():
        assert mine[key] == others[key]


@given(tickers, st.integers(0, 253_402_300_799_999))
def test_drill_values_keep_the_order_of_time(ticker: str, time_ms: int) -> None:
    value = drill_base(ticker) | time_ms
    assert drill_base(ticker) <= value <= LARGEST
    assert value - drill_base(ticker) == time_ms < 1 << TIME_BITS


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 1_000)), max_size=120))
def test_groups_are_bounded_and_hold_no_event_twice(shapes: list[tuple[int, int]]) -> None:
    trade = Trade("A", 1, 1, 1)
    events = [TradeEvent("/s", str(number), [trade] * size, b"", True) for number, size in shapes]
    groups = list(cut(events))
    assert [place for group in groups for place in group] == list(range(len(events)))
    for group in groups:
        assert len({events[place].key for place in group}) == len(group) <= MAX_EVENTS
        assert sum(len(events[place].trades) for place in group) <= MAX_TRADES
