"""Fold the records of a closed shard into shard 1, while others write: what `reshard` does record by record.

A record is *sealed*: its note of trims becomes SEALED, which no fence reaches. So no apply, trim or repair
that was planned before can change it any more; one that comes where there is no record yet meets a sealed,
empty one. What it holds is then final, and is added to the same record of shard 1 in one atomic call, which
also puts the shard's number into the map `folded` there, create-only: a second time changes nothing. Readers
leave out a record whose number is in `folded` of its record of shard 1: each reader sees its sums once,
before, in between and after. Sealed records are never deleted and never opened again.

An event whose claim names a closed shard (`counting` sends it here), in each of its records:

- The record of its shard is sealed first, and made for that if need be. Then its mark is in there, and
  always will be: it was applied there, and is folded now if it was not. Or its mark is not in there, and
  never will be: it is applied in shard 1, under the fence that was taken before its claim was read.
- So of the two records exactly one ever has its mark, whoever comes, and however late.

No event is lost when a shard closes under a worker's hands. A worker looks at the state record after its
records took their marks and before it sets done. If the shard is open then, it was closed later, so the scan
of `reshard`, which begins later still, finds these records. If it is closed, the worker starts again. If it
dies in between, its record may be there and even sealed, and folded by nobody: so `reshard` settles each
record once more before it empties it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from aerospike_helpers.batch.records import Write

from trades.store import StoreUnavailable
from trades.stores.aerospike.cluster import READ, Bins, Cluster, Operation
from trades.stores.aerospike.errors import ELEMENT_EXISTS, FILTERED_OUT, OK
from trades.stores.aerospike.fence import SEALED, apply_filter
from trades.stores.aerospike.layout import Key, Names, SummaryKey, parse_summary_key
from trades.stores.aerospike.plan import (
    CREATE_ONLY_MAP,
    add_extremes,
    add_sums,
    fold_mark,
    plan_bands,
    put_items,
    put_levels_as_mark,
    put_value,
)
from trades.stores.aerospike.room import limit_for
from trades.stores.aerospike.shards import FIRST
from trades.stores.aerospike.summaries import LEVEL_BINS, SUMMARY_BINS, parse_levels, parse_summary

_SEAL: list[Operation] = [
    put_value("trims", SEALED),
    *({"op": READ, "bin": name} for name in dict.fromkeys((*SUMMARY_BINS, *LEVEL_BINS))),
]


class _Child(NamedTuple):
    """A sealed record that holds something."""

    place: SummaryKey
    bins: Bins


class Folder:
    """Seals and folds. All of it may be done any number of times, by anyone."""

    def __init__(self, cluster: Cluster, names: Names) -> None:
        self._cluster = cluster
        self._names = names

    def settle(self, keys: Iterable[Key]) -> dict[Key, Bins]:
        """Seal these records of closed shards, fold what is in them, and give what they hold for good.

        Raises StoreUnavailable where that did not work for all: do it again.
        """
        writes = [Write(key, _SEAL) for key in dict.fromkeys(keys)]
        self._cluster.write(writes)
        _check(writes, "seal", OK)
        sealed = {write.key: {name: value for name, value in write.record[2].items() if value is not None}
                  for write in writes}  # fmt: skip
        self._fold([_Child(place, bins) for key, bins in sealed.items() if (place := _full(key, bins))])
        return sealed

    def parents(self, keys: Iterable[Key]) -> list[Key]:
        """The records of shard 1 that these are folded into."""
        places = (parse_summary_key(key[2]) for key in keys)
        return list(dict.fromkeys(self._parent(place) for place in places if place))

    def _parent(self, place: SummaryKey) -> Key:
        if place.band is None:
            return self._names.summary(place.ticker, FIRST)
        return self._names.levels(place.ticker, FIRST, place.band)

    def _fold(self, children: Sequence[_Child]) -> None:
        """Price levels are named before they are there, so that no reader misses one."""
        bands: dict[str, set[int]] = {}
        for place, _bins in children:
            if place.band is not None:
                bands.setdefault(place.ticker, set()).add(place.band)
        named = [
            plan.write
            for ticker, numbers in bands.items()
            for plan in plan_bands(self._names, ticker, FIRST, numbers)
        ]
        self._cluster.write(named)
        _check(named, "name the price levels of", OK)
        writes = [Write(self._parent(child.place), _fold_operations(child)) for child in children]
        limit = limit_for(child.bins.get("notional") or 0 for child in children)
        self._cluster.write(writes, apply_filter(SEALED - 1, limit))
        _check(writes, "fold", OK, ELEMENT_EXISTS)


def _full(key: Key, bins: Bins) -> SummaryKey | None:
    """Where a record is, if it holds anything that has to be folded."""
    place = parse_summary_key(key[2])
    if place is None:
        return None
    return place if "count" in bins or (place.band is not None and parse_levels(bins)) else None


def _fold_operations(child: _Child) -> list[Operation]:
    shard, bins = child.place.shard, child.bins
    operations = [put_items("folded", {shard: 1}, CREATE_ONLY_MAP)]
    if child.place.band is not None:
        return [*operations, put_levels_as_mark(fold_mark(shard), parse_levels(bins))]
    part = parse_summary(bins)
    operations += add_sums(part.trade_count, part.volume, part.notional_ticks)
    if part.lowest_ticks:
        operations += add_extremes(part.highest_ticks, part.lowest_ticks, list(part.latest))
    return operations


def _check(writes: Sequence[Write], what: str, *fine: int) -> None:
    """Raises StoreUnavailable for the first that is not fine."""
    for write in writes:
        if write.result == FILTERED_OUT:
            raise StoreUnavailable(
                f"Aerospike record {write.key[2]!r} has no room: one shard's sum would leave 63 bits"
            )
        if write.result not in fine:
            raise StoreUnavailable(f"Aerospike could not {what} {write.key[2]!r}: code {write.result}")
