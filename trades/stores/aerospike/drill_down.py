"""The trades of a ticker, newest first, page by page, from the numeric index on the bin `drill`.

An index answers "any 200 between two times", never "the newest 200". So a page is searched in boxes, newest
first: a box that holds more rows than were asked for is cut in half by time, and within one millisecond by
partitions, until its rows come whole. Rows of one millisecond are ordered by partition and digest.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from aerospike import predicates
from aerospike_helpers import expressions as exp

from trades.codec import MAX_TIME_MS
from trades.store import StoredTrade, TradePage
from trades.stores.aerospike.cluster import Cluster
from trades.stores.aerospike.layout import Names, drill_base
from trades.stores.aerospike.raw_trades import TRADE_BINS, read_trade

PARTITIONS = 4_096

_FIRST_WINDOW_MS = 2_000
_WINDOW_GROWTH = 32
_LEAST_ROWS_ASKED = 100
_CURSOR = re.compile(r"([0-9]{1,15})\.([0-9a-f]{40})\.([0-9]{1,15})")


class _Row(NamedTuple):
    """Rows sort as pages list them."""

    minus_time_ms: int
    partition: int
    digest: bytes
    stored: StoredTrade

    @property
    def position(self) -> tuple[int, int, bytes]:
        return self[:3]


class _Box(NamedTuple):
    """Times `low` to `high`, both in, and some partitions of them."""

    low: int
    high: int
    partition: int = 0
    partitions: int = PARTITIONS

    def halves(self) -> tuple["_Box", "_Box"]:
        """First the half that pages list first."""
        if self.low < self.high:
            middle = (self.low + self.high) // 2
            return self._replace(low=middle + 1), self._replace(high=middle)
        half = self.partitions // 2
        return (
            self._replace(partitions=half),
            self._replace(partition=self.partition + half, partitions=self.partitions - half),
        )

    @property
    def is_smallest(self) -> bool:
        return self.low == self.high and self.partitions == 1


class DrillDown:
    """`TradeStore.read_trades`."""

    def __init__(self, cluster: Cluster, names: Names) -> None:
        self._cluster = cluster
        self._names = names

    def create_index(self) -> None:
        """Where there are trades already, reads fail as unavailable until the server has built it."""
        names = self._names
        self._cluster.create_index(names.trades_namespace, names.trades_set, "drill", names.drill_index)

    def read(self, ticker: str, limit: int, cursor: str | None, newest_ms: int | None) -> TradePage:
        """`newest_ms`: about when the newest trade is, to look there first; None if that is not known."""
        after, boxes = None, _boxes(MAX_TIME_MS, newest_ms, _FIRST_WINDOW_MS)
        if cursor is not None:
            after, window_ms = _parse_cursor(cursor)
            boxes = _boxes(-after[0], -after[0], window_ms)
        rows: list[_Row] = []
        for box in boxes:
            rows += self._newest(ticker, box, limit + 1 - len(rows), after)
            if len(rows) > limit:
                return TradePage([row.stored for row in rows[:limit]], _format_cursor(rows[:limit]))
        return TradePage([row.stored for row in rows], None)

    def _newest(
        self, ticker: str, box: _Box, needed: int, after: tuple[int, int, bytes] | None
    ) -> list[_Row]:
        """At least `needed` rows of a box if it has them, and those the first of it."""
        if after and box.low == box.high == -after[0] and box.partition + box.partitions <= after[1]:
            return []
        rows = self._fetch(ticker, box, 0 if box.is_smallest else max(2 * needed, _LEAST_ROWS_ASKED))
        if rows is not None:
            return sorted(row for row in rows if after is None or row.position > after)
        first, second = box.halves()
        found = self._newest(ticker, first, needed, after)
        return (
            found
            if len(found) >= needed
            else found + self._newest(ticker, second, needed - len(found), after)
        )

    def _fetch(self, ticker: str, box: _Box, limit: int) -> list[_Row] | None:
        """All rows of the box, or None if it has more than about `limit`."""
        base = drill_base(ticker)
        rows, is_all = self._cluster.query_at_most(
            self._names.trades_namespace,
            self._names.trades_set,
            TRADE_BINS,
            where=predicates.between("drill", base | box.low, base | box.high),
            only_where=exp.Eq(exp.StrBin("ticker"), ticker).compile(),
            partitions=(box.partition, box.partitions),
            limit=limit,
        )
        if not is_all:
            return None
        found = []
        for (_namespace, _set, key, digest), bins in rows:
            stored = read_trade(key, bins)
            found.append(_Row(-stored.trade.time_ms, _partition(digest), bytes(digest), stored))
        return found


def _boxes(high: int, about: int | None, window: int) -> Iterator[_Box]:
    """From `high` down to time 0, in windows that grow; the first reaches `window` ms below `about`."""
    low = max(0, about - window) if about is not None else 0
    while True:
        yield _Box(low, high)
        if low == 0:
            return
        window *= _WINDOW_GROWTH
        high, low = low - 1, max(0, low - window)


def _partition(digest: bytes) -> int:
    return int.from_bytes(digest[:2], "little") % PARTITIONS


def _format_cursor(rows: list[_Row]) -> str:
    """Where a page ended, and how many ms it took to fill, to look as far for the next one."""
    last = rows[-1]
    return f"{-last.minus_time_ms}.{last.digest.hex()}.{last.minus_time_ms - rows[0].minus_time_ms + 1}"


def _parse_cursor(cursor: str) -> tuple[tuple[int, int, bytes], int]:
    match = _CURSOR.fullmatch(cursor)
    if match is None or int(match[1]) > MAX_TIME_MS:
        raise ValueError("cursor is not one that this store gave: start again without one")
    digest = bytes.fromhex(match[2])
    return (-int(match[1]), _partition(digest), digest), max(1, int(match[3]))
