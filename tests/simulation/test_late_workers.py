"""Workers that sleep through what others do to their records: lost raises of the trim counter, a reshard."""

import pytest
from aerospike_helpers.batch.records import Write

from tests.simulation.aerospike_stores import NAMES
from tests.simulation.client import Network, SimulatedCluster
from trades.store import Outcome
from trades.stores.aerospike import AerospikeStore
from trades.stores.aerospike.fence import SEALED, apply_filter
from trades.stores.aerospike.layout import MARKS_LIMIT
from trades.stores.aerospike.plan import plan_group, put_value
from trades.stores.aerospike.room import NEARLY_FULL
from trades.stores.aerospike.shards import FOLDED
from trades.trade import Trade, TradeEvent


@pytest.fixture
def network() -> Network:
    return Network.without_faults()


def make_store(network: Network, shard_count: int = 1) -> AerospikeStore:
    return AerospikeStore([("simulated", 3000)], shard_count=shard_count, cluster=SimulatedCluster(network))


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


def test_what_is_made_and_sealed_late_is_folded_before_it_is_emptied(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker applied its event after reshard had folded all there was, sealed it, and died."""
    store, worker, event = make_store(network, 2), make_store(network, 2), make_event("late")
    shards, late = store._open().shards, plan_group(NAMES, 2, [event])
    worker._open().claims.make([event], 2)
    note = shards.note

    def note_after_the_worker(numbers: list[int], progress: int) -> None:
        if progress == FOLDED:
            worker._cluster.write([plan.write for plan in late])
            sealing = [
                Write(plan.write.key, [put_value("trims", SEALED)]) for plan in late if not plan.is_index
            ]
            worker._cluster.write(sealing)
        note(numbers, progress)

    monkeypatch.setattr(shards, "note", note_after_the_worker)
    store.reshard(1)
    assert make_store(network).count_trades([event]) == [Outcome.COUNTED]
    summary = make_store(network).read_summary("HOT")
    assert summary is not None
    assert summary.trade_count == 1
