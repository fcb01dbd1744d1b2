"""Verify and repair on a real store, with writers in between."""

import time
from collections.abc import Callable, Sequence

import pytest

from trades import verify
from trades.codec import TRADE_BATCH, encode_batch
from trades.store import DeadLetter
from trades.stores.sqlite import SqliteStore
from trades.summary import Tally
from trades.trade import Trade, TradeEvent
from tradewind.checks import events as event_checks
from tradewind.checks.repairs import MOVED, SET, SHARES, TOO_LARGE, TOO_MANY, WAITS, WOULD_SET, repair_store
from tradewind.checks.tickers import Checker

Fill = Callable[[Sequence[TradeEvent]], None]
Batch = Callable[..., TradeEvent]


def no_wait(seconds: float) -> None: ...


def idle() -> bool:
    return True


@pytest.fixture
def events(make_batch: Batch) -> list[TradeEvent]:
    names = [f"T{number:02}" for number in range(40)]
    return [
        make_batch(f"e{event}", *(Trade(name, 10_000 + event * 100, 1 + event, event) for name in names))
        for event in range(5)
    ]


def letter(event: TradeEvent, status: str, replayed_ms: int = 0) -> DeadLetter:
    attributes = {"type": TRADE_BATCH, "source": event.source, "id": event.id}
    data = encode_batch(event.trades)
    return DeadLetter(event.key.hex(), 1, attributes, data, "http://u", status, "", replayed_ms)


@pytest.mark.parametrize("max_levels", [None, 7])
def test_what_agrees_is_no_suspect_in_however_many_passes(
    store: SqliteStore, fill: Fill, events: list[TradeEvent], max_levels: int | None
) -> None:
    fill(events)
    read: list[int] = []
    found = Checker(store, read.append).scan(max_levels)
    assert found == (200, 40, [], 0)


@pytest.mark.parametrize("max_levels", [None, 7])
def test_differences_of_every_kind_are_found(
    store: SqliteStore, fill: Fill, events: list[TradeEvent], make_batch: Batch, max_levels: int | None
) -> None:
    fill(events)
    store.store_trades([make_batch("raw", Trade("T07", 20_000, 5, 9), Trade("NEW", 1, 1, 1))])
    store.count_trades([make_batch("sum", Trade("T08", 20_000, 5, 9), Trade("GONE", 1, 1, 1))])
    checker = Checker(store)
    assert checker.scan(max_levels).suspects == ["GONE", "NEW", "T07", "T08"]
    [judgement] = checker.judge(checker.scan().suspects, idle, sleep=no_wait)
    assert [found.ticker for found in judgement.confirmed] == ["GONE", "NEW", "T07", "T08"]
    assert judgement.moving == []


def test_what_was_only_on_its_way_is_not_reported(
    store: SqliteStore, fill: Fill, events: list[TradeEvent], make_batch: Batch
) -> None:
    fill(events)
    late = make_batch("late", Trade("T07", 20_000, 5, 9))
    store.store_trades([late])

    def delivered() -> bool:
        store.count_trades([late])
        return True

    checker = Checker(store)
    suspects = checker.scan().suspects
    assert suspects == ["T07"]
    assert list(checker.judge(suspects, delivered, sleep=no_wait)) == [([], [])]


def test_what_never_holds_still_is_not_judged(store: SqliteStore, make_batch: Batch) -> None:
    number = 0

    def busy() -> bool:
        nonlocal number
        number += 1
        store.store_trades([make_batch(f"m{number}", Trade("HOT", 10_000, 1, number))])
        return True

    busy()
    assert list(Checker(store).judge(["HOT"], busy, sleep=no_wait)) == [([], ["HOT"])]
    assert list(Checker(store).judge(["HOT"], lambda: False, sleep=no_wait)) == [([], ["HOT"])]


def test_repair_sets_what_differs_and_only_that(
    store: SqliteStore, fill: Fill, events: list[TradeEvent], make_batch: Batch
) -> None:
    fill(events)
    store.store_trades([make_batch("raw", Trade("T07", 20_000, 5, 9), Trade("NEW", 1, 1, 1))])
    store.count_trades([make_batch("sum", Trade("T08", 20_000, 5, 9), Trade("GONE", 1, 1, 1))])
    untouched = store.read_summary("T01"), store.read_levels("T01")
    wanted = dict.fromkeys(["GONE", "NEW", "T07", "T08"])
    assert repair_store(store, idle, dry_run=True) == dict.fromkeys(wanted, WOULD_SET)
    assert repair_store(store, idle) == dict.fromkeys(wanted, SET)
    assert Checker(store).scan().suspects == []
    assert store.read_summary("GONE") is None
    assert (store.read_summary("T01"), store.read_levels("T01")) == untouched
    assert repair_store(store, idle) == {}


def test_after_repair_a_redelivery_of_what_was_claimed_changes_nothing(
    store: SqliteStore, fill: Fill, events: list[TradeEvent]
) -> None:
    """A store that lost acknowledged sums: the claims are done, the summary is not there."""
    fill(events)
    levels, summary = store.read_levels("T03"), store.read_summary("T03")
    assert summary is not None
    assert store.replace_tally("T03", Tally(summary, levels), None)
    assert repair_store(store, idle) == {"T03": SET}
    fill(events)
    assert Checker(store).scan().suspects == []
    assert store.read_summary("T03") == summary


