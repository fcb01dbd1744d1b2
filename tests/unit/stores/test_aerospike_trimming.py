"""What is trimmed and when, on a server in memory that is at no fault."""

import pytest

from tests.simulation.client import Network, SimulatedCluster
from trades.stores.aerospike import AerospikeStore, Names
from trades.stores.aerospike.layout import MARKS_LIMIT
from trades.stores.aerospike.plan import Planned, plan_group
from trades.trade import Trade, TradeEvent

NAMES = Names()
SUMMARY = NAMES.summary("HOT", 1)


@pytest.fixture
def network() -> Network:
    return Network.without_faults()


def make_store(network: Network, retention_s: int = 0) -> AerospikeStore:
    return AerospikeStore(
        [("simulated", 3000)], shard_count=1, retention_s=retention_s, cluster=SimulatedCluster(network)
    )


def make_events(count: int) -> list[TradeEvent]:
    trades = [Trade("HOT", 10_000, 1, 1)]
    return [TradeEvent.of("/s", str(number), trades, is_batch=True) for number in range(count)]


def marks(network: Network) -> int:
    return len(network.server.records[SUMMARY].bins["marks"])


def write_of_summary(store: AerospikeStore, events: list[TradeEvent]) -> Planned:
    """Their marks are put, and the answer is known."""
    planned = plan_group(NAMES, 1, events)
    store._cluster.write([plan.write for plan in planned])
    return next(plan for plan in planned if plan.write.key == SUMMARY)


def test_a_record_that_takes_no_more_is_trimmed_though_its_marks_had_to_stay(network: Network) -> None:
    store, events = make_store(network), make_events(MARKS_LIMIT)
    parts = store._open()
    parts.claims.make(events, 1)
    plan = write_of_summary(store, events)
    trimmer = parts.counter._trimmer
    trimmer.note_due(plan)
    trimmer.trim_due()
    assert marks(network) == MARKS_LIMIT, "all are open"
    parts.claims.set_done((event, 1) for event in events)
    trimmer.note_due(plan)
    trimmer.trim_due()
    assert marks(network) == MARKS_LIMIT, "it waits for twice as many"
    plan.write.record = None  # the answer when it is too big
    trimmer.note_due(plan)
    trimmer.trim_due()
    assert marks(network) == 0


@pytest.mark.parametrize("expired", [True, False])
def test_marks_without_claims_go_once_claims_were_told_to_expire(network: Network, expired: bool) -> None:
    """Also by a process that is set to keep its own."""
    if expired:
        make_store(network, retention_s=60).ping()
    store, events = make_store(network), make_events(MARKS_LIMIT)
    trimmer = store._open().counter._trimmer
    trimmer.note_due(write_of_summary(store, events))
    trimmer.trim_due()
    assert marks(network) == (0 if expired else MARKS_LIMIT)
