"""`AerospikeStore`: the port's methods, each handed to the part that does it."""

import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence

from trades.observer import SILENT, StoreObserver
from trades.store import (
    ChangedSummaries,
    DeadLetter,
    EventName,
    EventNote,
    Expiry,
    LetterPlace,
    Outcome,
    Resharded,
    StoredClaim,
    StoredTrade,
    StoreMisconfigured,
    StoreUnavailable,
    TradePage,
)
from trades.stores.aerospike.changes import ChangedTable
from trades.stores.aerospike.claims import Claims
from trades.stores.aerospike.cluster import Cluster, ClusterOptions
from trades.stores.aerospike.counting import EventCounter
from trades.stores.aerospike.dead_letters import DeadLetters
from trades.stores.aerospike.drill_down import DrillDown
from trades.stores.aerospike.fence import Fence
from trades.stores.aerospike.folding import Folder
from trades.stores.aerospike.layout import Names
from trades.stores.aerospike.notes import Notes
from trades.stores.aerospike.raw_trades import RawTrades
from trades.stores.aerospike.repair import Repairer
from trades.stores.aerospike.resharding import Resharder
from trades.stores.aerospike.shard_pool import ShardPool
from trades.stores.aerospike.shards import CLAIMS_EXPIRE, TRADES_EXPIRE, Shards
from trades.stores.aerospike.summaries import Summaries
from trades.stores.aerospike.trimming import Trimmer
from trades.summary import PriceLevel, Summary, Tally
from trades.trade import TradeEvent


class _Parts:
    """What one process works with, made after it has forked."""

    def __init__(
        self, cluster: Cluster, names: Names, shard_count: int, retention_s: int, trade_retention_s: int
    ) -> None:
        self.pid = os.getpid()
        self.claims = claims = Claims(cluster, names, retention_s)
        self.shards = Shards(cluster, names)
        fence = Fence(cluster, names, self.shards)
        folder = Folder(cluster, names)
        trimmer = Trimmer(cluster, claims, fence, self.shards)
        pool = ShardPool(self.shards, shard_count, random.Random())  # noqa: S311 - spreads processes
        self.raw_trades = RawTrades(cluster, names, trade_retention_s)
        self.counter = EventCounter(cluster, names, claims, fence, trimmer, self.shards, folder, pool)
        self.summaries = Summaries(cluster, names, self.shards)
        self.changes = ChangedTable(cluster, names, self.shards)
        self.drill_down = DrillDown(cluster, names)
        self.repairer = Repairer(cluster, names, self.shards, self.summaries, fence)
        self.resharder = Resharder(cluster, names, self.shards, folder, trimmer)
        self.notes = Notes(cluster, names)
        self.dead_letters = DeadLetters(cluster, names)