def test_repair_leaves_a_ticker_that_changes_at_the_last_moment(
    store: SqliteStore, make_batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.store_trades([make_batch("raw", Trade("T", 20_000, 5, 9))])
    replace = store.replace_tally

    def late(*arguments: object) -> bool:
        store.count_trades([make_batch("late", Trade("T", 30_000, 1, 10))])
        return replace(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "replace_tally", late)
    assert repair_store(store, idle) == {"T": MOVED}
    summary = store.read_summary("T")
    assert summary is not None
    assert summary.trade_count == 1


def test_repair_leaves_alone_what_no_summary_can_hold(
    store: SqliteStore, make_batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And sets the others, those of the same event too; it would take 92,234 of the largest trades."""
    monkeypatch.setattr(verify, "LARGEST_SUM", 2**30)
    store.store_trades([make_batch("dear", Trade("DEAR", 2**20, 2**10, 1), Trade("CHEAP", 1, 1, 1))])
    store.store_trades([make_batch("more", Trade("DEAR", 1, 1, 1))])
    assert repair_store(store, idle, dry_run=True) == {"CHEAP": WOULD_SET, "DEAR": TOO_LARGE}
    assert repair_store(store, idle) == {"CHEAP": SET, "DEAR": TOO_LARGE}


def test_an_event_that_shares_a_ticker_with_a_dead_letter_does_not_count_twice(
    store: SqliteStore, make_batch: Batch
) -> None:
    """Nor does one that shares a ticker with that: none of them is claimed, and all may come again."""
    waiting = make_batch("waits", Trade("T", 20_000, 5, 9))
    lost = make_batch("lost", Trade("T", 20_000, 5, 9), Trade("OTHER", 20_000, 5, 9))
    next_one = make_batch("next", Trade("OTHER", 20_000, 5, 9), Trade("THIRD", 20_000, 5, 9))
    apart = make_batch("apart", Trade("FREE", 20_000, 5, 9))
    events = [next_one, lost, apart, waiting]
    store.store_trades(events)
    store.add_dead_letters([letter(waiting, "503")])
    assert repair_store(store, idle) == {"FREE": SET, "OTHER": SHARES, "T": WAITS, "THIRD": SHARES}
    assert store.count_trades(events) == ["COUNTED", "COUNTED", "DUPLICATE", "COUNTED"]
    assert Checker(store).scan().suspects == []


@pytest.mark.parametrize(
    ("status", "replayed", "verdict"),
    [("503", False, WAITS), ("", False, WAITS), ("422", False, SET), ("503", True, WAITS)],
)
def test_a_dead_letter_that_could_still_do_something_keeps_its_tickers_from_repair(
    store: SqliteStore, make_batch: Batch, status: str, replayed: bool, verdict: str
) -> None:
    event = make_batch("e", Trade("T", 20_000, 5, 9))
    store.store_trades([event])
    store.add_dead_letters([letter(event, status)])

    def replay_meanwhile() -> bool:
        if replayed:
            store.mark_replayed(letter(event, status), time.time_ns() // 1_000_000)
        return True

    assert repair_store(store, replay_meanwhile) == {"T": verdict}


def test_one_that_was_replayed_long_ago_does_not(store: SqliteStore, make_batch: Batch) -> None:
    event = make_batch("e", Trade("T", 20_000, 5, 9))
    store.store_trades([event])
    store.add_dead_letters([letter(event, "503")])
    store.mark_replayed(letter(event, "503"), 5)
    assert repair_store(store, idle) == {"T": SET}


def test_more_events_without_a_claim_than_fit_in_a_pass_are_claimed_pass_by_pass(
    store: SqliteStore, make_batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_checks, "MAX_SUSPECTS", 3)
    events = [make_batch(f"e{n}", Trade(f"T{n}", 20_000, 5, 9), Trade("ALL", 20_000, 5, 9)) for n in range(8)]
    store.store_trades(events)
    assert repair_store(store, idle) == dict.fromkeys(["ALL", *(f"T{n}" for n in range(8))], SET)
    assert store.count_trades(events) == ["DUPLICATE"] * 8
    assert Checker(store).scan().suspects == []


def test_no_ticker_is_set_while_events_without_a_claim_are_left_over(
    store: SqliteStore, make_batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that share a ticker with a dead letter are not claimed, and leave no room for the others."""
    monkeypatch.setattr(event_checks, "MAX_SUSPECTS", 3)
    events = [make_batch(f"e{n}", Trade("T", 20_000, 5, 9), Trade(f"T{n}", 20_000, 5, 9)) for n in range(8)]
    store.store_trades(events)
    store.add_dead_letters([letter(events[0], "503")])
    report = repair_store(store, idle)
    assert set(report.values()) == {WAITS, SHARES, TOO_MANY}
    assert store.count_trades(events) == ["COUNTED"] * 8
    assert Checker(store).scan().suspects == []


def test_claims_without_trades_do_not_keep_repair_from_its_work(
    store: SqliteStore, make_batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_checks, "MAX_SUSPECTS", 3)
    store.count_trades([make_batch(f"gone{n}", Trade(f"G{n}", 20_000, 5, 9)) for n in range(8)])
    uncounted = make_batch("e", Trade("T", 20_000, 5, 9))
    store.store_trades([uncounted])
    assert repair_store(store, idle) == dict.fromkeys(["T", *(f"G{n}" for n in range(8))], SET)
    assert store.count_trades([uncounted]) == ["DUPLICATE"]
