"""Repair of what a server lost in part, on a server in memory that is at no other fault."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.simulation.client import Network, SimulatedCluster
from trades.stores.aerospike import AerospikeStore, Cluster, Names
from trades.stores.aerospike.errors import NO_RESPONSE
from trades.summary import Tally, tally_events
from trades.trade import Trade, TradeEvent
from trades.verify import to_tally

NAMES = Names()
EVENT = TradeEvent.of("/s", "e", [Trade("HOT", 10_000, 1, 1), Trade("HOT", 20_000, 2, 2)], is_batch=True)
[TALLY] = tally_events([EVENT]).values()


@pytest.fixture
def network() -> Network:
    return Network.without_faults()


@pytest.fixture
def store(network: Network) -> AerospikeStore:
    made = AerospikeStore([("simulated", 3000)], shard_count=1, cluster=SimulatedCluster(network))
    made.count_trades([EVENT])
    return made


def read(store: AerospikeStore) -> Tally | None:
    return to_tally(store.read_summary("HOT"), store.read_levels("HOT"))


def test_levels_whose_summary_is_lost_get_it_back(network: Network, store: AerospikeStore) -> None:
    del network.server.records[NAMES.summary("HOT", 1)]
    found = read(store)
    assert found is not None
    assert found.levels == TALLY.levels
    assert store.replace_tally("HOT", found, TALLY)
    assert read(store) == TALLY


def test_a_removal_that_failed_half_way_is_found_again(
    store: AerospikeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: Cluster, writes: Sequence[Any], *rest: Any) -> None:
        writing(self, [each for each in writes if "-b" not in each.key[2]], *rest)
        for each in writes:
            each.result = NO_RESPONSE if "-b" in each.key[2] else each.result

    writing = SimulatedCluster.write
    with monkeypatch.context() as patch:
        patch.setattr(SimulatedCluster, "write", write)
        assert not store.replace_tally("HOT", TALLY, None)
    assert list(store.scan_tickers()) == ["HOT"]
    assert store.replace_tally("HOT", read(store), None)
    assert list(store.scan_tickers()) == []
    assert read(store) is None


def test_levels_that_nothing_names_any_more_are_named_again(network: Network, store: AerospikeStore) -> None:
    """And are not made a second time, where the worker that has them would not write."""
    for key in [key for key in network.server.records if "-p" in key[2] or "-bands" in key[2]]:
        del network.server.records[key]
    found = read(store)
    assert found == Tally(TALLY.summary, {})
    assert not store.replace_tally("HOT", found, TALLY)
    assert read(store) == TALLY
    assert store.replace_tally("HOT", TALLY, TALLY)
