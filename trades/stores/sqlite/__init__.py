"""The store on SQLite: a folder with one file for each function that writes, and one for notes."""

from collections.abc import Sequence
from pathlib import Path

from trades.observer import SILENT, StoreObserver
from trades.store import EventName
from trades.stores.sqlite.dead_letters import DeadLetters
from trades.stores.sqlite.notes import Notes
from trades.stores.sqlite.raw_trades import RawTrades
from trades.stores.sqlite.summaries import Summaries

__all__ = ["SqliteStore"]


class SqliteStore(RawTrades, Summaries, DeadLetters, Notes):
    """A TradeStore in a folder, which is created at first use. Several processes may share it."""

    def __init__(self, folder: Path, observer: StoreObserver = SILENT, *, trade_retention_s: int = 0) -> None:
        """`trade_retention_s`: seconds that raw trades are kept at least; 0: for ever."""
        RawTrades.__init__(self, folder, trade_retention_s)
        Summaries.__init__(self, folder)
        DeadLetters.__init__(self, folder)
        Notes.__init__(self, folder)
        self._files = (self._trades_file, self._summaries_file, self._letters_file, self._notes_file)
        for file in self._files:
            file.observer = observer

    def claim_stored(self, events: Sequence[EventName]) -> None:
        self.claim_counted(list(self.read_digests([event.key for event in events]).items()))

    def ping(self) -> None:
        for file in self._files:
            with file.read() as connection:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()

    def close(self) -> None:
        for file in self._files:
            file.close()
