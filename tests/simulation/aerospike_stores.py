"""Stores of the Aerospike adapter, on the server in memory."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from tests.simulation.client import Network, SimulatedCluster, fake_sleep
from tests.simulation.events import NOON_MS
from tests.simulation.faults import Faults
from tests.simulation.loop import Loop
from tests.simulation.server import Server
from trades.store import Outcome
from trades.stores.aerospike import AerospikeStore, Names, counting, trimming
from trades.stores.aerospike.fence import SEALED
from trades.stores.aerospike.layout import parse_summary_key
from trades.stores.aerospike.plan import is_fold_mark
from trades.stores.aerospike.shards import CLEARED
from trades.trade import Trade, TradeEvent

NAMES = Names()


class AerospikeStores:
    """One store a process; processes that start later may have more shards."""

    def __init__(self, loop: Loop, rng: random.Random, faults: Faults, marks_limit: int) -> None:
        self.server = Server(lambda: NOON_MS + loop.now_ms)
        self._marks_limit = marks_limit
        self._rng = rng
        self._network = Network(loop, rng, faults, self.server)
        self._shard_count = rng.randint(1, 3)

    def make(self) -> AerospikeStore:
        self._shard_count += self._rng.choice((0, 0, 1))
        return _Store(self._network, self._shard_count, self._rng)

    def check(self, counted: Sequence[TradeEvent]) -> None:
        """Every claim is done; marks are of counted events; notes of trims stay below the counter."""
        server = self.server
        claims = server.of_set(NAMES.trades_namespace, NAMES.events_set)
        digests = {event.key.hex(): event.digest for event in counted}
        assert {key: bins["digest"] for key, bins in claims.items()} == digests
        assert {bins["state"] for bins in claims.values()} <= {"done"}, "a claim was left open"
        state = server.of_set(NAMES.summary_namespace, NAMES.state_set).get(NAMES.summary_set, {})
        assert max((bins["shard"] for bins in claims.values()), default=0) <= state.get("shards", 0)
        for name, bins in self._summary_records().items():
            marks = {mark for mark in bins.get("marks", {}) if not is_fold_mark(mark)}
            assert marks <= {event.key for event in counted}, name
            assert bins.get("trims", 0) <= state.get("trims", 0) or bins["trims"] == SEALED, name
        self._check_shards(state)
        self._check_trimming(sorted({trade.ticker for event in counted for trade in event.trades}))

    def _check_shards(self, state: dict[str, Any]) -> None:
        """When `reshard` has ended, all records of closed shards are sealed, and no others."""
        closed = state.get("closed", {})
        assert set(closed.values()) <= {CLEARED}
        for name, bins in self._summary_records().items():
            place = parse_summary_key(name)
            if place is not None:
                assert (bins.get("trims") == SEALED) == (place.shard in closed), name

    def _check_trimming(self, tickers: Sequence[str]) -> None:
        """When all events are done, the records that a new process writes keep fewer marks than the limit."""
        store = self.make()
        before = self._summary_records()
        for number in range(self._marks_limit + 1):
            trades = [Trade(ticker, 10_000, 1, 1) for ticker in tickers]
            event = TradeEvent.of("/closing", str(number), trades, is_batch=True)
            if trades:
                assert store.count_trades([event]) == [Outcome.COUNTED]
        for name, bins in self._summary_records().items():
            if bins != before.get(name):
                assert len(bins.get("marks", ())) < self._marks_limit, f"{name} keeps {bins['marks']}"

    def _summary_records(self) -> dict[str, dict[str, Any]]:
        return self.server.of_set(NAMES.summary_namespace, NAMES.summary_set)


class _Store(AerospikeStore):
    """Chooses its shard by the schedule's own randomness."""

    def __init__(self, network: Network, shard_count: int, rng: random.Random) -> None:
        super().__init__([("simulated", 3000)], shard_count=shard_count, cluster=SimulatedCluster(network))
        self._rng = rng

    def _open(self) -> Any:
        parts = super()._open()
        parts.counter._pool._random = self._rng
        return parts


@contextmanager
def aerospike_stores(loop: Loop, rng: random.Random, faults: Faults) -> Iterator[AerospikeStores]:
    """With records that are trimmed early, so that a short schedule has many trims."""
    limit = rng.randint(1, 6)
    with (
        fake_sleep(loop),
        patch.object(counting, "MARKS_LIMIT", limit),
        patch.object(trimming, "MARKS_LIMIT", limit),
    ):
        yield AerospikeStores(loop, rng, faults, limit)
