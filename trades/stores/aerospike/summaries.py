"""Read summaries and price levels: batch reads over the shards of a ticker, with the bins needed only.

The record of the shards' numbers is read in the same call, so that a count raised by someone else a moment
ago is not missed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import aerospike
from aerospike_helpers import expressions as exp
from aerospike_helpers.operations import map_operations

from trades.stores.aerospike.cluster import READ, Bins, Cluster, Operation
from trades.stores.aerospike.layout import Key, Names, band_of
from trades.stores.aerospike.plan import fold_levels
from trades.stores.aerospike.shards import FIRST, STATE_BINS, Shards
from trades.summary import Latest, PriceLevel, Summary

SUMMARY_BINS = ("count", "volume", "notional", "highest", "lowest", "latest", "folded")
LEVEL_BINS = ("levels", "marks", "folded")

_SCAN_PAGE = 5_000
_READ_STATE: list[Operation] = [{"op": READ, "bin": name} for name in STATE_BINS]

Part = tuple[int, Bins]  # a shard's number, and what its record holds


class Summaries:
    """`read_summary`, `read_level`, `read_levels`, `scan_tickers`."""

    def __init__(self, cluster: Cluster, names: Names, shards: Shards) -> None:
        self._cluster = cluster
        self._names = names
        self._shards = shards

    def read_summary(self, ticker: str) -> Summary | None:
        parts = self._read_bins(lambda shard: self._names.summary(ticker, shard), SUMMARY_BINS)
        return merge_summaries(parse_summary(bins) for _shard, bins in leave_out_folded(parts))

    def read_level(self, ticker: str, price_ticks: int) -> PriceLevel | None:
        operations: list[Operation] = [
            map_operations.map_get_by_key("levels", price_ticks, aerospike.MAP_RETURN_VALUE),
            {"op": READ, "bin": "marks"},
            {"op": READ, "bin": "folded"},
        ]
        band = band_of(price_ticks)
        parts = self._read_shards(
            lambda shards: self._cluster.read_by_operations(
                [
                    *((self._names.levels(ticker, shard, band), operations) for shard in shards),
                    (self._names.state(), _READ_STATE),
                ]
            )
        )
        found: dict[int, PriceLevel] = {}
        for _shard, bins in leave_out_folded(parts):
            level = bins.get("levels")
            merge_levels(found, parse_levels({**bins, "levels": {price_ticks: level} if level else {}}))
        level = found.get(price_ticks)
        return level if level is not None and level.trade_count else None

    def read_levels(self, ticker: str) -> dict[int, PriceLevel]:
        places = self.level_keys(ticker)
        records = self._cluster.read([key for _shard, _band, key in places], *LEVEL_BINS)
        bands: dict[int, list[Part]] = {}
        for (shard, band, _key), bins in zip(places, records, strict=True):
            if bins:
                bands.setdefault(band, []).append((shard, bins))
        found: dict[int, PriceLevel] = {}
        for parts in bands.values():
            for _shard, bins in leave_out_folded(parts):
                merge_levels(found, parse_levels(bins))
        return {price: found[price] for price in sorted(found) if found[price].trade_count}

    def level_keys(self, ticker: str) -> list[tuple[int, int, Key]]:
        """(shard, band, key) of every record of price levels that a ticker has."""
        names = self._names
        pages = self._read_bins(lambda shard: names.pages(ticker, shard), ("pages",))
        wanted = [(shard, page) for shard, bins in pages for page in bins.get("pages", ())]
        found = self._cluster.read([names.bands(ticker, shard, page) for shard, page in wanted], "bands")
        return [
            (shard, band, names.levels(ticker, shard, band))
            for (shard, _page), bins in zip(wanted, found, strict=True)
            for band in (bins or {}).get("bands", ())
        ]

    def scan_tickers(self) -> Iterator[str]:
        self._shards.read()
        readable = set(self._shards.readable)
        seen: set[str] = set()
        rows = self._cluster.query(
            self._names.summary_namespace,
            self._names.summary_set,
            ("count",),
            only_where=exp.GT(exp.IntBin("count"), 0).compile(),
            page_size=_SCAN_PAGE,
        )
        for key, _bins in rows:
            ticker, _, shard = key.rpartition("-")
            if ticker not in seen and int(shard) in readable:
                seen.add(ticker)
                yield ticker

    def _read_bins(self, key_of: Callable[[int], Key], bins: Sequence[str]) -> list[Part]:
        """One record of each shard that has one, the first shard first."""
        return self._read_shards(
            lambda shards: self._cluster.read([*map(key_of, shards), self._names.state()], *bins, *STATE_BINS)
        )

    def _read_shards(self, read: Callable[[Sequence[int]], list[Bins | None]]) -> list[Part]:
        """`read`: one record of each of these shards, and the state record."""
        while True:
            numbers = self._shards.readable
            found = read(numbers)
            self._shards.learn(found.pop())
            if set(self._shards.readable) <= set(numbers):
                return [
                    (number, bins) for number, bins in zip(numbers, found, strict=True) if bins is not None
                ]


def leave_out_folded(parts: Sequence[Part]) -> Iterator[Part]:
    """The records of one ticker (and band) whose sums are not in that of the first shard (`folding`)."""
    folded = next((bins.get("folded") for shard, bins in parts if shard == FIRST), None) or ()
    return ((shard, bins) for shard, bins in parts if shard not in folded)


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


def parse_levels(bins: Bins) -> dict[int, PriceLevel]:
    """The price levels in one record: those folded, and what marks still hold."""
    return fold_levels(bins.get("levels") or {}, (bins.get("marks") or {}).values())


def merge_levels(into: dict[int, PriceLevel], levels: dict[int, PriceLevel]) -> None:
    for price, level in levels.items():
        into[price] = into[price].merge(level) if price in into else level
