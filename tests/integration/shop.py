"""What the tests on a real Aerospike server share: sets of their own, events, and exact checks."""

import random
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import aerospike
from aerospike import exception

from trades.store import Outcome, StoreUnavailable, TradeStore
from trades.stores.aerospike import AerospikeStore, Cluster, ClusterOptions, Names
from trades.summary import tally_events
from trades.trade import Trade, TradeEvent


class Crash(Exception):
    """A process that ends at this point."""


class Shop:
    """Makes stores (as many processes would) that share sets no other test uses."""

    def __init__(self, host: tuple[str, int]) -> None:
        mark = uuid.uuid4().hex[:10]
        self.host = host
        self.names = Names(
            trades_set=f"t{mark}",
            events_set=f"e{mark}",
            notes_set=f"n{mark}",
            dead_letters_set=f"d{mark}",
            summary_set=f"s{mark}",
        )
        self.opened: list[AerospikeStore] = []

    def options(self, timeout_ms: int = 5_000) -> ClusterOptions:
        return ClusterOptions((self.host,), timeout_ms=timeout_ms)

    def open(
        self, cluster: Cluster | None = None, *, shard_count: int = 10, timeout_ms: int = 5_000
    ) -> AerospikeStore:
        store = AerospikeStore(
            [self.host], names=self.names, shard_count=shard_count, timeout_ms=timeout_ms, cluster=cluster
        )
        self.opened.append(store)
        return store

    def clear(self) -> None:
        """Drop what the server would keep: it has room for 256 indexes a namespace."""
        for store in self.opened:
            store.close()
        with suppress(exception.AerospikeError):
            client: Any = aerospike.client({"hosts": [self.host]})
            for namespace, set_ in (
                (self.names.trades_namespace, self.names.trades_set),
                (self.names.trades_namespace, self.names.events_set),
                (self.names.summary_namespace, self.names.summary_set),
            ):
                client.truncate(namespace, set_, 0)
            client.index_remove(self.names.trades_namespace, self.names.drill_index)
            client.close()


def make_events(seed: int, count: int, *, trades: int = 6, tickers: int = 4) -> list[TradeEvent]:
    """Events whose trades share tickers and prices, out of order in time."""
    rng = random.Random(seed)
    events = []
    for number in range(count):
        made = [
            Trade(
                f"T-{rng.randrange(tickers)}",
                rng.randint(9_900, 10_400),
                rng.randint(1, 900),
                1_700_000_000_000 + rng.randrange(5_000),
            )
            for _ in range(trades)
        ]
        events.append(TradeEvent.of("/test", f"{seed}-{number}", made, is_batch=True))
    return events


def check_counted(store: TradeStore, events: Sequence[TradeEvent]) -> None:
    """The summaries and price levels are exactly those of the events, and there are no others."""
    tallies = tally_events(events)
    assert sorted(store.scan_tickers()) == sorted(tallies)
    for ticker, tally in tallies.items():
        assert store.read_summary(ticker) == tally.summary
        assert store.read_levels(ticker) == tally.levels


def count_until_done(
    make_store: Callable[[], TradeStore], events: Sequence[TradeEvent], attempts: int = 200
) -> None:
    """Deliver again, as a broker does, until every event has an outcome that is not UNAVAILABLE."""
    waiting = list(events)
    for _ in range(attempts):
        try:
            outcomes = make_store().count_trades(waiting)
        except (StoreUnavailable, Crash):
            continue
        assert set(outcomes) <= {Outcome.COUNTED, Outcome.DUPLICATE, Outcome.UNAVAILABLE}
        waiting = [
            event for event, outcome in zip(waiting, outcomes, strict=True) if outcome is Outcome.UNAVAILABLE
        ]
        if not waiting:
            return
    raise AssertionError(f"{len(waiting)} events still wait after {attempts} deliveries")
