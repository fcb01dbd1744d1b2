"""The Aerospike client's place, taken by the server in memory, with a network in between that is at fault.

The adapter's `Cluster` runs as it is: its retries, its batches and its reading of errors are under test.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from itertools import islice
from types import SimpleNamespace
from typing import Any, Self
from unittest.mock import patch

import aerospike
from aerospike import exception
from aerospike_helpers.batch.records import BatchRecord, BatchRecords, Read, Write

from tests.simulation.faults import Faults
from tests.simulation.loop import Crash, Loop
from tests.simulation.server import Server
from trades.stores.aerospike import Cluster, ClusterOptions, changes
from trades.stores.aerospike import cluster as cluster_module
from trades.stores.aerospike.errors import KEY_BUSY, NO_RESPONSE, OK, RECORD_TOO_BIG
from trades.stores.aerospike.layout import Key

TIMEOUT_MS = 2_000
SERVER_EPOCH_S = 1_262_304_000  # 2010
_STEP_MS = 3
_LATE_MS = 300_000
_HOT_MS = 3_000
_DOWN_MS = 60_000


class Network:
    """What all clients share: the server, and what is wrong on the way to it."""

    def __init__(self, loop: Loop, rng: random.Random, faults: Faults, server: Server) -> None:
        self.loop, self.rng, self.faults, self.server = loop, rng, faults, server
        self.clients = 0
        self._down_until_ms = 0
        self._hot_until_ms: dict[Key, int] = {}

    @classmethod
    def without_faults(cls) -> Self:
        """Nothing goes wrong but what a test does."""
        loop, rng = Loop(), random.Random(1)
        faults = Faults(rng, loop.tell)
        faults.is_over = True
        return cls(loop, rng, faults, Server())

    def is_down(self) -> bool:
        if self.faults.strikes("store down"):
            self._down_until_ms = self.loop.now_ms + self.rng.randrange(_DOWN_MS)
        return not self.faults.is_over and self.loop.now_ms < self._down_until_ms

    def is_hot(self, key: Key) -> bool:
        if self.faults.strikes("hot key"):
            self._hot_until_ms[key] = self.loop.now_ms + self.rng.randrange(_HOT_MS)
        return not self.faults.is_over and self.loop.now_ms < self._hot_until_ms.get(key, 0)

    def send_late(self, requests: Sequence[BatchRecord], only_where: Any) -> None:
        """Requests that nobody waits for any more, but that the server will do."""
        for request in _copies(requests):
            self.loop.after(self.rng.randrange(_LATE_MS), partial(self._arrive, request, only_where))

    def _arrive(self, request: Write, only_where: Any) -> None:
        self.server.handle(request, only_where)
        self.loop.tell("nobody", "Write", request.key[2], request.result)


class Client:
    """One process's connection: the calls of the `aerospike` client that the adapter makes."""

    def __init__(self, network: Network) -> None:
        network.clients += 1
        self._name = f"client {network.clients}"
        self._network = network
        self._loop, self._faults, self._server = network.loop, network.faults, network.server

    def batch_write(self, batch: BatchRecords, policy: dict[str, Any]) -> None:
        requests = sorted(batch.batch_records, key=_name)  # the adapter's sets have no order of their own
        self._network.rng.shuffle(requests)
        only_where = policy.get("expressions")
        if self._faults.strikes("no node known"):
            _answer_without_server(batch)
            return
        if self._network.is_down() or self._faults.strikes("store unreached"):
            self._time_out()
        if self._faults.strikes("arrives late"):
            self._network.send_late(requests, only_where)
            self._time_out()
        if self._faults.strikes("sent twice"):
            self._handle(_copies(requests), only_where)
        if self._faults.strikes("store in doubt"):
            self._handle(requests[: self._network.rng.randrange(len(requests) + 1)], only_where)
            self._time_out()
        self._handle(requests, only_where)

    def batch_read(self, keys: Sequence[Key], bins: list[str] | None, policy: dict[str, Any]) -> BatchRecords:
        operations = [{"op": aerospike.OPERATOR_READ, "bin": name} for name in bins or ()]
        batch = BatchRecords([Read(key, operations or None, read_all_bins=bins is None) for key in keys])
        self.batch_write(batch, policy)
        if batch.result != OK:  # no node is known
            batch.batch_records = []
        return batch

    def _handle(self, requests: Sequence[BatchRecord], only_where: Any) -> None:
        for place, request in enumerate(requests):
            try:
                self._loop.pause(self._faults.latency_ms(_STEP_MS))
            except Crash:
                if self._network.rng.random() < 0.5:  # they were on the wire already
                    self._network.send_late(requests[place:], only_where)
                raise
            if self._network.is_hot(request.key):
                request.result = KEY_BUSY
            elif isinstance(request, Write) and self._faults.strikes("record too big"):
                request.result = RECORD_TOO_BIG
            else:
                self._server.handle(request, only_where)
                self._loop.tell(self._name, type(request).__name__, request.key[2], request.result)
                if self._faults.strikes("record in doubt"):
                    request.result, request.record = NO_RESPONSE, None
        self._loop.pause(self._faults.latency_ms(_STEP_MS))

    def _time_out(self) -> None:
        self._loop.pause(TIMEOUT_MS)
        raise exception.TimeoutError(9, "the server did not answer")

    def query(self, namespace: str, set_: str) -> "_Query":
        return _Query(self, self._server, namespace, set_)

    def reach(self) -> None:
        """On the way to the server, or back. Raises as the client does."""
        if self._network.is_down() or self._faults.strikes("query breaks off"):
            self._time_out()
        self._loop.pause(self._faults.latency_ms(_STEP_MS))

    def page(self, most: int) -> int:
        """How many records come at once: few, so that a query has several pages."""
        return min(most, 3 if self._faults.is_over else self._network.rng.randint(1, 5))

    def info_all(self, command: str) -> dict[str, tuple[None, str]]:
        kind, _, rest = command.partition("/")
        count = len(self._server.of_set(*rest.split("/"))) if kind == "sets" else 0
        time_s = self._server.clock_ms() // 1_000 - SERVER_EPOCH_S
        return {"node": (None, f"objects={count};stop_writes=false;nsup-period=120;current_time={time_s}")}

    def info_random_node(self, _command: str) -> str:
        return "ok"


