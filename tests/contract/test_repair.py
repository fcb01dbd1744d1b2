"""What verify and repair stand on: `replace_tally` compares and sets, while writers go on."""

import threading
from collections.abc import Callable

import msgspec
from samples import NOON_MS, make_event, make_events, make_trades, read_tally, tally_one

from trades.store import TradeStore
from trades.summary import Tally, tally_events
from trades.trade import Trade, TradeEvent


def test_a_tally_is_replaced_whole(store: TradeStore) -> None:
    store.count_trades(make_events(1, 5))
    expected = read_tally(store, "A.COM")
    other = tally_one([make_event("x", make_trades(9, 20, ["A.COM"]))], "A.COM")
    assert store.replace_tally("A.COM", expected, other) is True
    assert read_tally(store, "A.COM") == other
    assert read_tally(store, "B.COM") == tally_one(make_events(1, 5), "B.COM")


def test_a_tally_that_has_changed_is_left_alone(store: TradeStore) -> None:
    events = make_events(1, 5)
    store.count_trades(events[:4])
    expected = read_tally(store, "A.COM")
    store.count_trades(events[4:])
    assert store.replace_tally("A.COM", expected, None) is False
    assert read_tally(store, "A.COM") == tally_one(events, "A.COM")


def test_a_difference_in_one_level_is_a_change(store: TradeStore) -> None:
    events = make_events(1, 5)
    store.count_trades(events)
    expected = tally_one(events, "A.COM")
    next(iter(expected.levels.values())).volume += 1
    assert store.replace_tally("A.COM", expected, None) is False
    assert read_tally(store, "A.COM") == tally_one(events, "A.COM")


def test_from_nothing_and_to_nothing(store: TradeStore) -> None:
    tally = tally_one([make_event("x", make_trades(9, 20, ["A.COM"]))], "A.COM")
    assert store.replace_tally("A.COM", tally, None) is False
    assert store.replace_tally("A.COM", None, tally) is True
    assert store.replace_tally("A.COM", None, tally) is False
    assert list(store.scan_tickers()) == ["A.COM"]
    assert store.replace_tally("A.COM", tally, None) is True
    assert read_tally(store, "A.COM") is None
    assert store.read_levels("A.COM") == {}
    assert list(store.scan_tickers()) == []


def test_to_what_it_is(store: TradeStore) -> None:
    events = make_events(1, 5)
    store.count_trades(events)
    tally = tally_one(events, "A.COM")
    assert store.replace_tally("A.COM", tally, tally) is True
    assert read_tally(store, "A.COM") == tally


def test_counting_goes_on_after_a_repair(store: TradeStore) -> None:
    events = make_events(1, 8)
    store.count_trades(events[:4])
    wrong = tally_one(events[:4], "A.COM")
    right = msgspec.structs.replace(wrong.summary, volume=wrong.summary.volume + 1_000)
    assert store.replace_tally("A.COM", wrong, Tally(right, wrong.levels))
    assert store.count_trades(events) == ["DUPLICATE"] * 4 + ["COUNTED"] * 4
    tally = read_tally(store, "A.COM")
    assert tally is not None
    assert tally.summary.volume == tally_one(events, "A.COM").summary.volume + 1_000


def test_tickers_are_scanned_once_each(store: TradeStore) -> None:
    events = make_events(1, 60, tickers=[f"T{n}" for n in range(300)])
    store.count_trades(events[:30])
    store.count_trades(events[30:])
    assert sorted(store.scan_tickers()) == sorted(tally_events(events))


def test_a_repair_while_others_count_loses_nothing(
    store: TradeStore, open_store: Callable[[], TradeStore]
) -> None:
    """Repairs add what missing events would have; the writers' events are all there at the end."""
    events = make_events(1, 200, tickers=["A.COM"])
    missing = [make_event(f"m{n}", [Trade("A.COM", 330_000 + n, LARGE, NOON_MS)]) for n in range(5)]
    store.count_trades(events[:1])
    writers = [threading.Thread(target=count_singly, args=(open_store(), events[n::4])) for n in range(4)]
    for writer in writers:
        writer.start()
    for count in range(1, len(missing) + 1):
        while True:
            found = read_tally(store, "A.COM")
            assert found is not None
            if store.replace_tally("A.COM", found, complete(found, missing[:count])):
                break
    for writer in writers:
        writer.join()
    assert read_tally(store, "A.COM") == tally_one(events + missing, "A.COM")


LARGE = 100_000_000  # more volume than all the writers' trades have


def complete(found: Tally, missing: list[TradeEvent]) -> Tally:
    """What is found, with what it lacks: an attempt that failed may have moved its summary or some levels."""
    summary, levels = found.summary, dict(found.levels)
    for event in missing[summary.volume // LARGE :]:
        summary = summary.merge(tally_one([event], "A.COM").summary)
    for event in missing:
        levels |= {
            price: level for price, level in tally_one([event], "A.COM").levels.items() if price not in levels
        }
    return Tally(summary, levels)


def count_singly(store: TradeStore, events: list[TradeEvent]) -> None:
    for event in events:
        while store.count_trades([event]) == ["UNAVAILABLE"]:
            pass
