"""Keeps sums within 64 bits, where the server would wrap around without a word.

Far from the end nothing has to be looked up: the filter of every apply refuses a record whose notional has
reached NEARLY_FULL. From then on the record is *watched* (its name is kept in the store): events for it are
let in one by one while there is room, by its notional as it is then, and those that do not fit are answered
OVERFLOW before they are claimed, so that nothing of them is counted. The filter then refuses only what would
not fit beside all that the call adds; this happens when others filled the record in between, and the
event stays UNAVAILABLE. Volume and count are never more than the notional (a price is one tick or more).
"""

import threading
from collections.abc import Iterable

from aerospike_helpers.batch.records import Write

from trades.stores.aerospike.cluster import Cluster
from trades.stores.aerospike.layout import Names
from trades.stores.aerospike.plan import SORTED_MAP, Planned, put_items
from trades.trade import TradeEvent

LARGEST = 2**63 - 1
NEARLY_FULL = 2**61  # and a call of 24,000 trades of 10^14 ticks adds 2.4e18 at most: no wrap, by far


class Room:
    """The watched summaries. Thread-safe."""

    def __init__(self, cluster: Cluster, names: Names) -> None:
        self._cluster = cluster
        self._names = names
        self._lock = threading.Lock()
        self._watched: set[str] | None = None

    def find_misfits(self, events: Iterable[TradeEvent], shard: int) -> tuple[set[bytes], bool]:
        """Keys of events that the watched summaries of a shard have no room for, and if any is touched."""
        watched = self._load()
        if not watched:
            return set(), False
        tickers = {trade.ticker for event in events for trade in event.trades}
        keys = {ticker: self._names.summary(ticker, shard) for ticker in tickers}
        near = [ticker for ticker in tickers if keys[ticker][2] in watched]
        found = self._cluster.read([keys[ticker] for ticker in near], "notional")
        room = {
            ticker: LARGEST - (bins or {}).get("notional", 0)
            for ticker, bins in zip(near, found, strict=True)
        }
        return {event.key for event in events if not _take(room, event)}, bool(near)

    def watch(self, refused: list[Planned], notionals: list[int]) -> None:
        """Remember the summaries that are nearly full, for every worker."""
        names = {
            plan.name for plan, notional in zip(refused, notionals, strict=True) if notional >= NEARLY_FULL
        }
        new = names - self._load()
        if new:
            put = put_items("watched", dict.fromkeys(new, 1), SORTED_MAP)
            self._cluster.write([Write(self._names.state(), [put])])
            with self._lock:
                self._watched = self._load() | new

    def _load(self) -> set[str]:
        if self._watched is None:
            (state,) = self._cluster.read([self._names.state()], "watched")
            self._watched = set((state or {}).get("watched") or ())
        return self._watched


def limit_for(added: Iterable[int]) -> int:
    """A record whose notional is below this takes each of these amounts without leaving 63 bits."""
    return min(LARGEST, LARGEST - max(added, default=0) + 1)


def _take(room: dict[str, int], event: TradeEvent) -> bool:
    """Whether the event fits; if so, its part of the room is gone."""
    added: dict[str, int] = {}
    for trade in event.trades:
        if trade.ticker in room:
            added[trade.ticker] = added.get(trade.ticker, 0) + trade.price_ticks * trade.volume
    if any(amount > room[ticker] for ticker, amount in added.items()):
        return False
    for ticker, amount in added.items():
        room[ticker] -= amount
    return True
