"""The store on SQLite: a folder with one file for each function that writes, and one for notes."""

from pathlib import Path

from trades.stores.sqlite.dead_letters import DeadLetters
from trades.stores.sqlite.notes import Notes
from trades.stores.sqlite.raw_trades import RawTrades
from trades.stores.sqlite.summaries import Summaries

__all__ = ["SqliteStore"]


class SqliteStore(RawTrades, Summaries, DeadLetters, Notes):
    """A TradeStore in a folder, which is created at first use. Several processes may share it."""

    def __init__(self, folder: Path) -> None:
        RawTrades.__init__(self, folder)
        Summaries.__init__(self, folder)
        DeadLetters.__init__(self, folder)
        Notes.__init__(self, folder)
        self._files = (self._trades_file, self._summaries_file, self._letters_file, self._notes_file)

    def ping(self) -> None:
        for file in self._files:
            with file.read() as connection:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()

    def close(self) -> None:
        for file in self._files:
            file.close()