class AerospikeStore:
    """Implements `trades.store.TradeStore` on an Aerospike cluster. Thread-safe.

    `shard_count`: records a ticker's summary is spread over. `retention_s`: seconds that the claim of a
    counted event is kept, 0 for ever; an event that comes again later counts again. `trade_retention_s`: the
    same for raw trades. `cluster`: for tests.
    """

    def __init__(
        self,
        hosts: Sequence[tuple[str, int]],
        *,
        shard_count: int = 10,
        retention_s: int = 0,
        trade_retention_s: int = 0,
        names: Names | None = None,
        user: str = "",
        password: str = "",
        timeout_ms: int = 2_000,
        batch_size: int = 1_000,
        cluster: Cluster | None = None,
        observer: StoreObserver = SILENT,
    ) -> None:
        self._cluster = cluster or Cluster(
            ClusterOptions(tuple(hosts), user, password, timeout_ms, batch_size), observer
        )
        self._names = names or Names()
        self._shard_count = shard_count
        self._retention_s = retention_s
        self._trade_retention_s = trade_retention_s
        self._lock = threading.Lock()
        self._opened: _Parts | None = None

    def _open(self) -> _Parts:
        """At first use in a process: checks the server, makes the index, notes the shard count."""
        parts = self._opened
        if parts is not None and parts.pid == os.getpid():
            return parts
        with self._lock:
            parts = self._opened
            if parts is None or parts.pid != os.getpid():
                self._check_server()
                parts = _Parts(
                    self._cluster,
                    self._names,
                    self._shard_count,
                    self._retention_s,
                    self._trade_retention_s,
                )
                parts.drill_down.create_index()
                parts.shards.raise_count(self._shard_count)
                parts.shards.note_expiry(
                    *([CLAIMS_EXPIRE] if self._retention_s else []),
                    *([TRADES_EXPIRE] if self._trade_retention_s else []),
                )
                self._opened = parts
            return parts

    def _check_server(self) -> None:
        for namespace in (self._names.trades_namespace, self._names.summary_namespace):
            nodes = self._cluster.info(f"namespace/{namespace}")
            if not all("objects" in node for node in nodes):
                raise StoreMisconfigured(
                    f"Aerospike has no namespace {namespace!r}: add it to the server's configuration, or set"
                    " AEROSPIKE_TRADES_NAMESPACE and AEROSPIKE_SUMMARY_NAMESPACE to those it has"
                )
        lets_go = self._retention_s or self._trade_retention_s
        if lets_go and not all(_lets_expire(node) for node in self._trade_nodes()):
            raise StoreMisconfigured(
                "EVENT_RETENTION and TRADE_RETENTION need a server that lets records expire: set nsup-period"
                f" (120, say) for namespace {self._names.trades_namespace!r}, or both to 0"
            )

    def _trade_nodes(self) -> list[dict[str, str]]:
        return self._cluster.info(f"namespace/{self._names.trades_namespace}")

    def ping(self) -> None:
        self._open()
        for namespace in (self._names.trades_namespace, self._names.summary_namespace):
            for node in self._cluster.info(f"namespace/{namespace}"):
                if node.get("stop_writes") == "true":
                    raise StoreUnavailable(f"Aerospike takes no writes: namespace {namespace!r} is full")

    def close(self) -> None:
        self._cluster.close()

    def store_trades(self, events: Sequence[TradeEvent]) -> list[Outcome]:
        return self._open().raw_trades.store(events)

    def count_trades(self, events: Sequence[TradeEvent]) -> list[Outcome]:
        return self._open().counter.count(events)

    def add_notes(self, notes: Sequence[EventNote]) -> None:
        self._open().notes.add(notes)

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> list[Outcome]:
        return self._open().dead_letters.add(letters)

    def mark_replayed(self, letter: DeadLetter, time_ms: int) -> bool:
        return self._open().dead_letters.mark_replayed(letter, time_ms)

    def read_summary(self, ticker: str) -> Summary | None:
        return self._open().summaries.read_summary(ticker)

    def read_level(self, ticker: str, price_ticks: int) -> PriceLevel | None:
        return self._open().summaries.read_level(ticker, price_ticks)

    def read_levels(self, ticker: str) -> dict[int, PriceLevel]:
        return self._open().summaries.read_levels(ticker)

    def read_changed_summaries(self, cursor: int) -> ChangedSummaries:
        return self._open().changes.read(cursor)

    def read_trades(self, ticker: str, limit: int, cursor: str | None = None) -> TradePage:
        parts = self._open()
        summary = parts.summaries.read_summary(ticker) if cursor is None else None
        return parts.drill_down.read(ticker, limit, cursor, summary.latest.time_ms if summary else None)

    def read_stored_count(self) -> int:
        return self._open().raw_trades.count()

    def read_notes(self, limit: int) -> list[EventNote]:
        return self._open().notes.read(limit)

    def read_dead_letters(
        self,
        limit: int,
        *,
        waiting_only: bool = True,
        before: LetterPlace | None = None,
        cut: bool = False,
    ) -> list[DeadLetter]:
        letters = self._open().dead_letters
        return letters.read(limit, waiting_only=waiting_only, before=before, cut=cut)

    def read_dead_letter(self, key: str) -> DeadLetter | None:
        return self._open().dead_letters.read_one(key)

    def count_dead_letters(self) -> int:
        return self._open().dead_letters.count()

    def scan_dead_letters(self, replayed_since_ms: int) -> Iterator[DeadLetter]:
        return self._open().dead_letters.scan(replayed_since_ms)

    def scan_trades(self) -> Iterator[StoredTrade]:
        return self._open().raw_trades.scan()

    def scan_tickers(self) -> Iterator[str]:
        return self._open().summaries.scan_tickers()

    def scan_claims(self) -> Iterator[StoredClaim]:
        return self._open().claims.scan()

    def read_claims(self, keys: Sequence[bytes]) -> dict[bytes, StoredClaim]:
        return self._open().claims.read_stored(keys)

    def count_stored(self, claim: StoredClaim) -> int:
        return self._open().raw_trades.count_of(claim.name, claim.trade_count or 1) if claim.name else 0

    def claim_stored(self, events: Sequence[EventName]) -> None:
        parts = self._open()
        digests = zip(events, parts.raw_trades.read_digests(events), strict=True)
        parts.claims.make_done([(event, digest) for event, digest in digests if digest])

    def read_expiry(self) -> Expiry:
        return self._open().shards.read_expiry()

    def replace_tally(self, ticker: str, expected: Tally | None, tally: Tally | None) -> bool:
        return self._open().repairer.replace(ticker, expected, tally)

    def reshard(
        self, shard_count: int, count: Callable[[int], None] = lambda records: None
    ) -> Resharded | None:
        self._shard_count = shard_count  # this process opens no more
        return self._open().resharder.reshard(shard_count, count)


def _lets_expire(node: dict[str, str]) -> bool:
    return node.get("nsup-period", "0") != "0" or node.get("allow-ttl-without-nsup") == "true"
