"""Summaries and price levels: each trade in them once, whatever comes again, in any order."""

import random
from collections.abc import Callable

import pytest
from samples import NOON_MS, check_counted, make_event, make_events, make_trades, tally_one

from trades.store import TradeStore
from trades.summary import Latest, PriceLevel, Summary
from trades.trade import MAX_NOTIONAL_TICKS, Trade, TradeEvent


def test_a_ticker_that_never_traded(store: TradeStore) -> None:
    store.count_trades(make_events(1, 1))
    assert store.read_summary("NEVER") is None
    assert store.read_levels("NEVER") == {}
    assert store.read_level("NEVER", 1) is None


def test_one_trade(store: TradeStore) -> None:
    event = make_event("e1", [Trade("A.COM", 320_000, 5, NOON_MS)], is_batch=False)
    assert store.count_trades([event]) == ["COUNTED"]
    assert store.read_summary("A.COM") == Summary(
        1, 5, 1_600_000, 320_000, 320_000, Latest(NOON_MS, "e1", 320_000)
    )
    assert store.read_levels("A.COM") == {320_000: PriceLevel(1, 5, NOON_MS)}
    assert store.read_level("A.COM", 320_000) == PriceLevel(1, 5, NOON_MS)
    assert store.read_level("A.COM", 320_001) is None


def test_events_add_up(store: TradeStore) -> None:
    events = make_events(1, 40)
    for event in events:
        assert store.count_trades([event]) == ["COUNTED"]
    check_counted(store, events)


@pytest.mark.parametrize("size", [1, 2, 8, 64, 300])
def test_groups_of_any_size(store: TradeStore, size: int) -> None:
    events = make_events(size, size)
    assert store.count_trades(events) == ["COUNTED"] * size
    assert store.count_trades(events) == ["DUPLICATE"] * size
    check_counted(store, events)


def test_a_group_of_nothing(store: TradeStore) -> None:
    assert store.count_trades([]) == []
    assert list(store.scan_tickers()) == []


def test_the_same_event_again_is_a_duplicate(store: TradeStore) -> None:
    events = make_events(1, 5)
    store.count_trades(events)
    for event in events:
        assert store.count_trades([event]) == ["DUPLICATE"]
    check_counted(store, events)


@pytest.mark.parametrize("count", [1, 7, 60], ids=["shorter", "equally long", "longer"])
def test_the_same_id_with_other_trades_is_a_conflict_and_changes_nothing(
    store: TradeStore, count: int
) -> None:
    event = make_event("e1", make_trades(1, 7))
    store.count_trades([event])
    rival = make_event("e1", make_trades(2, count, ["A.COM", "ONLY-HERE"]))
    assert store.count_trades([rival]) == ["CONFLICT"]
    assert store.count_trades([event]) == ["DUPLICATE"]
    check_counted(store, [event])


def test_an_event_twice_in_a_group_counts_once(store: TradeStore) -> None:
    first, second = make_events(1, 2)
    outcomes = store.count_trades([first, second, first, first])
    assert outcomes[1] == "COUNTED"
    assert set(outcomes) <= {"COUNTED", "DUPLICATE"}
    assert "COUNTED" in (outcomes[0], outcomes[2], outcomes[3])
    check_counted(store, [first, second])


def test_a_conflict_within_a_group_counts_one_of_the_two(store: TradeStore) -> None:
    rivals = [make_event("e1", make_trades(seed, 9)) for seed in (1, 2)]
    other = make_event("e2", make_trades(3, 9))
    outcomes = store.count_trades([rivals[0], other, rivals[1]])
    assert outcomes[1] == "COUNTED"
    assert sorted([outcomes[0], outcomes[2]]) == ["CONFLICT", "COUNTED"]
    check_counted(store, [rivals[0] if outcomes[0] == "COUNTED" else rivals[1], other])


def test_a_group_of_new_and_old_events_is_told_apart(store: TradeStore) -> None:
    events = make_events(1, 6)
    store.count_trades(events[::2])
    rival = make_event(events[0].id, make_trades(99, 3))
    assert store.count_trades([*events, rival]) == ["DUPLICATE", "COUNTED"] * 3 + ["CONFLICT"]
    check_counted(store, events)


def test_storing_and_counting_do_not_know_of_each_other(store: TradeStore) -> None:
    event = make_event("e1", make_trades(1, 9))
    assert store.count_trades([event]) == ["COUNTED"]
    assert store.store_trades([event]) == ["STORED"]
    assert store.count_trades([event]) == ["DUPLICATE"]
    assert store.store_trades([event]) == ["DUPLICATE"]


@pytest.mark.parametrize("seed", range(4))
def test_order_does_not_matter(store: TradeStore, seed: int) -> None:
    events = make_events(1, 30)
    rng = random.Random(seed)
    deliveries = events * 3
    rng.shuffle(deliveries)
    while deliveries:
        size = rng.randrange(1, 12)
        store.count_trades(deliveries[:size])
        del deliveries[:size]
    check_counted(store, events)


