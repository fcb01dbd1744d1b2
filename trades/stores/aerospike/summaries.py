"""Read summaries and price levels: batch reads over the shards of a ticker, with the bins needed only.

The record of the highest shard count ever used is read in the same call, so that a count raised by
someone else a moment ago is not missed.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import aerospike
from aerospike_helpers import expressions as exp
from aerospike_helpers.batch.records import Write
from aerospike_helpers.operations import expression_operations, map_operations

from trades.store import StoreUnavailable
from trades.stores.aerospike.cluster import OK, Bins, Cluster, Operation
from trades.stores.aerospike.layout import Key, Names, band_of
from trades.stores.aerospike.plan import fold_levels
from trades.summary import Latest, PriceLevel, Summary

SUMMARY_BINS = ("count", "volume", "notional", "highest", "lowest", "latest")
LEVEL_BINS = ("levels", "marks")

_SCAN_PAGE = 5_000


class Summaries:
    """`read_summary`, `read_level`, `read_levels`, `scan_tickers`."""

    def __init__(self, cluster: Cluster, names: Names, shard_count: int) -> None:
        self._cluster = cluster
        self._names = names
        self._shard_count = shard_count

    def raise_shard_count(self) -> None:
        """Make sure that readers look at as many shards as this process may write to."""
        highest = exp.Cond(
            exp.And(exp.BinExists("shards"), exp.GT(exp.IntBin("shards"), self._shard_count)),
            exp.IntBin("shards"),
            self._shard_count,
        ).compile()
        write = Write(self._names.state(), [expression_operations.expression_write("shards", highest)])
        self._cluster.write([write])
        if write.result != OK:
            raise StoreUnavailable(f"Aerospike could not note the shard count: code {write.result}")

    def read_summary(self, ticker: str) -> Summary | None:
        shards = self.read_shards(lambda shard: self._names.summary(ticker, shard), SUMMARY_BINS)
        return merge_summaries(parse_summary(bins) for bins in shards if bins)

    def read_level(self, ticker: str, price_ticks: int) -> PriceLevel | None:
        operations: list[Operation] = [
            map_operations.map_get_by_key("levels", price_ticks, aerospike.MAP_RETURN_VALUE),
            {"op": aerospike.OPERATOR_READ, "bin": "marks"},
        ]
        band = band_of(price_ticks)
        found: dict[int, PriceLevel] = {}
        for bins in self._read_shards(lambda shard: self._names.levels(ticker, shard, band), operations):
            if bins:
                level = bins.get("levels")
                merge_levels(found, parse_levels({price_ticks: level} if level else {}, bins.get("marks")))
        level = found.get(price_ticks)
        return level if level is not None and level.trade_count else None

    def read_levels(self, ticker: str) -> dict[int, PriceLevel]:
        found: dict[int, PriceLevel] = {}
        keys = [key for _shard, _band, key in self.level_keys(ticker)]
        for bins in self._cluster.read(keys, *LEVEL_BINS):
            if bins:
                merge_levels(found, parse_levels(bins.get("levels") or {}, bins.get("marks")))
        return {price: found[price] for price in sorted(found) if found[price].trade_count}

    def level_keys(self, ticker: str) -> list[tuple[int, int, Key]]:
        """(shard, band, key) of every record of price levels that a ticker has."""
        names = self._names
        pages = self.read_shards(lambda shard: names.pages(ticker, shard), ("pages",))
        wanted = [
            (shard, page) for shard, bins in enumerate(pages, 1) for page in (bins or {}).get("pages", ())
        ]
        found = self._cluster.read([names.bands(ticker, shard, page) for shard, page in wanted], "bands")
        return [
            (shard, band, names.levels(ticker, shard, band))
            for (shard, _page), bins in zip(wanted, found, strict=True)
            for band in (bins or {}).get("bands", ())
        ]

    def scan_tickers(self) -> Iterator[str]:
        seen: set[str] = set()
        rows = self._cluster.query(
            self._names.summary_namespace,
            self._names.summary_set,
            ("count",),
            only_where=exp.GT(exp.IntBin("count"), 0).compile(),
            page_size=_SCAN_PAGE,
        )
        for key, _bins in rows:
            ticker = key.rpartition("-")[0]
            if ticker not in seen:
                seen.add(ticker)
                yield ticker

    def read_shards(self, key_of: Callable[[int], Key], bins: tuple[str, ...]) -> list[Bins | None]:
        """One record of each shard, the first shard first."""
        return self._read_shards(key_of, [{"op": aerospike.OPERATOR_READ, "bin": name} for name in bins])

    def _read_shards(self, key_of: Callable[[int], Key], operations: list[Operation]) -> list[Bins | None]:
        read_count: Operation = {"op": aerospike.OPERATOR_READ, "bin": "shards"}
        while True:
            count = self._shard_count
            keys = [key_of(shard) for shard in range(1, count + 1)]
            found = self._cluster.read_with([*keys, self._names.state()], [*operations, read_count])
            state = found.pop()[1] or {}
            self._shard_count = max(count, state.get("shards") or 0)
            if self._shard_count == count:
                return [bins for _generation, bins in found]


def parse_summary(bins: Bins) -> Summary:
    """The summary in one shard's record."""
    latest: list[Any] = bins["latest"][0] if bins.get("latest") else [0, "", 0]
    return Summary(
        bins.get("count") or 0,
        bins.get("volume") or 0,
        bins.get("notional") or 0,
        bins["highest"][0] if bins.get("highest") else 0,
        bins["lowest"][0] if bins.get("lowest") else 0,
        Latest(*latest),
    )


def merge_summaries(parts: Iterable[Summary]) -> Summary | None:
    """One summary of a ticker from those of its shards.

    Sums are taken from every shard; extremes only from those that have them: a repair may leave a shard
    with an amount to subtract and no extremes.
    """
    found = list(parts)
    seen = [part for part in found if part.lowest_ticks]
    trade_count = sum(part.trade_count for part in found)
    if not seen or not trade_count:
        return None
    return Summary(
        trade_count,
        sum(part.volume for part in found),
        sum(part.notional_ticks for part in found),
        max(part.highest_ticks for part in seen),
        min(part.lowest_ticks for part in seen),
        max(part.latest for part in seen),
    )


def parse_levels(levels: dict[int, list[int]], marks: dict[bytes, Any] | None) -> dict[int, PriceLevel]:
    """The price levels in one record: those folded, and what marks still hold."""
    return fold_levels(levels, marks.values() if marks else ())


def merge_levels(into: dict[int, PriceLevel], levels: dict[int, PriceLevel]) -> None:
    for price, level in levels.items():
        into[price] = into[price].merge(level) if price in into else level
