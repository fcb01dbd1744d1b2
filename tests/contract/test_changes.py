"""Changed since: a reader that asks again and again never misses a change."""

import threading
from collections.abc import Callable

from samples import make_event, make_events, make_trades

from trades.store import TradeStore
from trades.summary import Summary, tally_events


def summaries_of(events: list) -> dict[str, Summary]:
    return {ticker: tally.summary for ticker, tally in tally_events(events).items()}


def test_from_nothing(store: TradeStore) -> None:
    summaries, cursor = store.read_changed_summaries(0)
    assert summaries == {}
    events = make_events(1, 3)
    store.count_trades(events)
    assert store.read_changed_summaries(cursor).summaries == summaries_of(events)


def test_cursor_zero_gives_all(store: TradeStore) -> None:
    events = make_events(1, 50, tickers=[f"T{n}" for n in range(200)])
    store.count_trades(events[:25])
    store.count_trades(events[25:])
    assert store.read_changed_summaries(0).summaries == summaries_of(events)


def test_what_changed_is_there_and_the_rest_may_be(store: TradeStore) -> None:
    first = make_event("1", make_trades(1, 5, ["A.COM"]))
    second = make_event("2", make_trades(2, 5, ["B.COM"]))
    store.count_trades([first])
    cursor = store.read_changed_summaries(0).next_cursor
    store.count_trades([second])
    changed = store.read_changed_summaries(cursor).summaries
    assert changed["B.COM"] == summaries_of([second])["B.COM"]
    assert changed.items() <= summaries_of([first, second]).items()


def test_a_change_made_by_repair_is_seen(store: TradeStore) -> None:
    store.count_trades(make_events(1, 3))
    cursor = store.read_changed_summaries(0).next_cursor
    tally = tally_events([make_event("x", make_trades(9, 9, ["NEW"]))])["NEW"]
    assert store.replace_tally("NEW", None, tally)
    assert store.read_changed_summaries(cursor).summaries["NEW"] == tally.summary


def test_a_reader_misses_nothing_while_others_write(
    store: TradeStore, open_store: Callable[[], TradeStore]
) -> None:
    """What a reader has put together from changes alone is what is there, when all is written."""
    events = make_events(1, 240, tickers=[f"T{n}" for n in range(60)])
    writers = [
        threading.Thread(target=write_singly, args=(open_store(), events[start::4])) for start in range(4)
    ]
    for writer in writers:
        writer.start()
    table: dict[str, Summary] = {}
    cursor = 0
    while any(writer.is_alive() for writer in writers):
        changed, cursor = store.read_changed_summaries(cursor)
        table |= changed
    for writer in writers:
        writer.join()
    changed, cursor = store.read_changed_summaries(cursor)
    table |= changed
    assert table == summaries_of(events)


def write_singly(store: TradeStore, events: list) -> None:
    for event in events:
        while store.count_trades([event]) == ["UNAVAILABLE"]:
            pass


def test_another_process_goes_on_with_the_cursor(
    store: TradeStore, open_store: Callable[[], TradeStore]
) -> None:
    store.count_trades(make_events(1, 3))
    cursor = store.read_changed_summaries(0).next_cursor
    event = make_event("later", make_trades(5, 5, ["LATER"]))
    store.count_trades([event])
    store.close()
    assert open_store().read_changed_summaries(cursor).summaries["LATER"] == summaries_of([event])["LATER"]