def test_the_latest_trade_is_the_one_of_the_latest_time_not_the_last_to_come(store: TradeStore) -> None:
    for number, time_ms in enumerate([NOON_MS, NOON_MS + 9, NOON_MS + 5, NOON_MS - 9]):
        store.count_trades([make_event(f"e{number}", [Trade("A.COM", 320_000 + number, 1, time_ms)])])
    summary = store.read_summary("A.COM")
    assert summary is not None
    assert summary.latest == Latest(NOON_MS + 9, "e1-0", 320_001)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("together", [True, False])
def test_at_the_same_time_the_largest_id_is_the_latest(
    store: TradeStore, order: tuple[int, ...], together: bool
) -> None:
    """Ids compare as text: `e-9` comes after `e-10`, and `é` after `z`."""
    ids = ["e-10", "e-9", "é"]
    events = [make_event(ids[n], [Trade("A.COM", 320_000 + n, 1, NOON_MS)], is_batch=False) for n in order]
    for group in [events] if together else [[event] for event in events]:
        store.count_trades(group)
    summary = store.read_summary("A.COM")
    assert summary is not None
    assert summary.latest == Latest(NOON_MS, "é", 320_002)


@pytest.mark.parametrize("prices", [(1, 2), (2, 1)])
def test_at_the_same_time_and_id_the_highest_price_is_the_latest(
    store: TradeStore, prices: tuple[int, int]
) -> None:
    for source, price_ticks in zip(("/a", "/b"), prices, strict=True):
        store.count_trades([make_event("same", [Trade("A.COM", price_ticks, 1, NOON_MS)], source=source)])
    summary = store.read_summary("A.COM")
    assert summary is not None
    assert summary.latest == Latest(NOON_MS, "same-0", 2)


def test_times_tie_within_a_batch(store: TradeStore) -> None:
    event = make_event("e", [Trade("A.COM", 320_000 + n, 1, NOON_MS) for n in range(12)])
    store.count_trades([event])
    summary = store.read_summary("A.COM")
    assert summary is not None
    assert summary.latest == Latest(NOON_MS, "e-9", 320_009)


def test_levels_come_lowest_price_first(store: TradeStore) -> None:
    prices = [10_000_000, 5, 320_000, 99_999, 1, 10**10]
    store.count_trades([make_event("e", [Trade("A.COM", price, 1, NOON_MS) for price in prices])])
    assert list(store.read_levels("A.COM")) == sorted(prices)


def test_tickers_with_a_common_beginning_are_kept_apart(store: TradeStore) -> None:
    tickers = ["A", "A-", "A-1", "A-1-1", "A.1", "A1", "A-b1", "A-bands", "A-p0", "AA"]
    events = [make_event(ticker, make_trades(number, 5, [ticker])) for number, ticker in enumerate(tickers)]
    store.count_trades(events)
    check_counted(store, events)


def test_a_restart_keeps_every_count(store: TradeStore, open_store: Callable[[], TradeStore]) -> None:
    events = make_events(1, 30)
    store.count_trades(events[:20])
    store.close()
    again = open_store()
    check_counted(again, events[:20])
    assert again.count_trades(events) == ["DUPLICATE"] * 20 + ["COUNTED"] * 10
    check_counted(again, events)


# Overflow. A trade has at most 10**14 ticks, an event 10**17, so about 92 of those fit into 63 bits.


def make_huge(id_: str, *tickers: str) -> TradeEvent:
    return make_event(
        id_,
        [Trade(tickers[0], MAX_NOTIONAL_TICKS // 10**4, 10**4, NOON_MS)] * 1_000
        + [Trade(ticker, 1, 1, NOON_MS) for ticker in tickers[1:]],
    )


def fill(store: TradeStore, ticker: str) -> tuple[list[TradeEvent], list[TradeEvent]]:
    """Count huge events until some do not fit; gives those that were counted and those that were not."""
    answers: dict[str, list[TradeEvent]] = {"COUNTED": [], "OVERFLOW": []}
    for start in range(0, 1_000, 50):
        group = [make_huge(f"{ticker}-{number}", ticker) for number in range(start, start + 50)]
        for _ in range(100):
            waiting = []
            for event, outcome in zip(group, store.count_trades(group), strict=True):
                (waiting if outcome == "UNAVAILABLE" else answers[outcome]).append(event)
            group = waiting
            if not group:
                break
        assert not group, "still UNAVAILABLE after a hundred times"
        if answers["OVERFLOW"]:
            return answers["COUNTED"], answers["OVERFLOW"]
    raise AssertionError("a thousand of the largest events should not fit")


def test_a_sum_never_wraps(store: TradeStore) -> None:
    counted, refused = fill(store, "HUGE")
    assert len(counted) >= 90
    assert store.read_summary("HUGE") == tally_one(counted, "HUGE").summary
    assert store.count_trades(refused[:1]) == ["OVERFLOW"]
    check_counted(store, counted)


def test_an_event_that_overflows_one_ticker_changes_no_other(store: TradeStore) -> None:
    counted, _ = fill(store, "HUGE")
    small = make_event("small", make_trades(1, 5, ["OTHER"]))
    mixed = make_huge("mixed", "HUGE", "OTHER", "THIRD")
    assert store.count_trades([mixed, small]) == ["OVERFLOW", "COUNTED"]
    check_counted(store, [*counted, small])
