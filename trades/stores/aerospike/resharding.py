"""`TradeStore.reshard`: fewer shards, or more, while others write. May be broken off anywhere and run again.

Growing is a number. Shrinking closes the last shards, in the state record; then goes through all records
once, sealing and folding those of closed shards (`folding` has the argument); then readers are told to leave
these shards out; then their records, which nobody reads any more, are emptied, but for their marks, which
workers with an open claim may ask for.
"""

from collections.abc import Callable, Iterator

from aerospike_helpers.batch.records import Write

from trades.store import Resharded, StoreUnavailable
from trades.stores.aerospike.cluster import Cluster, Operation
from trades.stores.aerospike.errors import OK
from trades.stores.aerospike.fence import SEALED, unchanged_filter
from trades.stores.aerospike.folding import Folder
from trades.stores.aerospike.layout import Key, Names, parse_summary_key
from trades.stores.aerospike.plan import empty_marks, put_value
from trades.stores.aerospike.shards import CLEARED, FOLDED, FOLDING, Shards
from trades.stores.aerospike.summaries import SUMMARY_BINS
from trades.stores.aerospike.trimming import Trimmer

_PAGE = 500
_SCAN_PAGE = 5_000


class Resharder:
    """Several at once do no harm."""

    def __init__(
        self, cluster: Cluster, names: Names, shards: Shards, folder: Folder, trimmer: Trimmer
    ) -> None:
        self._cluster = cluster
        self._names = names
        self._shards = shards
        self._folder = folder
        self._trimmer = trimmer

    def reshard(self, shard_count: int, count: Callable[[int], None]) -> Resharded:
        """Have `shard_count` shards. `count` is told of records that were looked at."""
        self._shards.raise_count(shard_count)
        self._shards.close(self._shards.writable[shard_count:])
        folded = 0
        folding = self._that_are(FOLDING)
        for page in self._pages(folding, count):
            self._trimmer.trim(page)  # what is done needs no mark: sealed records keep theirs for ever
            self._folder.settle(page)
            self._trimmer.trim(self._folder.parents(page))
            folded += len(page)
        self._shards.note(folding, FOLDED)
        clearing = self._that_are(FOLDED)
        for page in self._pages(clearing, count):
            self._folder.settle(
                page
            )  # a late worker may have made and sealed one, and died before it folded it
            self._clear(page)
        self._shards.note(clearing, CLEARED)
        return Resharded(self._shards.writable, folded)

    def _that_are(self, progress: int) -> list[int]:
        return [number for number, found in self._shards.closed.items() if found == progress]

    def _pages(self, numbers: list[int], count: Callable[[int], None]) -> Iterator[list[Key]]:
        """The records of these shards, some at a time. No scan where there are no such shards."""
        if not numbers:
            return
        namespace, set_ = self._names.summary_namespace, self._names.summary_set
        page: list[Key] = []
        # A record is found by a bin that it has: each of those with sums has one of these.
        rows = self._cluster.query(namespace, set_, ("count", "trims", "marks"), page_size=_SCAN_PAGE)
        for key, _bins in rows:
            count(1)
            place = parse_summary_key(key)
            if place is None or place.shard not in numbers:
                continue
            page.append((namespace, set_, key))
            if len(page) == _PAGE:
                yield page
                page = []
        if page:
            yield page

    def _clear(self, keys: list[Key]) -> None:
        """Only sealed records: what is in them is folded."""
        found = self._cluster.read(keys, "marks", "trims")
        writes = [
            Write(key, _clear_operations(key, bins.get("marks") or {}))
            for key, bins in zip(keys, found, strict=True)
            if bins and bins.get("trims") == SEALED
        ]
        self._cluster.write(writes, unchanged_filter(SEALED))
        for write in writes:
            if write.result != OK:
                raise StoreUnavailable(f"Aerospike could not empty {write.key[2]!r}: code {write.result}")


def _clear_operations(key: Key, marks: dict[bytes, object]) -> list[Operation]:
    place = parse_summary_key(key[2])
    if place is None or place.band is None:
        return [put_value(name, None) for name in SUMMARY_BINS if name != "folded"]
    operations = [put_value("levels", None)]
    if marks:
        operations.append(empty_marks(marks))
    return operations
