"""Set one ticker's summary and price levels to what they should be, while others go on counting.

Every record is changed in one atomic write that passes only if its generation is still the one that was
read: whatever was counted in between makes it fail, and nothing is overwritten. Sums are set right in *one*
shard, by the difference, so that a reader never sees a ticker half moved; extremes are clamped in all. If
some record fails, the others have still been moved towards the goal; read again and go on from there. Price
levels come first: a ticker without a summary is not found again.
It is the first shard, because that is never folded away: a repair that slept through a `reshard` makes no
record elsewhere, and finds those that were sealed meanwhile changed. While one is under way there is no
repair, as what a sealed record holds has to stay.

Marks stay: they say which events are in. Only what marks of price levels carry is moved into `levels`.
"""

from collections.abc import Container, Sequence
from typing import NamedTuple

import aerospike
from aerospike_helpers.batch.records import Write

from trades.store import StoreUnavailable
from trades.stores.aerospike.cluster import Bins, Cluster, Operation
from trades.stores.aerospike.errors import OK
from trades.stores.aerospike.fence import Fence
from trades.stores.aerospike.layout import Key, Names, band_of
from trades.stores.aerospike.plan import append_sorted, empty_marks, format_levels, plan_bands, put_value
from trades.stores.aerospike.shards import FIRST, FOLDING, Shards
from trades.stores.aerospike.summaries import (
    LEVEL_BINS,
    SUMMARY_BINS,
    Summaries,
    merge_levels,
    merge_summaries,
    parse_levels,
    parse_summary,
)
from trades.summary import PriceLevel, Summary, Tally
from trades.verify import to_tally

_CREATE_ONLY = {"exists": aerospike.POLICY_EXISTS_CREATE}
_IF_UNCHANGED = {"gen": aerospike.POLICY_GEN_EQ}


class _Record(NamedTuple):
    key: Key
    generation: int  # 0: not there
    bins: Bins


class Repairer:
    """`TradeStore.replace_tally`."""

    def __init__(
        self, cluster: Cluster, names: Names, shards: Shards, summaries: Summaries, fence: Fence
    ) -> None:
        self._cluster = cluster
        self._names = names
        self._shards = shards
        self._summaries = summaries
        self._fence = fence

    def replace(self, ticker: str, expected: Tally | None, tally: Tally | None) -> bool:
        self._shards.read()
        shards = self._shards.readable
        records = self._read([self._names.summary(ticker, shard) for shard in shards], SUMMARY_BINS)
        levels = self._read_levels(ticker)
        self._shards.read()
        if FOLDING in self._shards.closed.values():
            raise StoreUnavailable(
                "shards are being folded away: nothing is repaired before `tradewind reshard` has ended; "
                "run it again if it was broken off"
            )
        if shards != self._shards.readable:
            return False
        parts = [parse_summary(record.bins) for record in records]
        if not _is_expected(expected, parts, levels):
            return False
        unnamed = self._find_unnamed(ticker, shards, levels, tally)
        if unnamed:  # with them there is another tally to compare with
            self._write_all(unnamed)
            return False
        goal = tally.summary if tally else None
        if not self._write_all(self._level_writes(ticker, levels, tally.levels if tally else {})):
            return False  # and the summary stays, by which the ticker is found again
        return self._write_all(
            [
                _write(record, _summary_operations(part))
                for record, before, part in zip(records, parts, _settle(parts, goal), strict=True)
                if part != before
            ]
        )

    def _write_all(self, writes: list[Write]) -> bool:
        self._cluster.write(writes)
        return all(write.result == OK for write in writes)

    def _find_unnamed(
        self,
        ticker: str,
        shards: Sequence[int],
        named: Container[tuple[int, int]],
        goal: Tally | None,
    ) -> list[Write]:
        """The writes that name price levels which are there, though the server lost what named them.

        Workers know the names they gave, and would go on writing there.
        """
        bands = sorted({band_of(price) for price in goal.levels}) if goal else []
        places = [(shard, band) for shard in shards for band in bands if (shard, band) not in named]
        found = self._cluster.read([self._names.levels(ticker, *place) for place in places], "trims")
        return [
            plan.write
            for (shard, band), bins in zip(places, found, strict=True)
            if bins is not None
            for plan in plan_bands(self._names, ticker, shard, {band})
        ]

    def _read_levels(self, ticker: str) -> dict[tuple[int, int], _Record]:
        places = self._summaries.level_keys(ticker)
        records = self._read([key for _shard, _band, key in places], (*LEVEL_BINS, "trims"))
        return {(shard, band): record for (shard, band, _), record in zip(places, records, strict=True)}

    def _read(self, keys: list[Key], bins: tuple[str, ...]) -> list[_Record]:
        found = self._cluster.read_generations(keys, *bins)
        return [
            _Record(key, generation, values or {})
            for key, (generation, values) in zip(keys, found, strict=True)
        ]

    def _level_writes(
        self,
        ticker: str,
        records: dict[tuple[int, int], _Record],
        goal: dict[int, PriceLevel],
    ) -> list[Write]:
        before = {place: parse_levels(record.bins) for place, record in records.items()}
        after = {place: _clamped(levels, goal) for place, levels in before.items()}
        for price, level in goal.items():
            band = band_of(price)
            holders = [place for place in after if place[1] == band]
            place = max(
                holders,
                key=lambda holder: after[holder].get(price, _NO_LEVEL).trade_count,
                default=(FIRST, band),
            )
            mine = after.setdefault(place, {})
            others = [
                after[holder][price] for holder in holders if holder != place and price in after[holder]
            ]
            mine[price] = PriceLevel(
                level.trade_count - sum(other.trade_count for other in others),
                level.volume - sum(other.volume for other in others),
                level.latest_time_ms,
            )
        changed = [place for place in after if after[place] != before.get(place)]
        if not changed:
            return []
        # So that a trimmer that read `levels` before this does not put them back.
        trims = self._fence.advance(records[place].bins for place in changed if place in records)
        writes = []
        for shard, band in changed:
            record = records.get((shard, band)) or _Record(self._names.levels(ticker, shard, band), 0, {})
            writes.append(_write(record, _level_operations(record, after[shard, band], trims)))
            if not record.generation:
                writes += [plan.write for plan in plan_bands(self._names, ticker, shard, {band})]
        return writes


