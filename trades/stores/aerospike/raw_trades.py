"""Raw trades: one record a trade, written create-only, so that writing again changes nothing.

The first trade of an event carries the digest of them all, and is its claim: it is written first, for a whole
group in one call. Whoever finds another digest there has a CONFLICT and writes nothing. The other trades
follow. When an event comes again, each of its trades is looked for, and those that are not there are written:
an earlier attempt broke off, or the server has lost them since. If all are there it is a DUPLICATE.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from operator import itemgetter

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
_IS_SINGLE: Operation = {"op": _WRITE, "bin": "single", "val": 1}
_SCAN_PAGE = 5_000


class RawTrades:
    """`TradeStore.store_trades` and `scan_trades`. Thread-safe."""

    def __init__(self, cluster: Cluster, names: Names, retention_s: int = 0) -> None:
        self._cluster = cluster
        self._names = names
        ttl = {"ttl": retention_s or aerospike.TTL_NEVER_EXPIRE}
        self._create_only = {"exists": aerospike.POLICY_EXISTS_CREATE, **ttl}

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
        missing: dict[int, Sequence[int]] = {
            place: range(1, len(events[place].trades))
            for place, outcome in enumerate(outcomes)
            if outcome is Outcome.STORED
        }
        there = [place for place, head in enumerate(heads) if head.result == EXISTS]
        found = self._cluster.read([heads[place].key for place in there], "digest")
        for place, bins in zip(there, found, strict=True):
            outcomes[place] = _compare(events[place], bins)
        same = [place for place in there if outcomes[place] is Outcome.DUPLICATE]
        for place, indexes in self._find_missing(same, events, prefixes):
            outcomes[place] = Outcome.STORED
            missing[place] = indexes
        for place in self._write(missing, events, prefixes):
            outcomes[place] = Outcome.UNAVAILABLE
        return outcomes

    def _find_missing(
        self, places: Sequence[int], events: Sequence[TradeEvent], prefixes: Sequence[str]
    ) -> Iterator[tuple[int, list[int]]]:
        """The places of events that have come again and are not whole, and what they lack."""
        wanted = [(place, index) for place in places for index in range(1, len(events[place].trades))]
        keys = [self._names.trade(prefixes[place], index) for place, index in wanted]
        found = self._cluster.read(keys, "volume")
        missing = [pair for pair, bins in zip(wanted, found, strict=True) if bins is None]
        for place, pairs in groupby(missing, key=itemgetter(0)):
            yield place, [index for _, index in pairs]

    def _write(
        self, missing: Mapping[int, Sequence[int]], events: Sequence[TradeEvent], prefixes: Sequence[str]
    ) -> Iterator[int]:
        """Write trades by their index in their event; gives the places of the events that failed."""
        writes = {
            place: [
                Write(
                    self._names.trade(prefixes[place], index),
                    _operations(events[place].trades[index]),
                    None,
                    self._create_only,
                )
                for index in indexes
            ]
            for place, indexes in missing.items()
        }
        self._cluster.write([*chain.from_iterable(writes.values())])
        for place, group in writes.items():
            if not all(write.result in (OK, EXISTS) for write in group):
                yield place

    def _head(self, event: TradeEvent, prefix: str) -> Write:
        operations = _operations(event.trades[0])
        operations.append({"op": _WRITE, "bin": "digest", "val": event.digest})
        if not event.is_batch:
            operations.append(_IS_SINGLE)
        return Write(self._names.trade(prefix, 0), operations, None, self._create_only)

    def read_digests(self, events: Sequence[EventName]) -> list[bytes | None]:
        """Of the trades of each event; None where its first trade is not there."""
        keys = [self._names.trade(event_prefix(*event), 0) for event in events]
        found = self._cluster.read(keys, "digest")
        return [bytes(bins["digest"]) if bins and "digest" in bins else None for bins in found]

    def count_of(self, event: EventName, trade_count: int) -> int:
        """How many of an event's first `trade_count` trades are there."""
        prefix = event_prefix(*event)
        keys = [self._names.trade(prefix, index) for index in range(trade_count)]
        return sum(bins is not None for bins in self._cluster.read(keys, "volume"))

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
    return Outcome.DUPLICATE if bytes(head["digest"]) == event.digest else Outcome.CONFLICT


def read_trade(key: str, bins: Bins) -> StoredTrade:
    source, event_id, index = parse_trade_key(key)
    trade = Trade(bins["ticker"], bins["price"], bins["volume"], bins["timestamp"])
    return StoredTrade(trade, source, event_id, SINGLE if bins.get("single") else index)
