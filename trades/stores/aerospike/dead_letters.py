"""Dead letters: a record each, by the letter's own key, and records of parts where the data is long.

A server's records are bounded (to 1 MiB, or what its operator set), and a list needs no more than the first
bytes of each letter. So these are in the letter's record, and the rest in parts that are written before it.
"""

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

import aerospike
from aerospike_helpers import expressions as exp
from aerospike_helpers.batch.records import Write
from aerospike_helpers.operations import expression_operations

from trades.store import MAX_CUT_DATA_BYTES, DeadLetter, LetterPlace, Outcome, StoreUnavailable
from trades.stores.aerospike.cluster import Bins, Cluster, Operation
from trades.stores.aerospike.errors import FILTERED_OUT, NOT_FOUND, OK
from trades.stores.aerospike.layout import Key, Names
from trades.stores.aerospike.plan import put_value, put_values
from trades.stores.aerospike.room import LARGEST

PART_BYTES = 64 * 1024

_UPDATE_ONLY: dict[str, int] = {"exists": aerospike.POLICY_EXISTS_UPDATE}
_SCAN_PAGE = 5_000
_RECEIVED = exp.IntBin("received_ms")
_REPLAYED = exp.IntBin("replayed_ms")
_WAITS, _ANY = exp.Eq(_REPLAYED, 0), exp.GE(_REPLAYED, 0)


class DeadLetters:
    """`add_dead_letters`, `mark_replayed`, and the reads of dead letters. Thread-safe."""

    def __init__(self, cluster: Cluster, names: Names) -> None:
        self._cluster = cluster
        self._names = names

    def add(self, letters: Sequence[DeadLetter]) -> list[Outcome]:
        has_parts = list(map(self._add_parts, letters))
        writes = [self._write(letter) for letter in letters]
        self._cluster.write([write for write, is_ready in zip(writes, has_parts, strict=True) if is_ready])
        return [Outcome.STORED if write.result == OK else Outcome.UNAVAILABLE for write in writes]

    def _add_parts(self, letter: DeadLetter) -> bool:
        """Before the letter, which is found by its record; writing them again changes nothing."""
        parts = [
            letter.data[start : start + PART_BYTES]
            for start in range(MAX_CUT_DATA_BYTES, len(letter.data), PART_BYTES)
        ]
        keys = self._part_keys(letter.key, len(letter.data))
        writes = [Write(key, [put_value("data", part)]) for key, part in zip(keys, parts, strict=True)]
        self._cluster.write(writes)
        return all(write.result == OK for write in writes)

    def _write(self, letter: DeadLetter) -> Write:
        values: dict[str, Any] = {
            "attributes": letter.attributes,
            "data": letter.data[:MAX_CUT_DATA_BYTES],
            "data_size": len(letter.data),
            "destination": letter.destination,
            "status": letter.status,
            "reason": letter.reason,
            "replayed_ms": 0,
        }
        return Write(
            self._names.dead_letter(letter.key),
            [*_raise("received_ms", letter.received_ms), *put_values(values)],
        )

    def mark_replayed(self, letter: DeadLetter, time_ms: int) -> bool:
        key = self._names.dead_letter(letter.key)
        write = Write(key, [put_value("replayed_ms", time_ms)], None, _UPDATE_ONLY)
        self._cluster.write([write], exp.Eq(_RECEIVED, letter.received_ms).compile())
        if write.result not in (OK, NOT_FOUND, FILTERED_OUT):
            raise StoreUnavailable(f"Aerospike could not mark a dead letter: code {write.result}")
        return bool(write.result == OK)

    def read(
        self, limit: int, *, waiting_only: bool, before: LetterPlace | None, cut: bool
    ) -> list[DeadLetter]:
        """Newest first. Looks at the times of all letters, and reads `limit` of them."""
        rows = self._scan(_WAITS if waiting_only else _ANY, before.received_ms if before else LARGEST)
        places = (LetterPlace(bins["received_ms"], key) for key, bins in rows)
        newest = heapq.nlargest(limit, (place for place in places if before is None or place < before))
        return self._read([place.key for place in newest], cut=cut)

    def read_one(self, key: str) -> DeadLetter | None:
        return next(iter(self._read([key])), None)

    def count(self) -> int:
        """Of those that wait. Looks at all letters; their data stays where it is."""
        return sum(1 for _ in self._scan(_WAITS))

    def scan(self, replayed_since_ms: int) -> Iterator[DeadLetter]:
        for key, _bins in self._scan(exp.Or(_WAITS, exp.GE(_REPLAYED, replayed_since_ms))):
            yield from self._read([key])

    def _scan(self, is_wanted: Any, until_ms: int = LARGEST) -> Iterator[tuple[str, Bins]]:
        """Without parts, which have no time."""
        return self._cluster.query(
            self._names.trades_namespace,
            self._names.dead_letters_set,
            ("received_ms",),
            only_where=exp.And(is_wanted, exp.LE(_RECEIVED, until_ms)).compile(),
            page_size=_SCAN_PAGE,
        )

    def _read(self, keys: Sequence[str], *, cut: bool = False) -> list[DeadLetter]:
        found = self._cluster.read([self._names.dead_letter(key) for key in keys])
        data_of = _cut_data if cut else self._whole_data
        return [
            _parse(key, bins, data_of(key, bins))
            for key, bins in zip(keys, found, strict=True)
            if bins and "received_ms" in bins  # else it is the key of a part
        ]

    def _whole_data(self, key: str, bins: Bins) -> bytes:
        parts = self._cluster.read(self._part_keys(key, bins.get("data_size", 0)), "data")
        if None in parts:
            raise StoreUnavailable(f"Aerospike has lost a part of the dead letter {key}")
        return bytes(bins["data"]) + b"".join(bytes(part["data"]) for part in parts if part)

    def _part_keys(self, key: str, data_size: int) -> list[Key]:
        count = -(-max(0, data_size - MAX_CUT_DATA_BYTES) // PART_BYTES)
        return [self._names.dead_letter(f"{key}-{number}") for number in range(count)]


def _raise(bin_: str, value: int) -> tuple[Operation, Operation]:
    """Set a bin to this value, or to one more than it has, whichever is more."""
    larger = exp.Cond(exp.LT(exp.IntBin(bin_), value), value, exp.IntBin(bin_)).compile()
    increment: Operation = {"op": aerospike.OPERATOR_INCR, "bin": bin_, "val": 1}
    return increment, expression_operations.expression_write(bin_, larger)


def _cut_data(_key: str, bins: Bins) -> bytes:
    return bytes(bins["data"][:MAX_CUT_DATA_BYTES])


def _parse(key: str, bins: Bins, data: bytes) -> DeadLetter:
    """Letters from before there were parts have no `data_size`, and all their data in one bin."""
    return DeadLetter(
        key,
        bins["received_ms"],
        bins["attributes"],
        data,
        bins["destination"],
        bins["status"],
        bins["reason"],
        bins["replayed_ms"],
        bins.get("data_size", len(bins["data"])) - len(data),
    )