_NO_LEVEL = PriceLevel(0, 0, 0)


def _is_expected(
    expected: Tally | None, parts: list[Summary], levels: dict[tuple[int, int], _Record]
) -> bool:
    merged: dict[int, PriceLevel] = {}
    for record in levels.values():
        merge_levels(merged, parse_levels(record.bins))
    merged = {price: level for price, level in merged.items() if level.trade_count}
    return to_tally(merge_summaries(parts), merged) == expected


def _settle(parts: list[Summary], goal: Summary | None) -> list[Summary]:
    """What each shard should hold, so that merging them gives the goal."""
    empty = parse_summary({})
    if goal is None:
        return [empty for _ in parts]
    settled = [
        Summary(
            part.trade_count,
            part.volume,
            part.notional_ticks,
            min(part.highest_ticks, goal.highest_ticks),
            max(part.lowest_ticks, goal.lowest_ticks),
            min(part.latest, goal.latest),
        )
        if part.lowest_ticks
        else part
        for part in parts
    ]
    others = settled[1:]
    settled[0] = Summary(
        goal.trade_count - sum(part.trade_count for part in others),
        goal.volume - sum(part.volume for part in others),
        goal.notional_ticks - sum(part.notional_ticks for part in others),
        goal.highest_ticks,
        goal.lowest_ticks,
        goal.latest,
    )
    return settled


def _clamped(levels: dict[int, PriceLevel], goal: dict[int, PriceLevel]) -> dict[int, PriceLevel]:
    return {
        price: PriceLevel(
            level.trade_count, level.volume, min(level.latest_time_ms, goal[price].latest_time_ms)
        )
        for price, level in levels.items()
        if price in goal
    }


def _summary_operations(part: Summary) -> list[Operation]:
    """Extremes are not written as lists: those would have no order, and an append does not give them one."""
    operations = [
        put_value("count", part.trade_count),
        put_value("volume", part.volume),
        put_value("notional", part.notional_ticks),
        *(put_value(name, None) for name in ("highest", "lowest", "latest")),
    ]
    if part.lowest_ticks:
        operations += [
            append_sorted("highest", part.highest_ticks),
            append_sorted("lowest", part.lowest_ticks),
            append_sorted("latest", list(part.latest)),
        ]
    return operations


def _level_operations(record: _Record, levels: dict[int, PriceLevel], trims: int) -> list[Operation]:
    operations = [put_value("levels", format_levels(levels)), put_value("trims", trims)]
    marks = record.bins.get("marks")
    if marks:
        operations.append(empty_marks(marks))
    return operations


def _write(record: _Record, operations: list[Operation]) -> Write:
    if record.generation:
        return Write(record.key, operations, {"gen": record.generation}, _IF_UNCHANGED)
    return Write(record.key, operations, None, _CREATE_ONLY)
