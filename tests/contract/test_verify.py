"""What `tradewind verify` and `repair` find on a store that has lost something, or let it go."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from places import lose_claims, lose_trade, lose_trades, open_claim
from samples import make_event, make_events, make_trades, tally_one

from trades.store import EventName, StoredClaim, TradeStore
from trades.summary import tally_events
from trades.trade import Trade, TradeEvent
from tradewind.checks import events as event_checks
from tradewind.checks.events import EventCheck, EventFaults, Faults
from tradewind.checks.repairs import (
    BEGUN,
    FINISHED,
    HAS_BEGUN,
    SET,
    WOULD_FINISH,
    WOULD_SET,
    repair_store,
)
from tradewind.checks.tickers import Checker


def idle() -> bool:
    return True


def fill(store: TradeStore, events: list[TradeEvent]) -> None:
    assert store.store_trades(events) == ["STORED"] * len(events)
    assert store.count_trades(events) == ["COUNTED"] * len(events)


def name_of(event: TradeEvent) -> EventName:
    return EventName(event.source, event.id)


def verify(store: TradeStore) -> tuple[list[str], EventFaults]:
    """The tickers that differ, and what is wrong with events."""
    checker = Checker(store)
    judgements = list(checker.judge(checker.scan().suspects, idle, sleep=lambda _seconds: None))
    assert not any(judgement.moving for judgement in judgements)
    differing = [found.ticker for judgement in judgements for found in judgement.confirmed]
    return differing, checker.events.judge(idle)


NOTHING = (Faults(), Faults(), Faults(), Faults())


def test_claims_come_back(store: TradeStore) -> None:
    events = make_events(1, 30)
    store.count_trades(events)
    claims = list(store.scan_claims())
    assert sorted(claim.key for claim in claims) == sorted(event.key for event in events)
    assert all(claim.is_done for claim in claims)
    assert store.read_claims([b"x" * 16, *(event.key for event in events)]) == {
        claim.key: claim for claim in claims
    }
    assert not any(store.count_stored(claim) for claim in claims)
    store.store_trades(events)
    assert all(store.count_stored(claim) == (claim.trade_count or 1) for claim in claims)


def test_nothing_is_wrong(store: TradeStore) -> None:
    fill(store, [*make_events(1, 30), make_event("single", make_trades(1, 1), is_batch=False)])
    differing, events = verify(store)
    assert differing == []
    assert events[:4] == NOTHING


def test_trades_without_claims(store: TradeStore) -> None:
    fill(store, make_events(1, 30))
    uncounted = [
        make_event("u1", [Trade("A.COM", 5, 1, 1), Trade("ODD", 5, 1, 1)]),
        make_event("u2", [Trade("ODD", 6, 1, 1)], is_batch=False),
    ]
    store.store_trades(uncounted)
    differing, events = verify(store)
    assert differing == ["A.COM", "ODD"]
    assert events[:4] == (*NOTHING[1:], Faults(2, {"A.COM": 1, "ODD": 2}, ["/test u1", "/test u2"]))


def test_claims_without_trades(store: TradeStore, place: str) -> None:
    events = make_events(1, 30)
    fill(store, events)
    lost = make_event("lost", [Trade("A.COM", 5, 1, 1), Trade("GONE", 5, 1, 1)])
    fill(store, [lost])
    lose_trades(place, lost)
    differing, found = verify(store)
    assert differing == ["A.COM", "GONE"]
    assert found.claims_without_trades.count == 1
    assert found.claims_without_trades.events in (["/test lost"], [f"(key {lost.key.hex()})"])
    assert (found.open_claims, found.trades_without_claims) == (Faults(), Faults())


@pytest.mark.parametrize("lost", [[2], [0], [0, 1, 5], [6]])
def test_some_trades_of_an_event(store: TradeStore, place: str, lost: list[int]) -> None:
    """One server of several lost what it had acknowledged. What comes again is whole again."""
    events = [*make_events(1, 30), make_event("single", make_trades(1, 1), is_batch=False)]
    fill(store, events)
    event = events[3]
    if not all(lose_trade(place, event, index) for index in lost):
        pytest.skip("all trades of an event are in one row here")
    differing, found = verify(store)
    assert set(differing) == {event.trades[index].ticker for index in lost}
    assert (found.incomplete_events.count, found.incomplete_events.events) == (1, [f"/test {event.id}"])
    assert found[:2] == NOTHING[:2]
    assert found.trades_without_claims == Faults()
    assert store.store_trades(events) == ["DUPLICATE"] * 3 + ["STORED"] + ["DUPLICATE"] * 27
    assert store.count_trades(events) == ["DUPLICATE"] * 31
    assert verify(store) == ([], EventFaults(*NOTHING, 0, 0, {}, {}))


def test_all_but_some_in_many_passes(store: TradeStore, place: str) -> None:
    events = make_events(1, 40)
    fill(store, events)
    if not lose_trade(place, events[7], 3):
        pytest.skip("all trades of an event are in one row here")
    check = EventCheck(store, store.read_expiry(), 7)
    while not check.is_done:
        assert sum(1 for _ in check.watch(store.scan_trades())) == 40 * 7 - 1
    assert check.judge(idle).incomplete_events.events == [f"/test {events[7].id}"]


def test_a_claim_that_repair_made_says_nothing_of_how_many(store: TradeStore, place: str) -> None:
    events = make_events(1, 4)
    fill(store, events)
    lose_claims(place, events[:2])
    store.claim_stored([name_of(event) for event in events[:2]])
    assert verify(store) == ([], EventFaults(*NOTHING, 0, 0, {}, {}))


def test_a_lost_claim(store: TradeStore, place: str) -> None:
    """Its trades are counted: no difference. Repair makes the claim, so that it does not count again."""
    events = make_events(1, 30)
    fill(store, events)
    lose_claims(place, events[3:5])
    differing, found = verify(store)
    assert differing == []
    assert found.trades_without_claims.events == ["/test 1-3", "/test 1-4"]
    assert repair_store(store, idle) == {}
    assert verify(store)[1][:4] == NOTHING
    assert store.count_trades(events) == ["DUPLICATE"] * 30
    assert verify(store)[0] == []


def test_an_open_claim(store: TradeStore, place: str) -> None:
    fill(store, make_events(1, 5))
    begun = make_event("begun", [Trade("ODD", 5, 1, 1), Trade("ODD", 6, 1, 1)])
    store.store_trades([begun])
    if not open_claim(place, begun):
        pytest.skip("a claim has no state here: it is there when the event is counted")
    differing, found = verify(store)
    assert differing == ["ODD"]
    assert found[:4] == (Faults(1, {"ODD": 1}, ["/test begun"]), *NOTHING[1:])
    assert store.count_trades([begun]) == ["COUNTED"]
    assert verify(store)[0] == []
    assert verify(store)[1][:4] == NOTHING


def test_repair_finishes_what_was_begun(store: TradeStore, place: str) -> None:
    """Its delivery was lost, with no dead letter: when it comes again after all, it does not count again."""
    events = make_events(1, 5)
    fill(store, events)
    begun = [
        make_event("begun", [Trade("A.COM", 5, 1, 1), Trade("ODD", 6, 1, 1)]),
        make_event("single", [Trade("ODD", 7, 1, 2)], is_batch=False),
    ]
    store.store_trades(begun)
    if not all(open_claim(place, event) for event in begun):
        pytest.skip("a claim has no state here: it is there when the event is counted")
    report = repair_store(store, idle, dry_run=True)
    assert (report["/test begun"], report["A.COM"]) == (WOULD_FINISH, WOULD_SET)
    assert repair_store(store, idle) == {"/test begun": FINISHED, "/test single": FINISHED}
    assert store.count_trades(begun) == ["DUPLICATE"] * 2
    assert verify(store) == ([], EventFaults(*NOTHING, 0, 0, {}, {}))
    for ticker, tally in tally_events([*events, *begun]).items():
        assert store.read_summary(ticker) == tally.summary


def test_repair_leaves_alone_what_was_begun_and_is_not_all_stored(store: TradeStore, place: str) -> None:
    fill(store, make_events(1, 5))
    half = make_event("half", [Trade("ODD", 5, 1, 1), Trade("ODD", 6, 1, 1)])
    gone = make_event("gone", [Trade("GONE", 5, 1, 1)])
    if not all(open_claim(place, event) for event in (half, gone)):
        pytest.skip("a claim has no state here: it is there when the event is counted")
    store.store_trades([half])
    lose_trade(place, half, 1)
    assert repair_store(store, idle) == {"/test gone": BEGUN, "/test half": BEGUN, "ODD": HAS_BEGUN}
    for event in (half, gone):
        assert store.store_trades([event]) == ["STORED"]
        assert store.count_trades([event]) == ["COUNTED"]
    assert verify(store)[0] == []


def test_what_was_only_on_its_way_is_not_reported(store: TradeStore) -> None:
    events = make_events(1, 20)
    fill(store, events[:10])
    store.store_trades(events[10:15])
    store.count_trades(events[15:])
    checker = Checker(store)
    checker.scan()

    def deliver() -> bool:
        store.count_trades(events)
        store.store_trades(events)
        return True

    assert checker.events.judge(deliver)[:5] == (*NOTHING, 0)


def test_without_an_idle_moment_nothing_is_judged(store: TradeStore) -> None:
    store.store_trades(make_events(1, 3))
    checker = Checker(store)
    checker.scan()
    assert checker.events.judge(lambda: False)[:5] == (*NOTHING, 3)


def test_what_comes_in_while_it_looks_is_judged_however_much_it_is(
    store: TradeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events that are counted between the scans of claims and of trades."""
    monkeypatch.setattr(event_checks, "MAX_SUSPECTS", 20)
    events = make_events(1, 90)
    fill(store, events[:10])
    scan_claims = store.scan_claims

    def scan_then_fill() -> Iterator[StoredClaim]:
        yield from scan_claims()
        fill(store, events[10:])
        store.store_trades(make_events(2, 4))

    monkeypatch.setattr(store, "scan_claims", scan_then_fill)
    _, found = verify(store)
    assert found[:5] == (*NOTHING[1:], found.trades_without_claims, 0)
    assert found.trades_without_claims.count == 4


