"""What the store says about a run: the truth behind the totals, whatever processes were killed meanwhile."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from trades.codec import BadTrade, decode_event
from trades.store import DeadLetter, StoreMisconfigured, TradeStore

MAX_DEAD_LETTERS = 1_000  # looked at: they come with all their data
_SQLITE_FILES = ("trades.db", "summaries.db", "dead_letters.db")


class Ledger(NamedTuple):
    """Trades and waiting dead letters in the store."""

    stored: int = 0
    counted: int = 0
    dead_letters: int = 0
    more_dead_letters: bool = False
    dead_store_trades: int = 0
    dead_summary_trades: int = 0
    trades_expire: bool = False  # `stored` may fall


def open_url(url: str) -> TradeStore:
    """The store at a URL, or that of the settings' form. Raises StoreMisconfigured."""
    from functions.stores import open_store
    from runtime.settings import AerospikeSettings, StoreSettings

    return open_store(url, StoreSettings.read(), AerospikeSettings.read())


def open_existing(url: str) -> TradeStore:
    """As `open_url`, for commands that need what is there: where no store is, SQLite would make one.

    Any one of its files is enough: `repair` makes a lost `summaries.db` again.
    """
    scheme, _, folder = url.partition(":")
    if scheme == "sqlite" and folder and not any((Path(folder) / name).exists() for name in _SQLITE_FILES):
        raise StoreMisconfigured(
            f"there is no store at {folder}: `tradewind up` makes one; --data or --store names another"
        )
    return open_url(url)


def read_ledger(url: str) -> Ledger:
    """Raises StoreError."""
    with closing(open_url(url)) as store:
        store.ping()
        letters = store.read_dead_letters(MAX_DEAD_LETTERS)
        counted = sum(row.trade_count for row in store.read_changed_summaries(0).summaries.values())
        return Ledger(
            store.read_stored_count(),
            counted,
            len(letters),
            len(letters) == MAX_DEAD_LETTERS,
            _count_trades_for("store-trade", letters),
            _count_trades_for("update-summary", letters),
            store.read_expiry().trades,
        )


def count_trades(letter: DeadLetter) -> int:
    """How many trades a function would have found in it; none where none can be read."""
    attributes = letter.attributes
    try:
        event = decode_event(attributes["type"], attributes["source"], attributes["id"], letter.data)
    except (KeyError, BadTrade):
        return 0
    return len(event.trades)


def name_function(destination: str) -> str:
    """What refused a dead letter: a Service, as a cluster and the local broker name it; else a host."""
    try:
        host = urlsplit(destination).netloc
    except ValueError:
        host = destination
    name, _, rest = host.partition(".")
    return name if rest.partition(".")[2].startswith("svc") else host


def _count_trades_for(function: str, letters: Iterable[DeadLetter]) -> int:
    """A host that is no Service may be either function."""
    names = ((name_function(letter.destination), letter) for letter in letters)
    return sum(count_trades(letter) for name, letter in names if name == function or ":" in name)
