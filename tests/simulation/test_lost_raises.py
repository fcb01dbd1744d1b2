"""A server that is killed loses its last raises of the trim counter, and a worker sleeps through it."""

import random

import pytest

from tests.simulation.aerospike_stores import NAMES
from tests.simulation.client import Network, SimulatedCluster
from tests.simulation.faults import Faults
from tests.simulation.loop import Loop
from tests.simulation.server import Server
from trades.store import Outcome
from trades.stores.aerospike import AerospikeStore
from trades.stores.aerospike.fence import apply_filter
from trades.stores.aerospike.layout import MARKS_LIMIT
from trades.stores.aerospike.plan import plan_group
from trades.stores.aerospike.room import NEARLY_FULL
from trades.trade import Trade, TradeEvent


@pytest.fixture
def network() -> Network:
    """Nothing goes wrong but what a test does."""
    loop, rng = Loop(), random.Random(1)
    faults = Faults(rng, loop.tell)
    faults.is_over = True
    return Network(loop, rng, faults, Server())


def make_store(network: Network) -> AerospikeStore:
    return AerospikeStore([("simulated", 3000)], shard_count=1, cluster=SimulatedCluster(network))


def make_event(id_: str) -> TradeEvent:
    trades = [Trade("HOT", 10_000, 1, 1)]
    return TradeEvent.of("/s", id_, trades, is_batch=True)


def count_many(store: AerospikeStore, name: str, count: int) -> None:
    for number in range(count):
        assert store.count_trades([make_event(f"{name}{number}")]) == [Outcome.COUNTED]


def lose_raises(network: Network, count: int) -> None:
    network.server.records[NAMES.state()].bins["trims"] -= count


@pytest.mark.parametrize("knows", [True, False], ids=["a trimmer that knows", "a trimmer that is new"])
def test_a_worker_that_slept_through_it_counts_nothing_twice(network: Network, knows: bool) -> None:
    trimmer = make_store(network)
    count_many(trimmer, "before", 400)
    sleeper = make_store(network)
    event = make_event("asleep")
    fence = sleeper._open().counter._fence.value
    sleeper._open().claims.make([event], 1)
    lose_raises(network, 3)
    if not knows:
        trimmer = make_store(network)
    assert trimmer.count_trades([event]) == [Outcome.COUNTED]
    count_many(trimmer, "after", MARKS_LIMIT + 6)
    right = trimmer.read_summary("HOT")
    planned = plan_group(NAMES, 1, [event])
    sleeper._cluster.write([plan.write for plan in planned], apply_filter(fence, NEARLY_FULL))
    assert trimmer.read_summary("HOT") == right


def test_a_number_is_above_all_that_is_known(network: Network) -> None:
    count_many(make_store(network), "x", 2 * MARKS_LIMIT)
    fence = make_store(network)._open().counter._fence
    known = fence.value
    lose_raises(network, known)
    first, second = fence.advance([]), fence.advance([{"trims": known + 50}, {"trims": 1}])
    assert first > known
    assert second > known + 50
    assert make_store(network)._open().counter._fence.value == second
