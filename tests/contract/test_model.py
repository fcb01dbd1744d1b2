"""Any sequence of calls, against a store that is nothing but dictionaries."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from places import forget_place, open_place
from samples import NOON_MS, make_event

from trades.store import Outcome, StoredTrade, TradeStore
from trades.summary import Tally, tally_events
from trades.trade import Trade, TradeEvent

TICKERS = ["A", "A-1", "é", "T" * 32]
LENGTHS = {"sqlite": (40, 20), "aerospike": (5, 12)}  # examples, steps: a server takes 20 times as long

Done = dict[tuple[str, str], TradeEvent]  # by source and id

trades = st.builds(
    Trade,
    st.sampled_from(TICKERS),
    st.integers(1, 6) | st.integers(1, 10**10),
    st.integers(1, 10_000),
    st.integers(NOON_MS, NOON_MS + 5) | st.integers(0, 253_402_300_799_999),
)
single_events = st.builds(
    lambda id_, trade, source: make_event(id_, [trade], source=source, is_batch=False),
    st.sampled_from("abc"),
    trades,
    st.sampled_from(["/x", "/y"]),
)
batches = st.builds(
    lambda id_, made, source: make_event(id_, made, source=source),
    st.sampled_from("abcdef"),
    st.lists(trades, min_size=1, max_size=8),
    st.sampled_from(["/x", "/y"]),
)
groups = st.lists(single_events | batches, max_size=6)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self, new_place: Callable[[], str]) -> None:
        super().__init__()
        self.place = new_place()
        self.store: TradeStore = open_place(self.place)
        self.stored: Done = {}
        self.counted: Done = {}
        self.tallies: dict[str, Tally] = {}
        self.table: dict[str, object] = {}
        self.cursor = 0

    def teardown(self) -> None:
        self.store.close()
        forget_place(self.place)

    @rule(events=groups)
    def store_trades(self, events: Sequence[TradeEvent]) -> None:
        take_in(self.stored, events, self.store.store_trades(events), "STORED")

    @rule(events=groups)
    def count_trades(self, events: Sequence[TradeEvent]) -> None:
        fresh = take_in(self.counted, events, self.store.count_trades(events), "COUNTED")
        for ticker, tally in tally_events(fresh).items():
            known = self.tallies.get(ticker)
            self.tallies[ticker] = tally if known is None else known.merge(tally)

    @rule(events=groups, ticker=st.sampled_from(TICKERS), is_current=st.booleans())
    def repair(self, events: Sequence[TradeEvent], ticker: str, is_current: bool) -> None:
        tally = tally_events(events).get(ticker)
        found = self.tallies.get(ticker)
        expected = found if is_current else tally
        assert self.store.replace_tally(ticker, expected, tally) is (expected == found)
        if expected == found and tally is not None:
            self.tallies[ticker] = tally
        elif expected == found:
            self.tallies.pop(ticker, None)
            self.table.pop(ticker, None)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = open_place(self.place)

    @rule()
    def follow_changes(self) -> None:
        changed, self.cursor = self.store.read_changed_summaries(self.cursor)
        self.table |= changed
        assert self.table == {ticker: tally.summary for ticker, tally in self.tallies.items()}

    @rule(ticker=st.sampled_from(TICKERS), limit=st.integers(1, 9))
    def drill_down(self, ticker: str, limit: int) -> None:
        found: list[StoredTrade] = []
        cursor = None
        for _ in itertools.count():
            page, cursor = self.store.read_trades(ticker, limit, cursor)
            found += page
            if cursor is None:
                break
        times = [stored.trade.time_ms for stored in found]
        assert times == sorted(times, reverse=True)
        assert Counter(found) == Counter(row for row in self.stored_trades() if row.trade.ticker == ticker)

    @invariant()
    def summaries_are_right(self) -> None:
        assert sorted(self.store.scan_tickers()) == sorted(self.tallies)
        for ticker in TICKERS:
            tally = self.tallies.get(ticker)
            assert self.store.read_summary(ticker) == (tally.summary if tally else None)
            assert self.store.read_levels(ticker) == (tally.levels if tally else {})

    @invariant()
    def raw_trades_are_right(self) -> None:
        assert Counter(self.store.scan_trades()) == Counter(self.stored_trades())

    def stored_trades(self) -> list[StoredTrade]:
        return [
            StoredTrade(trade, event.source, event.id, event.place(index))
            for event in self.stored.values()
            for index, trade in enumerate(event.trades)
        ]


def take_in(
    done: Done, events: Sequence[TradeEvent], outcomes: Sequence[Outcome], verdict: str
) -> list[TradeEvent]:
    """Check the outcomes of a group and give the events that are new.

    Of rivals for one (source, id) within a group, any one may win; the others are conflicts.
    """
    assert len(outcomes) == len(events)
    fresh: Done = {}
    for event, outcome in zip(events, outcomes, strict=True):
        if outcome == verdict:
            first = fresh.setdefault((event.source, event.id), event)
            assert first.digest == event.digest
    assert not fresh.keys() & done.keys()
    done |= fresh
    for event, outcome in zip(events, outcomes, strict=True):
        same = done[event.source, event.id].digest == event.digest
        assert outcome in ({verdict, "DUPLICATE"} if same else {"CONFLICT"})
    return list(fresh.values())


@pytest.mark.timeout(600)
def test_any_sequence_of_calls(new_place: Callable[[], str]) -> None:
    examples, steps = LENGTHS[new_place().partition(":")[0]]
    run_state_machine_as_test(
        lambda: StoreMachine(new_place),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
