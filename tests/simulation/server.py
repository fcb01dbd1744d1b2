"""An Aerospike server in memory, as far as the adapter uses one: records, and what a call does to one.

`test_server.py` holds it against a real server.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import aerospike
from aerospike_helpers.batch.records import BatchRecord, Read, Write

from tests.simulation.expressions import passes
from tests.simulation.operations import Bins, Refused, copy, run
from trades.stores.aerospike.errors import EXISTS, FILTERED_OUT, GENERATION, NOT_FOUND, OK
from trades.stores.aerospike.layout import Key


class Record(NamedTuple):
    generation: int
    bins: Bins
    updated_ns: int


class Server:
    """All of it happens at once: a call on a record is atomic. `clock_ms`: since 1970."""

    def __init__(self, clock_ms: Callable[[], int] = lambda: 0) -> None:
        self.clock_ms = clock_ms
        self.records: dict[Key, Record] = {}

    def handle(self, request: BatchRecord, only_where: list[Any] | None = None) -> None:
        """Do what a batch asks of one record, and put the answer where the client puts it."""
        try:
            generation, bins = (
                self._read(request) if isinstance(request, Read) else self._write(request, only_where)
            )
        except Refused as refused:
            request.result, request.record = refused.code, None
        else:
            request.result, request.record = OK, (request.key, {"gen": generation}, bins)

    def _read(self, request: Read) -> tuple[int, Bins]:
        record = self.records.get(request.key)
        if record is None:
            raise Refused(NOT_FOUND)
        if request.read_all_bins:
            return record.generation, copy(record.bins)
        answers = {operation["bin"]: run(operation, record.bins) for operation in request.ops}
        return record.generation, {name: value for name, value in answers.items() if value is not None}

    def _write(self, request: Write, only_where: list[Any] | None) -> tuple[int, Bins]:
        policy = request.policy or {}
        record = self.records.get(request.key)
        generation, bins = (record.generation, copy(record.bins)) if record else (0, {})
        if policy.get("gen") == aerospike.POLICY_GEN_EQ and request.meta["gen"] != generation:
            raise Refused(GENERATION)
        if record is None and policy.get("exists") == aerospike.POLICY_EXISTS_UPDATE:
            raise Refused(NOT_FOUND)
        if record is not None and policy.get("exists") == aerospike.POLICY_EXISTS_CREATE:
            raise Refused(EXISTS)
        if record is not None and not passes(policy.get("expressions", only_where), bins):
            raise Refused(FILTERED_OUT)
        answers = {operation["bin"]: run(operation, bins) for operation in request.ops}
        self.records[request.key] = Record(generation + 1, bins, self.clock_ms() * 1_000_000)
        return generation + 1, answers

    def scan(
        self, namespace: str, set_: str, after: str, only_where: list[Any] | None
    ) -> Iterator[tuple[str, Bins]]:
        """What matches in a set, by key from `after` on."""
        for key in sorted(key for key in self.records if key[:2] == (namespace, set_) and key[2] > after):
            record = self.records[key]
            if passes(only_where, record.bins, record.updated_ns):
                yield key[2], copy(record.bins)

    def of_set(self, namespace: str, set_: str) -> dict[str, Bins]:
        """All records of a set by key."""
        return {key[2]: record.bins for key, record in self.records.items() if key[:2] == (namespace, set_)}
