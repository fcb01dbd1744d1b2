"""A killed server that had not written what it acknowledged: found by verify, cured by replay and repair."""

from collections.abc import Callable, Sequence

import pytest

from tests.aerospike_server import AerospikeServer
from tests.integration.shop import Shop, check_counted, count_until_done, make_events
from trades.store import Outcome, TradeStore
from trades.trade import TradeEvent
from tradewind.checks.events import EventFaults, Faults
from tradewind.checks.repairs import SET, repair_store
from tradewind.checks.tickers import Checker

pytestmark = pytest.mark.aerospike

SLOW_FLUSH_MS = 1_000  # the server's default
ATTEMPTS = 10  # at a moment at which the server had not just written everything


def idle() -> bool:
    return True


def verify(store: TradeStore) -> tuple[list[str], EventFaults]:
    """The tickers that differ, and what is wrong with events."""
    checker = Checker(store)
    judgements = checker.judge(checker.scan().suspects, idle)
    differing = [found.ticker for judgement in judgements for found in judgement.confirmed]
    return differing, checker.events.judge(idle)


def send(store: TradeStore, events: Sequence[TradeEvent]) -> None:
    outcomes = store.store_trades(events)
    assert set(outcomes) <= {Outcome.STORED, Outcome.DUPLICATE}
    count_until_done(lambda: store, events)


def held(store: TradeStore) -> tuple[int, int]:
    """Trades stored, trades counted."""
    summaries = store.read_changed_summaries(0).summaries.values()
    return sum(1 for _ in store.scan_trades()), sum(summary.trade_count for summary in summaries)


@pytest.mark.parametrize("loses", ["raw trades and claims", "summaries", "both"])
def test_lost_found_sent_again_repaired(
    own_aerospike_server: Callable[..., AerospikeServer], loses: str
) -> None:
    server = own_aerospike_server(
        flush_max_ms=1 if loses == "summaries" else SLOW_FLUSH_MS,
        memory_flush_max_ms=1 if loses == "raw trades and claims" else SLOW_FLUSH_MS,
    )
    shop = Shop(server.host)
    events: list[TradeEvent] = []
    for attempt in range(ATTEMPTS):
        store = shop.open()
        more = make_events(attempt, 40)
        send(store, more)
        acknowledged = held(store)
        server.kill()
        server.start()
        events += more
        after = held(shop.open())
        if after != acknowledged:
            break
    assert after < acknowledged or after[1] < acknowledged[1], "no acknowledged write was lost"
    store = shop.open()
    differing, faults = verify(store)
    if loses != "both":  # what is lost in all places at once is seen by nobody but the sender
        assert differing
    if loses == "raw trades and claims":
        assert after[0] < after[1]
    if loses == "summaries":
        assert after[1] < after[0]
        assert faults[:4] == (Faults(), Faults(), Faults(), Faults()), "the claims say that all is counted"
    send(store, events)
    assert set(repair_store(store, idle).values()) <= {SET}
    assert verify(store) == ([], EventFaults(Faults(), Faults(), Faults(), Faults(), 0, 0, {}, {}))
    check_counted(store, events)
    assert held(store) == (len(events) * 6, len(events) * 6)
    assert store.count_trades(events[:5]) == [Outcome.DUPLICATE] * 5
