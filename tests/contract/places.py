"""Where a test's data is, as a word for other processes: `sqlite:FOLDER`, `aerospike:HOST:PORT:MARK`."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trades.store import TradeStore
from trades.trade import TradeEvent

if TYPE_CHECKING:
    from trades.stores.aerospike import Names

_TIMEOUT_MS = 20_000


def open_place(place: str) -> TradeStore:
    """A store on this data, as one more worker would open it. The one place that knows the adapters."""
    kind, _, rest = place.partition(":")
    if kind == "sqlite":
        from trades.stores.sqlite import SqliteStore

        return SqliteStore(Path(rest))
    from trades.stores.aerospike import AerospikeStore

    host, port, mark = rest.split(":")
    return AerospikeStore([(host, int(port))], names=_names(mark), timeout_ms=_TIMEOUT_MS)


def forget_place(place: str) -> None:
    """Drop what a server would keep: it has room for 256 indexes. Folders go with pytest's own."""
    kind, _, rest = place.partition(":")
    if kind != "aerospike":
        return
    import aerospike

    host, port, mark = rest.split(":")
    names = _names(mark)
    patient = {"timeout": _TIMEOUT_MS}  # a loaded machine takes longer than the client's second
    client = aerospike.client({"hosts": [(host, int(port))]}).connect()
    with suppress(aerospike.exception.IndexNotFound):  # a test that made no call made no index
        client.index_remove(names.trades_namespace, names.drill_index, patient)
    for namespace, set_ in [
        (names.trades_namespace, names.trades_set),
        (names.trades_namespace, names.events_set),
        (names.summary_namespace, names.summary_set),
    ]:
        client.truncate(namespace, set_, 0, patient)
    client.close()


def _names(mark: str) -> "Names":
    from trades.stores.aerospike import Names

    return Names(
        trades_set=f"t{mark}",
        events_set=f"e{mark}",
        notes_set=f"n{mark}",
        dead_letters_set=f"d{mark}",
        summary_set=f"s{mark}",
    )


def lose_trades(place: str, event: TradeEvent) -> None:
    """As a server would that forgot what it had acknowledged: the raw trades of an event, not its count."""
    kind, _, rest = place.partition(":")
    if kind == "sqlite":
        connection = _connect(rest, "trades.db")
        (number,) = connection.execute("SELECT event_no FROM events WHERE key = ?", (event.key,)).fetchone()
        for table in ("waiting", "sorted_trades", "events"):
            connection.execute(f"DELETE FROM {table} WHERE event_no = ?", (number,))
        connection.close()
        return
    with _client(rest) as (client, names):
        from trades.stores.aerospike.layout import event_prefix

        prefix = event_prefix(event.source, event.id)
        for index in range(len(event.trades)):
            client.remove(names.trade(prefix, index))


def lose_trade(place: str, event: TradeEvent, index: int) -> bool:
    """As a worker leaves it that dies while it stores an event; False where an event is kept as one."""
    kind, _, rest = place.partition(":")
    if kind == "sqlite":
        return False
    with _client(rest) as (client, names):
        from trades.stores.aerospike.layout import event_prefix

        client.remove(names.trade(event_prefix(event.source, event.id), index))
    return True


def lose_claims(place: str, events: Sequence[TradeEvent]) -> None:
    """That events were counted, but not what they added."""
    kind, _, rest = place.partition(":")
    if kind == "sqlite":
        connection = _connect(rest, "summaries.db")
        connection.executemany("DELETE FROM events WHERE key = ?", [(event.key,) for event in events])
        connection.close()
        return
    with _client(rest) as (client, names):
        for event in events:
            client.remove(names.claim(event.key))


def open_claim(place: str, event: TradeEvent) -> bool:
    """As a worker leaves it that dies after its first step; False if a worker's steps are one here."""
    kind, _, rest = place.partition(":")
    if kind == "sqlite":
        return False
    from trades.stores.aerospike.claims import Claims
    from trades.stores.aerospike.cluster import Cluster, ClusterOptions

    host, port, mark = rest.split(":")
    cluster = Cluster(ClusterOptions(((host, int(port)),), timeout_ms=_TIMEOUT_MS))
    Claims(cluster, _names(mark), 0).make([event], 3)
    cluster.close()
    return True


def _connect(folder: str, name: str) -> sqlite3.Connection:
    return sqlite3.connect(Path(folder) / name, isolation_level=None)


@contextmanager
def _client(rest: str) -> Iterator[tuple[Any, "Names"]]:
    import aerospike

    host, port, mark = rest.split(":")
    client = aerospike.client({"hosts": [(host, int(port))]})
    yield client, _names(mark)
    client.close()
