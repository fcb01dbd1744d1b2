"""The trim counter: in the one small record that all workers share, with the shards' numbers (`shards`).

The counter `trims` is raised before marks are removed, and each record that loses marks notes the number
that its trimmer got. A worker takes the counter's value *before* it looks at claims; its writes pass only
where the record's note is not above that value, that is, where nothing was trimmed since. An old value
is always safe (more writes are refused), so it is kept in memory.

A record that notes SEALED takes no writes any more, whatever the fence: its shard is folded away (`folding`).
"""

import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import aerospike
from aerospike_helpers import expressions as exp
from aerospike_helpers.batch.records import Write

from trades.store import StoreUnavailable
from trades.stores.aerospike.cluster import Bins, Cluster
from trades.stores.aerospike.errors import OK
from trades.stores.aerospike.layout import Names
from trades.stores.aerospike.shards import STATE_BINS, Shards

SEALED = 2**62  # above any value that the counter will ever have

_INCREMENT, _READ = aerospike.OPERATOR_INCR, aerospike.OPERATOR_READ


class Fence:
    """What this process knows of the trim counter."""

    def __init__(self, cluster: Cluster, names: Names, shards: Shards) -> None:
        self._cluster = cluster
        self._key = names.state()
        self._shards = shards
        self._lock = threading.Lock()
        self._trims: int | None = None

    @property
    def value(self) -> int:
        """A value that the counter had at some time before now."""
        return self._trims if self._trims is not None else self.refresh()

    def refresh(self, at_least: int = 0) -> int:
        """Read the counter and the shards; raise it if the server lost it while records kept their notes."""
        (state,) = self._cluster.read([self._key], "trims", *STATE_BINS)
        self._shards.learn(state)
        trims: int = (state or {}).get("trims", 0)
        return self._learn(trims if trims >= at_least else self._add(at_least - trims))

    def advance(self, records: Iterable[Bins]) -> int:
        """A number above every value that any worker took before this call, and above these records' notes.

        A server that was killed may have lost its last raises. What this process and the records remember of
        them is raised again. It is the server's own answer that counts: no two workers get the same.
        """
        notes = (bins.get("trims", 0) for bins in records)
        above = max((self._trims or 0, *(note for note in notes if note != SEALED)))
        trims = self._add(1)
        while trims <= above:
            trims = self._add(above + 1 - trims)
        self._learn(trims)
        return trims

    def _add(self, amount: int) -> int:
        write = Write(
            self._key,
            [{"op": _INCREMENT, "bin": "trims", "val": amount}, {"op": _READ, "bin": "trims"}],
        )
        self._cluster.write([write])
        if write.result != OK:
            raise StoreUnavailable(f"Aerospike could not raise the trim counter: code {write.result}")
        trims: int = write.record[2]["trims"]
        return trims

    def _learn(self, trims: int) -> int:
        with self._lock:
            self._trims = max(trims, self._trims or 0)
            return self._trims


@lru_cache(maxsize=64)
def apply_filter(trims: int, limit: int) -> Any:
    """Passes records that were not trimmed after `trims` and whose notional is below `limit` (`room`)."""
    return exp.And(
        exp.Or(exp.Not(exp.BinExists("trims")), exp.LE(exp.IntBin("trims"), trims)),
        exp.Or(exp.Not(exp.BinExists("notional")), exp.LT(exp.IntBin("notional"), limit)),
    ).compile()


@lru_cache(maxsize=4_096)
def unchanged_filter(trims: int | None) -> Any:
    """Passes a record whose note is still `trims` (None: it never was trimmed)."""
    if trims is None:
        return exp.Not(exp.BinExists("trims")).compile()
    return exp.Eq(exp.IntBin("trims"), trims).compile()
