"""Many workers, the same events: totals are exact, however deliveries overlap."""

import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from samples import check_counted, make_event, make_events, make_trades

from trades.store import Outcome, StoreUnavailable, TradeStore
from trades.trade import TradeEvent

WORKERS = 16


def deliver(
    write: Callable[[list[TradeEvent]], list[Outcome]], events: list[TradeEvent], order: int
) -> Counter[Outcome]:
    """Deliver all events in groups, again until each has an answer; gives the answers."""
    rng = random.Random(order)
    waiting = list(events)
    rng.shuffle(waiting)
    answers: Counter[Outcome] = Counter()
    while waiting:
        group = waiting[: rng.randrange(1, 12)]
        try:
            outcomes = write(group)
        except StoreUnavailable:
            continue
        undone = [event for event, outcome in zip(group, outcomes, strict=True) if outcome == "UNAVAILABLE"]
        answers.update(outcome for outcome in outcomes if outcome != "UNAVAILABLE")
        waiting = waiting[len(group) :] + undone
    return answers


def check_stored(store: TradeStore, events: list[TradeEvent]) -> None:
    found = Counter((stored.id, stored.trade) for stored in store.scan_trades())
    assert found == Counter(
        (f"{event.id}-{index}", trade) for event in events for index, trade in enumerate(event.trades)
    )


@pytest.mark.parametrize("shared", [True, False], ids=["one store object", "a store each"])
def test_threads_that_all_deliver_the_same(
    store: TradeStore, open_store: Callable[[], TradeStore], shared: bool
) -> None:
    events = make_events(1, 60)
    stores = [store if shared else open_store() for _ in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        counted = sum(
            pool.map(lambda n: deliver(stores[n].count_trades, events, n), range(WORKERS)), Counter()
        )
        stored = sum(
            pool.map(lambda n: deliver(stores[n].store_trades, events, n), range(WORKERS)), Counter()
        )
    check_counted(store, events)
    check_stored(store, events)
    assert set(counted) <= {"COUNTED", "DUPLICATE"}
    assert set(stored) <= {"STORED", "DUPLICATE"}
    assert counted.total() == stored.total() == WORKERS * len(events)


@pytest.mark.parametrize("work", ["store", "count"])
def test_processes_that_all_deliver_the_same(store: TradeStore, place: str, work: str) -> None:
    worker = Path(__file__).with_name("worker.py")
    command = [sys.executable, "-W", "error", str(worker), place, work, "7", "60"]
    processes = [subprocess.Popen([*command, str(order)]) for order in range(WORKERS)]
    assert [process.wait(timeout=100) for process in processes] == [0] * WORKERS
    events = make_events(7, 60)
    if work == "store":
        check_stored(store, events)
    else:
        check_counted(store, events)


def test_one_hot_ticker_on_all_workers(store: TradeStore, open_store: Callable[[], TradeStore]) -> None:
    """Each worker has events of its own, all of them on one ticker and a few prices."""
    events = make_events(3, 160, tickers=["HOT"])
    stores = [open_store() for _ in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        work = [pool.submit(deliver, stores[n].count_trades, events[n::WORKERS], n) for n in range(WORKERS)]
        assert sum((done.result() for done in work), Counter()) == {"COUNTED": 160}
    check_counted(store, events)


def test_rivals_for_one_id(store: TradeStore, open_store: Callable[[], TradeStore]) -> None:
    """Different trades under one id, all at once: one is counted, whole, and the others are conflicts."""
    rivals = [make_event("same", make_trades(n, 5 + n)) for n in range(WORKERS)]
    stores = [open_store() for _ in range(WORKERS)]
    gate = threading.Barrier(WORKERS)

    def rush(number: int) -> Counter[Outcome]:
        gate.wait()
        return deliver(stores[number].count_trades, [rivals[number]], number)

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(rush, range(WORKERS)))
    winners = [number for number, answer in enumerate(answers) if answer["COUNTED"]]
    assert len(winners) == 1
    assert sum(answers, Counter()) == {"COUNTED": 1, "CONFLICT": WORKERS - 1}
    check_counted(store, [rivals[winners[0]]])


def test_readers_see_whole_events(store: TradeStore, open_store: Callable[[], TradeStore]) -> None:
    """While events of ten equal trades are counted, a reader sees a count of tens that only grows."""
    events = [make_event(f"e{n}", make_trades(n, 1, ["HOT"]) * 10) for n in range(600)]
    store.ping()  # so that it reads from the beginning on
    writer = threading.Thread(target=deliver, args=(open_store().count_trades, events, 1))
    writer.start()
    counts: list[int] = []
    while writer.is_alive():
        summary = store.read_summary("HOT")
        counts.append(summary.trade_count if summary else 0)
    writer.join()
    assert len(set(counts)) >= 3, "it has seen too little to say anything"
    assert counts == sorted(counts)
    assert {count % 10 for count in counts} <= {0}
    check_counted(store, events)