def test_too_many_that_are_wrong_are_said(store: TradeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_checks, "MAX_SUSPECTS", 20)
    store.store_trades(make_events(1, 90))
    _, found = verify(store)
    assert (found.trades_without_claims.count, found.not_judged) == (20, 70)


@pytest.mark.parametrize("max_keys", [1, 7, 40])
def test_in_many_passes(store: TradeStore, place: str, max_keys: int) -> None:
    """However few are looked at in a pass, each event is looked at once."""
    events = make_events(1, 40)
    fill(store, events[:30])
    store.store_trades(events[30:])
    lose_trades(place, events[0])
    check = EventCheck(store, store.read_expiry(), max_keys)
    passes = 0
    while not check.is_done:
        assert sum(1 for _ in check.watch(store.scan_trades())) == 39 * 7
        passes += 1
    assert passes >= 30 / (max_keys + 1)
    found = check.judge(idle)
    assert (found.claims_without_trades.count, found.trades_without_claims.count) == (1, 10)
    assert found.open_claims == Faults()


def test_lost_here_and_there_then_sent_again_then_repaired(store: TradeStore, place: str) -> None:
    """Nothing is left to report, whatever was lost in whatever combination."""
    events = make_events(1, 40)
    fill(store, events)
    lose_trades(place, events[0])
    lose_trades(place, events[1])
    lose_claims(place, events[1:3])
    wrong = store.read_summary("A.COM")
    assert wrong is not None
    assert verify(store)[0] != []
    store.store_trades(events)
    store.count_trades(events)
    report = repair_store(store, idle)
    assert set(report.values()) <= {SET}
    differing, found = verify(store)
    assert differing == []
    assert found[:4] == NOTHING
    for ticker in tally_events(events):
        assert store.read_summary(ticker) == tally_one(events, ticker).summary


def test_claiming_what_is_not_stored_does_nothing(store: TradeStore) -> None:
    stored, other = make_events(1, 2)
    store.store_trades([stored])
    store.claim_stored([name_of(stored), name_of(other)])
    store.claim_stored([name_of(stored)])
    assert [claim.key for claim in store.scan_claims()] == [stored.key]
    assert store.count_trades([stored, other]) == ["DUPLICATE", "COUNTED"]
    assert store.count_trades([make_event(stored.id, make_trades(9, 2))]) == ["CONFLICT"]
    assert list(itertools.islice(store.scan_tickers(), 1)) != []


def test_nothing_expires_unless_told(store: TradeStore, open_store: Callable[[], TradeStore]) -> None:
    fill(store, make_events(1, 3))
    assert open_store().read_expiry() == (False, False)
