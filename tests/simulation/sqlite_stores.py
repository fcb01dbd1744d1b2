"""Stores of the SQLite adapter in a temporary folder, where statements fail and processes die in them.

Where SQLite would wait for a lock, others run. Nothing is synced: power cuts are not simulated here.
"""

import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from tests.simulation.faults import Faults
from tests.simulation.loop import Loop
from trades.store import StoreUnavailable
from trades.stores.sqlite import SqliteStore, dead_letters, raw_trades, summaries
from trades.stores.sqlite.database import Database
from trades.stores.sqlite.layout import Layout
from trades.trade import TradeEvent

_STEP_MS = 3
_LOCK_WAIT_MS = 5_000


class Disk:
    """What all processes share: what is wrong with the file's statements."""

    def __init__(self, loop: Loop, faults: Faults) -> None:
        self.loop, self._faults = loop, faults

    def before(self) -> None:
        self.loop.pause(self._faults.latency_ms(_STEP_MS))
        if self._faults.strikes("store unreached"):
            raise _error(sqlite3.SQLITE_IOERR)

    def after_commit(self) -> None:
        """The process may die, or be told of an error, when the commit stands."""
        self.loop.pause(self._faults.latency_ms(_STEP_MS))
        if self._faults.strikes("store in doubt"):
            raise _error(sqlite3.SQLITE_IOERR)

    def wait_until(self, attempt: Callable[[], bool]) -> bool:
        """Try again for as long as SQLite would wait for a lock."""
        give_up_ms = self.loop.now_ms + _LOCK_WAIT_MS
        pause_ms = _STEP_MS
        while not attempt():
            if self.loop.now_ms >= give_up_ms:
                return False
            self.loop.pause(pause_ms)
            pause_ms *= 2
        return True


class _Connection(sqlite3.Connection):
    """Lets others run before each statement, once it has a disk."""

    disk: Disk | None = None

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if self.disk is None or sql == "ROLLBACK":
            return super().execute(sql, *parameters)
        self.disk.before()
        if sql == "BEGIN IMMEDIATE":
            if not self.disk.wait_until(self._begin):
                raise _error(sqlite3.SQLITE_BUSY)
            return self.cursor()
        cursor = super().execute(sql, *parameters)
        self.disk.loop.tell(sql.strip()[:40])
        if sql == "COMMIT":
            self.disk.after_commit()
        return cursor

    def _begin(self) -> bool:
        with suppress(sqlite3.OperationalError):
            super().execute("BEGIN IMMEDIATE")
        return self.in_transaction


class _Lock:
    """A thread's lock that lets others run while it waits."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._is_held = False

    def acquire(self, timeout: float = -1) -> bool:
        return self._disk.wait_until(self._take)

    def release(self) -> None:
        self._is_held = False

    def __enter__(self) -> None:
        if not self.acquire():
            raise StoreUnavailable("the lock is held")

    def __exit__(self, *_: object) -> None:
        self.release()

    def _take(self) -> bool:
        was_held, self._is_held = self._is_held, True
        return not was_held


@contextmanager
def sqlite_stores(loop: Loop, rng: random.Random, faults: Faults) -> Iterator["SqliteStores"]:
    """With raw trades that are sorted in early, so that a short schedule has that too."""
    disk = Disk(loop, faults)

    class SimulatedDatabase(Database):
        def __init__(self, path: Path, layout: Layout) -> None:
            super().__init__(path, layout, synchronous="OFF", busy_timeout_ms=0)
            self._write_lock = _Lock(disk)  # type: ignore[assignment]

        def _connect(self, name: str, *, uri: bool = False) -> _Connection:
            return sqlite3.connect(
                name, timeout=0, isolation_level=None, check_same_thread=False, uri=uri, factory=_Connection
            )

        def _open_writer(self) -> sqlite3.Connection:
            return _on(disk, super()._open_writer())

        def _open_reader(self) -> sqlite3.Connection:
            return _on(disk, super()._open_reader())

    with (
        TemporaryDirectory(prefix="tradewind-simulation-") as folder,
        patch.object(raw_trades, "Database", SimulatedDatabase),
        patch.object(summaries, "Database", SimulatedDatabase),
        patch.object(dead_letters, "Database", SimulatedDatabase),
        patch.object(raw_trades, "MAX_WAITING_EVENTS", rng.randint(1, 9)),
    ):
        stores = SqliteStores(Path(folder))
        try:
            yield stores
        finally:
            for store in stores.made:
                store.close()


class SqliteStores:
    """One store a process, all on one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.made: list[SqliteStore] = []

    def make(self) -> SqliteStore:
        self.made.append(SqliteStore(self._folder))
        return self.made[-1]

    def check(self, counted: Sequence[TradeEvent]) -> None:
        """The claims are those of the counted events; no file is damaged."""
        with sqlite3.connect(self._folder / "summaries.db") as connection:
            digests = dict(connection.execute("SELECT key, digest FROM events"))
        connection.close()
        assert digests == {event.key: event.digest for event in counted}
        for path in self._folder.glob("*.db"):
            with sqlite3.connect(path) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path
            connection.close()


def _on(disk: Disk, connection: sqlite3.Connection) -> sqlite3.Connection:
    assert isinstance(connection, _Connection)
    connection.disk = disk
    return connection


def _error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("simulated")
    error.sqlite_errorcode = code
    return error
