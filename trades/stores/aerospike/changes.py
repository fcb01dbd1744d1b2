"""All summaries, merged over shards, kept up to date by asking only for the records that changed.

The server stamps each record with the time of its last write. A refresh asks for what was written since a
little before the last refresh began, by the servers' clocks (the earliest of them), and merges it into the
table. The overlap costs some rows that are read twice and makes up for clocks that differ a little.
"""

import threading
import time
from typing import NamedTuple

from aerospike_helpers import expressions as exp

from trades.store import ChangedSummaries
from trades.stores.aerospike.cluster import Bins, Cluster
from trades.stores.aerospike.layout import Names
from trades.stores.aerospike.shards import FIRST, Shards
from trades.stores.aerospike.summaries import SUMMARY_BINS, merge_summaries, parse_summary
from trades.summary import Summary

OVERLAP_MS = 1_000

_SERVER_EPOCH_S = 1_262_304_000  # 2010-01-01
_SERVER_CLOCK_STEP_MS = 1_000
_SCAN_PAGE = 20_000
_NOTHING = parse_summary({})


class _Part(NamedTuple):
    """A shard's record of a ticker; of the first shard, with the numbers of those that are folded into it."""

    bins: Bins
    summary: Summary
    folded: frozenset[int]


class ChangedTable:
    """`TradeStore.read_changed_summaries`. Thread-safe; one refresh at a time."""

    def __init__(self, cluster: Cluster, names: Names, shards: Shards) -> None:
        self._cluster = cluster
        self._names = names
        self._shards = shards
        self._lock = threading.Lock()
        self._read_until_ms = 0
        self._parts: dict[str, dict[int, _Part]] = {}  # by ticker and shard
        self._unmerged: set[str] = set()  # tickers; those of a refresh that broke off are there for the next
        self._merged: dict[str, Summary] = {}
        self._changed_ms: dict[str, int] = {}

    def read(self, cursor: int) -> ChangedSummaries:
        """Cursors are server times in ms; any process may ask with another's."""
        with self._lock:
            next_cursor = self._refresh()
            changed = {
                ticker: self._merged[ticker]
                for ticker, changed_ms in self._changed_ms.items()
                if changed_ms >= cursor
            }
        return ChangedSummaries(changed, next_cursor)

    def _refresh(self) -> int:
        began = time.monotonic()
        began_ms = self._server_time_ms()
        self._read_since(max(0, self._read_until_ms - OVERLAP_MS))
        took_ms = int((time.monotonic() - began) * 1_000)
        # Not before the true time of any change just seen: readers with an older cursor must get it.
        seen_ms = began_ms + _SERVER_CLOCK_STEP_MS + took_ms + OVERLAP_MS
        for ticker in self._unmerged:
            self._merge(ticker)
            if ticker in self._merged:
                self._changed_ms[ticker] = seen_ms
            else:
                self._changed_ms.pop(ticker, None)
        self._unmerged.clear()
        self._read_until_ms = began_ms
        return began_ms

    def _merge(self, ticker: str) -> None:
        parts = self._parts[ticker]
        folded = parts[FIRST].folded if FIRST in parts else frozenset()
        merged = merge_summaries(part.summary for shard, part in parts.items() if shard not in folded)
        if merged is not None:
            self._merged[ticker] = merged
            return
        self._merged.pop(ticker, None)
        if all(part.summary == _NOTHING for part in parts.values()):  # a repair has removed it
            del self._parts[ticker]

    def _read_since(self, since_ms: int) -> None:
        """Take in the records written since then."""
        self._shards.read()
        readable = set(self._shards.readable)
        rows = self._cluster.query(
            self._names.summary_namespace,
            self._names.summary_set,
            SUMMARY_BINS,
            only_where=exp.And(
                exp.GE(exp.LastUpdateTime(), since_ms * 1_000_000), exp.BinExists("count")
            ).compile(),
            page_size=_SCAN_PAGE,
        )
        for key, bins in rows:
            ticker, _, number = key.rpartition("-")
            shard = int(number)
            if shard not in readable:
                continue
            parts = self._parts.setdefault(ticker, {})
            known = parts.get(shard)
            if known is None or known.bins != bins:  # most of the overlap has been read before
                parts[shard] = _Part(bins, parse_summary(bins), frozenset(bins.get("folded") or ()))
                self._unmerged.add(ticker)

    def _server_time_ms(self) -> int:
        """The earliest of the nodes' clocks, cut to a second."""
        nodes = self._cluster.info(f"namespace/{self._names.summary_namespace}")
        return (min(int(node["current_time"]) for node in nodes) + _SERVER_EPOCH_S) * 1_000
