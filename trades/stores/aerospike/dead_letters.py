"""Dead letters: one record each, by the letter's own key."""

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

import aerospike
from aerospike_helpers import expressions as exp
from aerospike_helpers.batch.records import Write

from trades.store import DeadLetter, StoreUnavailable
from trades.stores.aerospike.cluster import EXISTS, NOT_FOUND, OK, Bins, Cluster
from trades.stores.aerospike.layout import Names

_CREATE_ONLY: dict[str, int] = {"exists": aerospike.POLICY_EXISTS_CREATE}
_UPDATE_ONLY: dict[str, int] = {"exists": aerospike.POLICY_EXISTS_UPDATE}
_SCAN_PAGE = 5_000


class DeadLetters:
    """`add_dead_letter`, `mark_replayed`, and the reads of dead letters. Thread-safe."""

    def __init__(self, cluster: Cluster, names: Names) -> None:
        self._cluster = cluster
        self._names = names

    def add(self, letter: DeadLetter) -> None:
        values: dict[str, Any] = {
            "received_ms": letter.received_ms,
            "attributes": letter.attributes,
            "data": letter.data,
            "destination": letter.destination,
            "status": letter.status,
            "reason": letter.reason,
            "replayed_ms": letter.replayed_ms,
        }
        if self._write(letter.key, values, _CREATE_ONLY, EXISTS):
            return
        self._write(letter.key, {"replayed_ms": 0}, _UPDATE_ONLY, NOT_FOUND)

    def mark_replayed(self, key: str, time_ms: int) -> bool:
        return self._write(key, {"replayed_ms": time_ms}, _UPDATE_ONLY, NOT_FOUND)

    def _write(self, key: str, values: dict[str, Any], policy: dict[str, int], refusal: int) -> bool:
        operations = [
            {"op": aerospike.OPERATOR_WRITE, "bin": name, "val": value} for name, value in values.items()
        ]
        write = Write(self._names.dead_letter(key), operations, None, policy)
        self._cluster.write([write])
        if write.result not in (OK, refusal):
            raise StoreUnavailable(f"Aerospike could not keep a dead letter: code {write.result}")
        return bool(write.result == OK)

    def read(self, limit: int, *, waiting_only: bool) -> list[DeadLetter]:
        """Newest first. Looks at the times of all letters, and reads `limit` of them."""
        rows = self._scan(waiting_only)
        newest = heapq.nlargest(limit, ((bins["received_ms"], key) for key, bins in rows))
        return self._read([key for _received_ms, key in newest])

    def read_one(self, key: str) -> DeadLetter | None:
        return next(iter(self._read([key])), None)

    def count(self) -> int:
        """Of those that wait. Looks at all letters; their data stays where it is."""
        return sum(1 for _ in self._scan(waiting_only=True))

    def _scan(self, waiting_only: bool) -> Iterator[tuple[str, Bins]]:
        return self._cluster.query(
            self._names.trades_namespace,
            self._names.dead_letters_set,
            ("received_ms",),
            only_where=exp.Eq(exp.IntBin("replayed_ms"), 0).compile() if waiting_only else None,
            page_size=_SCAN_PAGE,
        )

    def _read(self, keys: Sequence[str]) -> list[DeadLetter]:
        found = self._cluster.read([self._names.dead_letter(key) for key in keys])
        return [_parse(key, bins) for key, bins in zip(keys, found, strict=True) if bins]


def _parse(key: str, bins: Bins) -> DeadLetter:
    return DeadLetter(
        key,
        bins["received_ms"],
        bins["attributes"],
        bytes(bins["data"]),
        bins["destination"],
        bins["status"],
        bins["reason"],
        bins["replayed_ms"],
    )