class _Query:
    """Reads what matches in a set, in pages if it is told to; other things happen in between."""

    def __init__(self, client: Client, server: Server, namespace: str, set_: str) -> None:
        self._client, self._server, self._place = client, server, (namespace, set_)
        self._range: tuple[str, int, int] | None = None
        self._is_paged = self._is_done = False
        self._last = ""
        self.max_records = 0

    def where(self, predicate: tuple[Any, ...]) -> None:
        _, _, name, low, high = predicate[:5]
        self._range = name, low, high

    def select(self, *bins: str) -> None:
        self._bins = bins

    def paginate(self) -> None:
        self._is_paged = True

    def is_done(self) -> bool:
        return self._is_done

    def results(self, policy: dict[str, Any]) -> list[tuple[Any, Any, dict[str, Any]]]:
        """Records are looked at one by one: what is written behind this place is not seen."""
        self._client.reach()
        limit = self.max_records if self._is_paged else None
        if limit and self._range is None:  # of a range, the adapter asks for parts, which are not simulated
            limit = self._client.page(limit)
        found = self._matching(policy.get("expressions"))
        rows = [self._row(key, bins) for key, bins in islice(found, limit)]
        self._is_done = limit is None or len(rows) < limit
        if rows:
            self._last = rows[-1][0][2]
        self._client.reach()
        return rows

    def _matching(self, only_where: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        found = self._server.scan(*self._place, self._last, only_where)
        return ((key, bins) for key, bins in found if self._is_in_range(bins))

    def _row(self, key: str, bins: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
        selected = {name: bins[name] for name in self._bins if name in bins}
        return (*self._place, key, _digest(key)), {}, selected

    def _is_in_range(self, bins: dict[str, Any]) -> bool:
        if self._range is None:
            return True
        name, low, high = self._range
        return name in bins and low <= bins[name] <= high


class SimulatedCluster(Cluster):
    """The adapter's own cluster on such a client."""

    def __init__(self, network: Network) -> None:
        super().__init__(ClusterOptions((("simulated", 3000),), timeout_ms=TIMEOUT_MS))
        self._simulated = Client(network)

    def _connect(self) -> Client:
        return self._simulated


@contextmanager
def fake_sleep(loop: Loop) -> Iterator[None]:
    """Where the adapter sleeps between its retries, others run."""
    clock = SimpleNamespace(
        sleep=lambda seconds: loop.pause(int(seconds * 1_000)),
        perf_counter=lambda: loop.now_ms / 1_000,
        monotonic=lambda: loop.now_ms / 1_000,
    )
    with patch.object(cluster_module, "time", clock), patch.object(changes, "time", clock):
        yield


def _answer_without_server(batch: BatchRecords) -> None:
    """What the client does once it has given up its last node; nothing is sent."""
    batch.result = 1
    for request in batch.batch_records:
        request.result, request.record = 0, (request.key, {"ttl": 0, "gen": 0}, {})


def _copies(requests: Sequence[BatchRecord]) -> list[Write]:
    """The same writes, whose answers nobody will see."""
    return [Write(one.key, one.ops, one.meta, one.policy) for one in requests if isinstance(one, Write)]


def _digest(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=20).digest()


def _name(request: BatchRecord) -> tuple[str, str]:
    """Tells the requests of a batch apart: several for one record put marks of different events."""
    return request.key[2], repr(request.ops[0].get("val")) if request.ops else ""
