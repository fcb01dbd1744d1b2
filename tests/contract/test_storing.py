"""Raw trades: stored once, whole, whatever comes again."""

import time
from collections import Counter
from collections.abc import Callable

import pytest
from samples import NOON_MS, make_event, make_events, make_trades

from trades.store import StoredTrade, TradeStore
from trades.trade import Trade, TradeEvent


def stored_of(events: list[TradeEvent]) -> Counter[StoredTrade]:
    return Counter(
        StoredTrade(trade, event.source, event.id, event.place(index))
        for event in events
        for index, trade in enumerate(event.trades)
    )


def wait_for_count(store: TradeStore, count: int) -> None:
    """The count may lag by a second."""
    deadline = time.monotonic() + 5
    while store.read_stored_count() != count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert store.read_stored_count() == count


def test_a_new_store_is_empty(store: TradeStore) -> None:
    store.ping()
    assert store.read_stored_count() == 0
    assert list(store.scan_trades()) == []
    assert store.read_trades("A.COM", 10) == ([], None)


def test_a_batch_is_stored_with_every_field(store: TradeStore) -> None:
    event = make_event("e1", make_trades(1, 25))
    assert store.store_trades([event]) == ["STORED"]
    assert Counter(store.scan_trades()) == stored_of([event])
    wait_for_count(store, 25)


def test_a_single_trade_has_its_events_id(store: TradeStore) -> None:
    event = make_event("single", [Trade("A.COM", 320_000, 5, NOON_MS)], is_batch=False)
    assert store.store_trades([event]) == ["STORED"]
    (found,) = store.scan_trades()
    assert found.id == "single"
    assert found.trade == event.trades[0]


def test_a_batch_of_one_is_not_a_single_trade(store: TradeStore) -> None:
    assert store.store_trades([make_event("one", make_trades(1, 1))]) == ["STORED"]
    (found,) = store.scan_trades()
    assert found.id == "one-0"


def test_the_same_event_again_is_a_duplicate(store: TradeStore) -> None:
    event = make_event("e1", make_trades(1, 25))
    assert store.store_trades([event]) == ["STORED"]
    assert store.store_trades([event]) == ["DUPLICATE"]
    assert Counter(store.scan_trades()) == stored_of([event])
    wait_for_count(store, 25)


@pytest.mark.parametrize("count", [5, 20, 60], ids=["shorter", "equally long", "longer"])
def test_the_same_id_with_other_trades_is_a_conflict_and_changes_nothing(
    store: TradeStore, count: int
) -> None:
    event = make_event("e1", make_trades(1, 20))
    assert store.store_trades([event]) == ["STORED"]
    assert store.store_trades([make_event("e1", make_trades(2, count))]) == ["CONFLICT"]
    assert store.store_trades([event]) == ["DUPLICATE"]
    assert Counter(store.scan_trades()) == stored_of([event])


def test_a_batch_that_goes_on_where_another_ended_is_a_conflict(store: TradeStore) -> None:
    trades = make_trades(1, 40)
    event = make_event("e1", trades[:20])
    assert store.store_trades([event]) == ["STORED"]
    assert store.store_trades([make_event("e1", trades)]) == ["CONFLICT"]
    assert Counter(store.scan_trades()) == stored_of([event])


@pytest.mark.parametrize("is_batch", [True, False])
def test_a_batch_of_one_and_a_single_trade_of_one_id_are_rivals(store: TradeStore, is_batch: bool) -> None:
    """Their trades have different ids."""
    event, rival = (make_event("e1", make_trades(1, 1), is_batch=kind) for kind in (is_batch, not is_batch))
    assert store.store_trades([event]) == ["STORED"]
    assert store.store_trades([rival]) == ["CONFLICT"]
    assert store.count_trades([rival]) == ["COUNTED"]
    assert store.count_trades([event]) == ["CONFLICT"]
    assert Counter(store.scan_trades()) == stored_of([event])


def test_one_id_in_two_sources_are_two_events(store: TradeStore) -> None:
    events = [make_event("e1", make_trades(1, 5), source=source) for source in ("/a", "/b", "/a/b", "")]
    assert store.store_trades(events) == ["STORED"] * 4
    assert Counter(store.scan_trades()) == stored_of(events)


