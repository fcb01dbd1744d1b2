"""The tables of a file: made when it is new, checked when it is not."""

import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

from trades.store import StoreMisconfigured

APPLICATION_ID = 0x54574E44  # "TWND", in the header: https://www.sqlite.org/pragma.html#pragma_application_id
_MIN_SQLITE = (3, 38, 0)  # STRICT tables are from 3.37, the ->> operator from 3.38
_RETRY_PAUSE_S = 0.01


class Layout(NamedTuple):
    """What a file holds. `version` is raised with each change that the program before could not read."""

    schema: str  # CREATE statements, separated by blank lines
    version: int

    def is_new(self, connection: sqlite3.Connection) -> bool:
        """Whether nothing was made in this file yet."""
        return bool(connection.execute("SELECT count(*) = 0 FROM sqlite_schema").fetchone()[0])

    def check(self, connection: sqlite3.Connection, path: Path) -> None:
        """Raises StoreMisconfigured for a file of another program, or of another version of this one."""
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application_id != APPLICATION_ID:
            raise StoreMisconfigured(f"{path}: belongs to another program; set STORE to another folder")
        if version != self.version:
            raise StoreMisconfigured(
                f"{path}: has layout {version}, and this program reads {self.version}; "
                "set STORE to another folder, or use the program that wrote it"
            )

    def ensure(self, connection: sqlite3.Connection, path: Path, timeout_ms: int) -> None:
        """Make the tables in a new file, else check it. Several processes may do this at once.

        If this raises, closing the connection undoes it.
        """
        if sqlite3.sqlite_version_info < _MIN_SQLITE:
            raise StoreMisconfigured(f"SQLite {sqlite3.sqlite_version} is too old; use 3.38 or newer")
        _begin_in_wal(connection, path, timeout_ms)
        if self.is_new(connection):
            for statement in self.schema.split(";\n\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={self.version}")
        self.check(connection, path)
        connection.execute("COMMIT")


def _begin_in_wal(connection: sqlite3.Connection, path: Path, timeout_ms: int) -> None:
    """Begin a write transaction in WAL mode. The switch itself does not wait for one who is switching."""
    deadline = time.monotonic() + timeout_ms / 1_000
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise StoreMisconfigured(
                    f"{path}: SQLite keeps no write-ahead log there, as on some network file systems "
                    "(NFS, SMB); set STORE to a folder on a local disk"
                )
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_PAUSE_S)
        else:
            return
