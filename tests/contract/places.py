"""Where a test's data is, as a word for other processes: `sqlite:FOLDER`, `aerospike:HOST:PORT:MARK`."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from trades.store import TradeStore

if TYPE_CHECKING:
    from trades.stores.aerospike import Names


def open_place(place: str) -> TradeStore:
    """A store on this data, as one more worker would open it. The one place that knows the adapters."""
    kind, _, rest = place.partition(":")
    if kind == "sqlite":
        from trades.stores.sqlite import SqliteStore

        return SqliteStore(Path(rest))
    from trades.stores.aerospike import AerospikeStore

    host, port, mark = rest.split(":")
    return AerospikeStore([(host, int(port))], names=_names(mark), timeout_ms=10_000)


def forget_place(place: str) -> None:
    """Drop what a server would keep: it has room for 256 indexes. Folders go with pytest's own."""
    kind, _, rest = place.partition(":")
    if kind != "aerospike":
        return
    import aerospike

    host, port, mark = rest.split(":")
    names = _names(mark)
    client = aerospike.client({"hosts": [(host, int(port))]}).connect()
    with suppress(aerospike.exception.IndexNotFound):  # a test that made no call made no index
        client.index_remove(names.trades_namespace, names.drill_index)
    for namespace, set_ in [
        (names.trades_namespace, names.trades_set),
        (names.trades_namespace, names.events_set),
        (names.summary_namespace, names.summary_set),
    ]:
        client.truncate(namespace, set_, 0)
    client.close()


def _names(mark: str) -> "Names":
    from trades.stores.aerospike import Names

    return Names(
        trades_set=f"t{mark}",
        events_set=f"e{mark}",
        notes_set=f"n{mark}",
        dead_letters_set=f"d{mark}",
        summary_set=f"s{mark}",
        state_set=f"x{mark}",
    )
