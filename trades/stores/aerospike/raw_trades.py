"""Raw trades: one record a trade, written create-only, so that writing again changes nothing.

The first trade of an event carries the digest of them all, and is its claim: it is written first, for a whole
group in one call. Whoever finds another digest there has a CONFLICT and writes nothing. The other trades
follow (create-only: what an earlier, unfinished attempt wrote stays as it is), then the first one is set
`complete`. So a DUPLICATE costs one read, and an attempt that broke off anywhere is finished by the next.
"""

from collections.abc import Iterator, Sequence

import aerospike
from aerospike_helpers.batch.records import Write

from trades.store import EventName, Outcome, StoredTrade
from trades.stores.aerospike.cluster import Bins, Cluster, Operation
from trades.stores.aerospike.errors import EXISTS, OK
from trades.stores.aerospike.groups import cut
from trades.stores.aerospike.layout import Names, drill_base, event_prefix, parse_trade_key
from trades.trade import SINGLE, Trade, TradeEvent

TRADE_BINS = ("ticker", "price", "volume", "timestamp", "single")

_WRITE = aerospike.OPERATOR_WRITE
_COMPLETE: Operation = {"op": _WRITE, "bin": "complete", "val": 1}
_IS_SINGLE: Operation = {"op": _WRITE, "bin": "single", "val": 1}
_SCAN_PAGE = 5_000


class RawTrades:
    """`TradeStore.store_trades` and `scan_trades`. Thread-safe."""

    def __init__(self, cluster: Cluster, names: Names, retention_s: int = 0) -> None:
        self._cluster = cluster
        self._names = names
        ttl = {"ttl": retention_s or aerospike.TTL_NEVER_EXPIRE}
        self._create_only = {"exists": aerospike.POLICY_EXISTS_CREATE, **ttl}
        self._update_only = {"exists": aerospike.POLICY_EXISTS_UPDATE, **ttl}

    def store(self, events: Sequence[TradeEvent]) -> list[Outcome]:
        """One outcome an event, in order. Raises StoreUnavailable when a whole call fails."""
        outcomes: list[Outcome] = []
        for places in cut(events):
            outcomes += self._store_group([events[place] for place in places])
        return outcomes

    def _store_group(self, events: Sequence[TradeEvent]) -> list[Outcome]:
        prefixes = [event_prefix(event.source, event.id) for event in events]
        heads = [self._head(event, prefix) for event, prefix in zip(events, prefixes, strict=True)]
        self._cluster.write(heads)
        outcomes = [Outcome.STORED if head.result == OK else Outcome.UNAVAILABLE for head in heads]
        there = [place for place, head in enumerate(heads) if head.result == EXISTS]
        if there:
            found = self._cluster.read([heads[place].key for place in there], "digest", "complete")
            for place, bins in zip(there, found, strict=True):
                outcomes[place] = _compare(events[place], bins)
        unfinished = [
            place
            for place, event in enumerate(events)
            if outcomes[place] is Outcome.STORED and len(event.trades) > 1
        ]
        for place in self._finish(unfinished, events, prefixes):
            outcomes[place] = Outcome.UNAVAILABLE
        return outcomes

    def _finish(
        self, places: list[int], events: Sequence[TradeEvent], prefixes: Sequence[str]
    ) -> Iterator[int]:
        """Write all trades but the first; gives the places of the events that are not complete."""
        if not places:
            return
        writes = [list(self._rest(events[place], prefixes[place])) for place in places]
        self._cluster.write([write for group in writes for write in group])
        ends = []
        for place, group in zip(places, writes, strict=True):
            if all(write.result in (OK, EXISTS) for write in group):
                key = self._names.trade(prefixes[place], 0)
                ends.append((place, Write(key, [_COMPLETE], None, self._update_only)))
            else:
                yield place
        self._cluster.write([write for _, write in ends])
        yield from (place for place, write in ends if write.result != OK)

    def _head(self, event: TradeEvent, prefix: str) -> Write:
        operations = _operations(event.trades[0])
        operations.append({"op": _WRITE, "bin": "digest", "val": event.digest})
        if len(event.trades) == 1:
            operations.append(_COMPLETE)
        if not event.is_batch:
            operations.append(_IS_SINGLE)
        return Write(self._names.trade(prefix, 0), operations, None, self._create_only)

    def _rest(self, event: TradeEvent, prefix: str) -> Iterator[Write]:
        trade = self._names.trade
        for index in range(1, len(event.trades)):
            yield Write(trade(prefix, index), _operations(event.trades[index]), None, self._create_only)

    def read_digests(self, events: Sequence[EventName]) -> list[bytes | None]:
        """Of the trades of each event; None where its first trade is not there."""
        keys = [self._names.trade(event_prefix(*event), 0) for event in events]
        found = self._cluster.read(keys, "digest")
        return [bytes(bins["digest"]) if bins and "digest" in bins else None for bins in found]

    def scan(self) -> Iterator[StoredTrade]:
        """Every raw trade, streamed in pages."""
        rows = self._cluster.query(
            self._names.trades_namespace, self._names.trades_set, TRADE_BINS, page_size=_SCAN_PAGE
        )
        return (read_trade(key, bins) for key, bins in rows)

    def count(self) -> int:
        """How many there are, from the server's own count."""
        namespace = self._names.trades_namespace
        nodes = self._cluster.info(f"namespace/{namespace}")
        copies = max((int(node.get("effective_replication_factor", 1)) for node in nodes), default=1)
        sets = self._cluster.info(f"sets/{namespace}/{self._names.trades_set}")
        return sum(int(node.get("objects", 0)) for node in sets) // max(copies, 1)


def _operations(trade: Trade) -> list[Operation]:
    ticker, price, volume, time = trade
    return [
        {"op": _WRITE, "bin": "ticker", "val": ticker},
        {"op": _WRITE, "bin": "price", "val": price},
        {"op": _WRITE, "bin": "volume", "val": volume},
        {"op": _WRITE, "bin": "timestamp", "val": time},
        {"op": _WRITE, "bin": "drill", "val": drill_base(ticker) | time},
    ]


def _compare(event: TradeEvent, head: Bins | None) -> Outcome:
    if head is None:
        return Outcome.UNAVAILABLE
    if bytes(head["digest"]) != event.digest:
        return Outcome.CONFLICT
    return Outcome.DUPLICATE if head.get("complete") else Outcome.STORED


def read_trade(key: str, bins: Bins) -> StoredTrade:
    source, event_id, index = parse_trade_key(key)
    trade = Trade(bins["ticker"], bins["price"], bins["volume"], bins["timestamp"])
    return StoredTrade(trade, source, event_id, SINGLE if bins.get("single") else index)
