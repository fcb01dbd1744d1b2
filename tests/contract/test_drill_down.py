"""The trades of a ticker, newest first, page by page."""

from collections import Counter
from collections.abc import Callable

import pytest
from samples import NOON_MS, make_event, make_events, make_trades

from trades.store import StoredTrade, TradeStore
from trades.trade import Trade, TradeEvent


def read_all(store: TradeStore, ticker: str, limit: int) -> list[StoredTrade]:
    """Page by page. Checks that no page but the last is short, and that order holds across pages."""
    found: list[StoredTrade] = []
    cursor: str | None = None
    while True:
        trades, cursor = store.read_trades(ticker, limit, cursor)
        found += trades
        if cursor is None:
            break
        assert len(trades) == limit
    times = [stored.trade.time_ms for stored in found]
    assert times == sorted(times, reverse=True)
    return found


def stored_of(events: list[TradeEvent], ticker: str) -> Counter[StoredTrade]:
    return Counter(
        StoredTrade(trade, event.source, event.id, event.place(index))
        for event in events
        for index, trade in enumerate(event.trades)
        if trade.ticker == ticker
    )


def test_a_page_holds_whole_trades(store: TradeStore) -> None:
    event = make_event("e", [Trade("A.COM", 320_000, 7, NOON_MS)], source="/exchange", is_batch=False)
    store.store_trades([event])
    trades, cursor = store.read_trades("A.COM", 10)
    assert trades == [StoredTrade(event.trades[0], "/exchange", "e", -1)]
    assert trades[0].id == "e"
    assert cursor is None


@pytest.mark.parametrize("limit", [1, 2, 7, 100, 1_000])
def test_pages_hold_every_trade_once_though_times_come_in_no_order(store: TradeStore, limit: int) -> None:
    events = make_events(1, 40)
    store.store_trades(events)
    assert Counter(read_all(store, "B.COM", limit)) == stored_of(events, "B.COM")


def test_the_last_page_may_be_full(store: TradeStore) -> None:
    event = make_event("e", [Trade("A.COM", 320_000, 1, NOON_MS + n) for n in range(20)])
    store.store_trades([event])
    first, cursor = store.read_trades("A.COM", 10)
    assert cursor is not None
    second, end = store.read_trades("A.COM", 10, cursor)
    assert [stored.trade.time_ms - NOON_MS for stored in first + second] == list(range(19, -1, -1))
    assert end is None
    assert store.read_trades("A.COM", 20).next_cursor is None


def test_trades_of_one_time_are_paged_in_one_order(store: TradeStore) -> None:
    events = [make_event(f"e{n}", [Trade("A.COM", 320_000 + n, 1, NOON_MS)] * 10) for n in range(19)]
    for event in events:
        store.store_trades([event])
    found = read_all(store, "A.COM", 7)
    assert Counter(found) == stored_of(events, "A.COM")
    assert found == store.read_trades("A.COM", 1_000).trades


def test_a_ticker_sees_only_its_own(store: TradeStore) -> None:
    tickers = ["A", "A-", "A-1", "A.1", "AA", 'A"', "A\\"]
    events = make_events(1, 20, trades=20, tickers=tickers)
    store.store_trades(events)
    for ticker in tickers:
        assert Counter(read_all(store, ticker, 9)) == stored_of(events, ticker)
    assert store.read_trades("a", 10) == ([], None)


def test_later_arrivals_do_not_move_pages(store: TradeStore, open_store: Callable[[], TradeStore]) -> None:
    """What was there when the first page was read is seen once, while newer and older trades come in."""
    before = make_events(1, 30, tickers=["A.COM"])
    store.store_trades(before)
    writer = open_store()
    seen: list[StoredTrade] = []
    cursor: str | None = None
    for number in range(1_000):
        trades, cursor = store.read_trades("A.COM", 10, cursor)
        seen += trades
        if cursor is None:
            break
        if number < 8:
            writer.store_trades(
                [
                    make_event(f"new-{number}", [Trade("A.COM", 1, 1, NOON_MS + 60_000 + number)]),
                    make_event(f"old-{number}", [Trade("A.COM", 1, 1, NOON_MS - 60_000 - number)]),
                    make_event(f"within-{number}", make_trades(number, 5, ["A.COM"])),
                ]
            )
    assert set(Counter(seen).values()) == {1}
    assert stored_of(before, "A.COM") <= Counter(seen)
    assert not any(stored.event_id.startswith("new") for stored in seen)


def test_a_cursor_outlives_its_store(store: TradeStore, open_store: Callable[[], TradeStore]) -> None:
    store.store_trades([make_event("e", [Trade("A.COM", 320_000, 1, NOON_MS + n) for n in range(20)])])
    cursor = store.read_trades("A.COM", 10).next_cursor
    store.close()
    trades, end = open_store().read_trades("A.COM", 100, cursor)
    assert [stored.trade.time_ms - NOON_MS for stored in trades] == list(range(9, -1, -1))
    assert end is None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "1",
        "1.2",
        "-1.2.3",
        "1.2.3.4",
        "1.2.٣",
        "9" * 40,
        "1.2.3' OR 1=1",
        "\x00",
        "1.2.3\n",
        "0x1.0.0",
    ],
)
def test_a_cursor_of_someone_elses_making_is_refused(store: TradeStore, cursor: str) -> None:
    store.store_trades(make_events(1, 3))
    with pytest.raises(ValueError, match="cursor"):
        store.read_trades("A.COM", 10, cursor)


def test_times_from_the_first_to_the_last_possible(store: TradeStore) -> None:
    times = [253_402_300_799_999, NOON_MS, 86_400_000, 1, 0]
    store.store_trades([make_event("e", [Trade("A.COM", 1, 1, time_ms) for time_ms in times])])
    assert [stored.trade.time_ms for stored in read_all(store, "A.COM", 2)] == times


def test_the_newest_of_many_that_come_in_reverse(store: TradeStore) -> None:
    """The trade that is stored last is the oldest: the first page must not show it."""
    for start in range(10):
        store.store_trades(
            [
                make_event(f"{start}-{n}", [Trade("A.COM", 1, 1, NOON_MS - start * 100 - n)] * 3)
                for n in range(100)
            ]
        )
    page = store.read_trades("A.COM", 30).trades
    assert [stored.trade.time_ms for stored in page] == [NOON_MS - n for n in range(10) for _ in range(3)]
