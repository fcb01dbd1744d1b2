"""Fewer shards, or more, while others write and read. A store without shards has nothing to do."""

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from places import open_place
from samples import check_counted, make_event, make_events, make_trades, read_tally

from trades.store import TradeStore
from trades.summary import tally_events
from trades.trade import Trade, TradeEvent

TICKERS = ["A.COM", "A-1", "HOT"]
WRITERS = 6

OpenStore = Callable[[], TradeStore]


class BrokenOff(Exception):
    """Where a process would have ended."""


def count_in_many_shards(open_store: OpenStore, events: Sequence[TradeEvent]) -> None:
    """By many workers, each of which has chosen a shard."""
    stores = [open_store() for _ in range(8)]
    for event, store in zip(events, itertools.cycle(stores)):
        assert store.count_trades([event]) == ["COUNTED"]


@pytest.mark.parametrize("counts", [[3], [1], [10], [25], [3, 2, 1], [1, 12], [2, 5, 3, 8]])
def test_nothing_is_lost_and_counting_goes_on(
    store: TradeStore, open_store: OpenStore, counts: list[int]
) -> None:
    events = make_events(1, 60, tickers=TICKERS)
    count_in_many_shards(open_store, events[:40])
    old = open_store()
    assert old.count_trades(events[40:41]) == ["COUNTED"]
    for shard_count in counts:
        done = store.reshard(shard_count)
        assert done is None or len(done.shards) == shard_count
        check_counted(store, events[:41])
        check_counted(old, events[:41])
    assert old.count_trades(events[38:50]) == ["DUPLICATE"] * 3 + ["COUNTED"] * 9
    assert open_store().count_trades(events[48:]) == ["DUPLICATE"] * 2 + ["COUNTED"] * 10
    for reader in (store, old, open_store()):
        check_counted(reader, events)
    store.reshard(counts[-1])
    check_counted(open_store(), events)


def test_others_on_the_same_server_are_not_touched(new_place: Callable[[], str]) -> None:
    mine, others = [partial(open_place, new_place()) for _ in range(2)]
    events = make_events(1, 40, tickers=TICKERS)
    counted_by_others = make_events(2, 60, tickers=TICKERS)
    count_in_many_shards(mine, events)
    count_in_many_shards(others, counted_by_others)
    mine().reshard(3)
    check_counted(others(), counted_by_others)
    check_counted(mine(), events)


def test_in_numbers(store: TradeStore, open_store: OpenStore) -> None:
    """Numbers that were folded away are not used again."""
    count_in_many_shards(open_store, make_events(1, 30))
    done = store.reshard(3)
    if done is None:
        return
    assert done.shards == [1, 2, 3]
    assert done.folded_records > 0
    assert store.reshard(3) == ([1, 2, 3], 0)
    assert store.reshard(5) == ([1, 2, 3, 11, 12], 0)
    assert store.reshard(4) == ([1, 2, 3, 11], 0)


