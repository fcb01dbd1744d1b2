"""The ring of recent events: a counter a function, and records by counter modulo the ring's size."""

import heapq
from collections.abc import Sequence

from aerospike_helpers.batch.records import Write
from aerospike_helpers.operations import map_operations

from trades.store import MAX_NOTES_PER_FUNCTION, EventNote, StoreUnavailable
from trades.stores.aerospike.cluster import Bins, Cluster
from trades.stores.aerospike.errors import OK
from trades.stores.aerospike.layout import Names
from trades.stores.aerospike.plan import SORTED_MAP, put_values


class Notes:
    """`add_notes` and `read_notes`. Thread-safe."""

    def __init__(self, cluster: Cluster, names: Names) -> None:
        self._cluster = cluster
        self._names = names

    def add(self, notes: Sequence[EventNote]) -> None:
        by_function: dict[str, list[EventNote]] = {}
        for note in notes:
            by_function.setdefault(note.function, []).append(note)
        writes = []
        for function, group in by_function.items():
            last = self._reserve(function, len(group))
            first = last - len(group)
            newest = list(enumerate(group, first))[-MAX_NOTES_PER_FUNCTION:]
            writes += [self._write(note, number) for number, note in newest]
        self._cluster.write(writes)

    def _reserve(self, function: str, count: int) -> int:
        increment = map_operations.map_increment("next", function, count, SORTED_MAP)
        write = Write(self._names.note_counters(), [increment])
        self._cluster.write([write])
        if write.result != OK:
            raise StoreUnavailable(f"Aerospike could not number a note: code {write.result}")
        number: int = write.record[2]["next"]
        return number

    def _write(self, note: EventNote, number: int) -> Write:
        values = {
            "number": number,
            "function": note.function,
            "time_ms": note.time_ms,
            "attributes": note.attributes,
            "data": note.data,
            "data_size": note.data_size,
            "verdict": note.verdict,
            "reason": note.reason,
        }
        return Write(self._names.note(note.function, number % MAX_NOTES_PER_FUNCTION), put_values(values))

    def read(self, limit: int) -> list[EventNote]:
        """Newest first by (time, number)."""
        (counters,) = self._cluster.read([self._names.note_counters()], "next")
        keys = [
            self._names.note(function, number % MAX_NOTES_PER_FUNCTION)
            for function, end in ((counters or {}).get("next") or {}).items()
            for number in range(max(0, end - min(limit, MAX_NOTES_PER_FUNCTION)), end)
        ]
        found = [bins for bins in self._cluster.read(keys) if bins]
        newest = heapq.nlargest(limit, found, key=lambda bins: (bins["time_ms"], bins["number"]))
        return [_parse(bins) for bins in newest]


def _parse(bins: Bins) -> EventNote:
    return EventNote(
        bins["function"],
        bins["time_ms"],
        bins["attributes"],
        bytes(bins["data"]),
        bins["data_size"],
        bins["verdict"],
        bins["reason"],
    )
