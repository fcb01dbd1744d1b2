"""What the store says about a run: the truth behind the totals, whatever processes were killed meanwhile."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

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


def read_ledger(url: str, functions: Mapping[str, str]) -> Ledger:
    """`functions`: names by the URLs that events were delivered to. Raises StoreError."""
    with closing(open_url(url)) as store:
        store.ping()
        letters = store.read_dead_letters(MAX_DEAD_LETTERS)
        counted = sum(row.trade_count for row in store.read_changed_summaries(0).summaries.values())
        return Ledger(
            store.read_stored_count(),
            counted,
            len(letters),
            len(letters) == MAX_DEAD_LETTERS,
            sum(count_trades(letter) for letter in letters if _may_be_for("store-trade", letter, functions)),
            sum(
                count_trades(letter) for letter in letters if _may_be_for("update-summary", letter, functions)
            ),
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


def _may_be_for(function: str, letter: DeadLetter, functions: Mapping[str, str]) -> bool:
    """A destination that we do not know (a run on other ports) may be either."""
    return functions.get(letter.destination.rstrip("/"), function) == function