def test_source_and_id_are_not_one_string(store: TradeStore) -> None:
    events = [
        make_event(id_, make_trades(1, 5), source=source)
        for source, id_ in [("a", "b c"), ("a b", "c"), ("a", "bc"), ("ab", "c"), ("a-1", "1"), ("a", "1-1")]
    ]
    assert store.store_trades(events) == ["STORED"] * 6
    assert Counter(store.scan_trades()) == stored_of(events)


def test_an_event_twice_in_a_group_is_stored_once(store: TradeStore) -> None:
    first, second = make_events(1, 2)
    outcomes = store.store_trades([first, second, first, first])
    assert outcomes[1] == "STORED"
    assert set(outcomes) <= {"STORED", "DUPLICATE"}
    assert "STORED" in (outcomes[0], outcomes[2], outcomes[3])
    assert Counter(store.scan_trades()) == stored_of([first, second])


def test_a_conflict_within_a_group_keeps_one_of_the_two(store: TradeStore) -> None:
    rivals = [make_event("e1", make_trades(seed, 9)) for seed in (1, 2)]
    other = make_event("e2", make_trades(3, 9))
    outcomes = store.store_trades([rivals[0], other, rivals[1]])
    assert outcomes[1] == "STORED"
    assert sorted([outcomes[0], outcomes[2]]) == ["CONFLICT", "STORED"]
    winner = rivals[0] if outcomes[0] == "STORED" else rivals[1]
    assert Counter(store.scan_trades()) == stored_of([winner, other])


def test_a_group_of_new_and_old_events_is_told_apart(store: TradeStore) -> None:
    events = make_events(1, 6)
    store.store_trades(events[::2])
    rival = make_event(events[0].id, make_trades(99, 3))
    outcomes = store.store_trades([*events, rival])
    assert outcomes == ["DUPLICATE", "STORED"] * 3 + ["CONFLICT"]
    assert Counter(store.scan_trades()) == stored_of(events)


@pytest.mark.parametrize("size", [1, 2, 8, 64, 300])
def test_groups_of_any_size(store: TradeStore, size: int) -> None:
    events = make_events(size, size, trades=3)
    assert store.store_trades(events) == ["STORED"] * size
    assert store.store_trades(events) == ["DUPLICATE"] * size
    assert Counter(store.scan_trades()) == stored_of(events)


def test_a_group_of_nothing(store: TradeStore) -> None:
    assert store.store_trades([]) == []
    assert store.read_stored_count() == 0


def test_the_longest_batches_and_equal_trades(store: TradeStore) -> None:
    event = make_event("long", [Trade("A.COM", 320_000, 5, NOON_MS)] * 1_000)
    assert store.store_trades([event]) == ["STORED"]
    assert Counter(store.scan_trades()) == stored_of([event])


def test_the_largest_figures(store: TradeStore) -> None:
    trades = [Trade("BIG", 10**10, 10_000, 253_402_300_799_999), Trade("BIG", 1, 10**9, 0)]
    assert store.store_trades([make_event("big", trades)]) == ["STORED"]
    assert sorted(found.trade for found in store.scan_trades()) == sorted(trades)


def test_a_restart_keeps_every_trade(store: TradeStore, open_store: Callable[[], TradeStore]) -> None:
    events = make_events(4, 30)
    store.store_trades(events)
    store.close()
    again = open_store()
    assert Counter(again.scan_trades()) == stored_of(events)
    assert again.store_trades(events) == ["DUPLICATE"] * 30
    wait_for_count(again, 30 * 7)


def test_closing_twice_does_nothing(store: TradeStore) -> None:
    store.store_trades(make_events(1, 1))
    store.close()
    store.close()


def test_a_scan_sees_each_trade_once_while_others_come(
    store: TradeStore, open_store: Callable[[], TradeStore]
) -> None:
    """What was there when the scan began is seen once; what comes later may be, once."""
    before, after = make_events(1, 120, trades=50), make_events(2, 700, trades=50)
    store.store_trades(before[:60])
    store.store_trades(before[60:])
    writer = open_store()
    seen: Counter[StoredTrade] = Counter()
    for number, found in enumerate(store.scan_trades()):
        if number % 1_000 == 0:
            group = [after.pop() for _ in range(min(100, len(after)))]
            writer.store_trades(group)
        seen[found] += 1
    assert stored_of(before) <= seen
    assert set(seen.values()) == {1}
