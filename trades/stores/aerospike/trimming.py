"""Take the marks of done events out of records, so that every record stays small.

In this order, which the argument in `counting` rests on: read a record's marks and its note; see which of
their events are done; raise the trim counter to g; then, in one atomic change that passes only if the note is
what it was, remove those marks, fold what they carry into `levels`, and note g. A trim that arrives twice,
or beside another, finds the note changed and does nothing. Trimming is never needed for correctness: what
fails is tried again when the record is next written.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import aerospike
from aerospike_helpers.batch.records import Write
from aerospike_helpers.operations import map_operations

from trades.store import StoreUnavailable
from trades.stores.aerospike.claims import Claims
from trades.stores.aerospike.cluster import Bins, Cluster
from trades.stores.aerospike.errors import OK
from trades.stores.aerospike.fence import SEALED, Fence, unchanged_filter
from trades.stores.aerospike.layout import MARKS_LIMIT, Key
from trades.stores.aerospike.plan import MARK, Planned, fold_levels, is_fold_mark, put_levels
from trades.stores.aerospike.shards import Shards

_KNOWN_DONE_LIMIT = 65_536
_STUCK_LIMIT = 4_096


class Trimmer:
    """Trims the records that were noted as due. Thread-safe."""

    def __init__(self, cluster: Cluster, claims: Claims, fence: Fence, shards: Shards) -> None:
        self._cluster = cluster
        self._claims = claims
        self._fence = fence
        self._shards = shards
        self._lock = threading.Lock()
        self._due: dict[str, Key] = {}
        # A cache of this process's own work, oldest first. Of a plain dict, the first is dear to find.
        self._done: OrderedDict[bytes, None] = OrderedDict()
        # Marks that had to stay: such a record waits until it has twice as many.
        self._stuck: dict[str, int] = {}

    def note_done(self, event_keys: Iterable[bytes]) -> None:
        """Events that are certainly done, to spare reading their claims."""
        with self._lock:
            self._done.update(dict.fromkeys(event_keys))
            while len(self._done) > _KNOWN_DONE_LIMIT:
                self._done.popitem(last=False)

    def note_due(self, plan: Planned) -> None:
        """Its writer found a record large; or so large that it takes no more: then there is no answer."""
        answer = plan.write.record
        with self._lock:
            stuck = self._stuck.get(plan.name)
            if stuck is None or answer is None or answer[2]["marks"] >= 2 * stuck:
                self._due[plan.name] = plan.write.key

    def trim_due(self) -> None:
        """Trim what is due; errors of the store leave it for later."""
        with self._lock:
            keys, self._due = list(self._due.values()), {}
        if keys:
            try:
                self.trim(keys)
            except StoreUnavailable:
                return

    def trim(self, keys: list[Key]) -> None:
        found = self._cluster.read(keys, "marks", "levels", "trims")
        records = {
            key: bins
            for key, bins in zip(keys, found, strict=True)
            if bins and bins.get("marks") and bins.get("trims") != SEALED
        }
        done = self._find_done([mark for bins in records.values() for mark in bins["marks"]])
        trims = self._fence.advance(records.values())
        writes = []
        for key, bins in records.items():
            removable = [mark for mark in bins["marks"] if mark in done]
            self._note_stuck(key[2], len(bins["marks"]) - len(removable))
            if removable:
                writes.append(_plan_trim(key, bins, removable, trims))
        self._cluster.write(writes)
        removed = [records[write.key]["marks"].keys() & done for write in writes if write.result == OK]
        self._cluster.observer.trimmed(sum(map(len, removed)))
        with self._lock:
            for write in writes:
                if write.result != OK:
                    self._stuck.pop(write.key[2], None)

    def _find_done(self, marks: list[bytes]) -> set[bytes]:
        with self._lock:
            done = {mark for mark in marks if mark in self._done or is_fold_mark(mark)}
        unknown = list(dict.fromkeys(mark for mark in marks if mark not in done))
        if unknown:
            claims = self._claims.read(unknown)
            done.update(mark for mark, claim in claims.items() if claim.is_done)
            if self._shards.claims_expire:
                done.update(mark for mark in unknown if mark not in claims)
        return done

    def _note_stuck(self, name: str, marks: int) -> None:
        with self._lock:
            if marks < MARKS_LIMIT // 2:
                self._stuck.pop(name, None)
            elif len(self._stuck) < _STUCK_LIMIT or name in self._stuck:
                self._stuck[name] = marks


def _plan_trim(key: Key, bins: Bins, removable: list[bytes], trims: int) -> Write:
    operations: list[dict[str, Any]] = [
        map_operations.map_remove_by_key_list("marks", removable, aerospike.MAP_RETURN_NONE),
        {"op": aerospike.OPERATOR_WRITE, "bin": "trims", "val": trims},
    ]
    added = [bins["marks"][mark] for mark in removable]
    if added[0] != MARK:
        changed = {price for entries in added for price in entries}
        levels = {price: level for price, level in bins.get("levels", {}).items() if price in changed}
        operations.append(put_levels(fold_levels(levels, added)))
    return Write(key, operations, None, {"expressions": unchanged_filter(bins.get("trims"))})