def test_while_workers_deliver_the_same_events_and_others_read(
    store: TradeStore, open_store: OpenStore
) -> None:
    """Events of ten equal trades: a reader sees a count of tens, with all that was done before, once.

    What is not done yet it may see or not: a worker that finds its shard closed begins again in another.
    """
    events = [
        make_event(f"e{n}", [trade for trade in make_trades(n, 2, TICKERS) for _ in range(10)])
        for n in range(240)
    ]
    stores = [open_store() for _ in range(WRITERS)]
    finished = threading.Event()
    has_read = threading.Event()
    begun: dict[bytes, int] = {}  # trades of the ticker that is read, by event
    done: dict[bytes, int] = {}
    counts: list[tuple[int, int, int]] = []  # at least so many, so many, at most so many

    def deliver(number: int) -> None:
        """A third of all events, each of which two workers have; between them the reader gets its turn."""
        mine = [
            event for place, event in enumerate(events) if place % WRITERS in (number, (number + 1) % WRITERS)
        ]
        for start in range(0, len(mine), 4):
            waiting = mine[start : start + 4]
            hot = {event.key: sum(trade.ticker == "HOT" for trade in event.trades) for event in waiting}
            begun.update(hot)
            while waiting:
                outcomes = stores[number].count_trades(waiting)
                assert set(outcomes) <= {"COUNTED", "DUPLICATE", "UNAVAILABLE"}
                for event, said in zip(waiting, outcomes, strict=True):
                    if said != "UNAVAILABLE":
                        done[event.key] = hot[event.key]
                waiting = [
                    event for event, said in zip(waiting, outcomes, strict=True) if said == "UNAVAILABLE"
                ]
            has_read.clear()
            assert has_read.wait(timeout=60)

    def read() -> None:
        reader = open_store()
        while not finished.is_set():
            least = sum(list(done.values()))
            summary = reader.read_summary("HOT")
            counts.append((least, summary.trade_count if summary else 0, sum(list(begun.values()))))
            has_read.set()

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        reading = pool.submit(read)
        writing = [pool.submit(deliver, number) for number in range(WRITERS)]
        try:
            for shard_count in (7, 4, 6, 1, 3):
                store.reshard(shard_count)
            for future in writing:
                future.result()
        finally:
            finished.set()
        reading.result()
    check_counted(open_store(), events)
    assert len({count for _, count, _ in counts}) >= 3, "the reader has seen too little to say anything"
    assert [found for found in counts if not found[0] <= found[1] <= found[2]] == []
    assert {count % 10 for _, count, _ in counts} <= {0}


@pytest.mark.parametrize("records", [1, 7, 40, 100])
def test_broken_off_and_done_again(store: TradeStore, open_store: OpenStore, records: int) -> None:
    """After it has looked at so many records."""
    events = make_events(2, 60, tickers=TICKERS)
    count_in_many_shards(open_store, events[:40])
    looked_at = 0

    def break_off(more: int) -> None:
        nonlocal looked_at
        looked_at += more
        if looked_at >= records:
            raise BrokenOff

    for shard_count in (6, 2):
        looked_at = 0
        try:
            done = store.reshard(shard_count, break_off)
        except BrokenOff:
            pass
        else:
            assert done is None or looked_at < records
        check_counted(open_store(), events[:40])
    later = open_store()
    assert later.count_trades(events[30:]) == ["DUPLICATE"] * 10 + ["COUNTED"] * 20
    check_counted(store, events)
    again = open_store().reshard(2)
    assert again is None or len(again.shards) == 2
    check_counted(open_store(), events)


def test_two_at_once(store: TradeStore, open_store: OpenStore) -> None:
    events = make_events(3, 60, tickers=TICKERS)
    count_in_many_shards(open_store, events)
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(open_store().reshard, count) for count in (2, 3, 2)]:
            done.result()
    store.reshard(2)
    check_counted(store, events)


def test_repair_goes_on_afterwards(store: TradeStore, open_store: OpenStore) -> None:
    """What was folded, and what never was in the first shard, can be set right."""
    events = make_events(4, 30, tickers=TICKERS)
    count_in_many_shards(open_store, events)
    store.reshard(2)
    wrong = tally_events(events)["HOT"]
    right = tally_events(events[:10])["HOT"]
    assert store.replace_tally("HOT", wrong, right)
    assert read_tally(store, "HOT") == right
    assert store.replace_tally("HOT", right, None)
    assert read_tally(store, "HOT") is None
    assert "HOT" not in store.read_changed_summaries(0).summaries
    store.reshard(1)
    assert "HOT" not in store.scan_tickers()
    more = make_event("more", [Trade("HOT", 5, 1, 1)])
    assert store.count_trades([more]) == ["COUNTED"]
    assert read_tally(store, "HOT") == tally_events([more])["HOT"]


def test_sums_that_a_repair_left_below_zero_are_folded_too(store: TradeStore, open_store: OpenStore) -> None:
    """A shard may hold an amount to subtract; what counts is the whole."""
    events = make_events(5, 40, tickers=["HOT"])
    count_in_many_shards(open_store, events)
    few = tally_events(events[:2])["HOT"]
    assert store.replace_tally("HOT", read_tally(store, "HOT"), few)
    for shard_count in (4, 1):
        store.reshard(shard_count)
        assert read_tally(store, "HOT") == few
    check_counted(open_store(), events[:2])
