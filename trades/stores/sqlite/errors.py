"""What SQLite's result codes mean to a caller: try again, or have a person look.

Codes: https://www.sqlite.org/rescode.html. An extended code's low byte is its primary code.
"""

import sqlite3
from pathlib import Path

from trades.store import StoreError, StoreMisconfigured, StoreUnavailable

# Doing the same again is safe and may succeed.
_PASSING = {
    sqlite3.SQLITE_BUSY: "another process holds the file",
    sqlite3.SQLITE_LOCKED: "another connection holds a table",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_INTERRUPT: "interrupted",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_PROTOCOL: "another process holds the write-ahead log",
    sqlite3.SQLITE_SCHEMA: "the tables were changed meanwhile",
}

# A person has to act.
_LASTING = {
    sqlite3.SQLITE_PERM: "let this user read and write it and its folder",
    sqlite3.SQLITE_READONLY: "let this user write it and its folder, and leave it in place while open",
    sqlite3.SQLITE_CANTOPEN: "check that its folder exists and that this user may write there",
    sqlite3.SQLITE_AUTH: "this program may not open it",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite file: move it away, or set STORE to another folder",
    sqlite3.SQLITE_CORRUPT: "it is damaged: restore it from a copy, or save it with `sqlite3 FILE .recover`",
}


def error_name(error: sqlite3.Error) -> str:
    """SQLite's own name for an error: `BUSY`, `IOERR_WRITE`."""
    name = getattr(error, "sqlite_errorname", None) or "OTHER"
    return name.removeprefix("SQLITE_")


def classify(error: sqlite3.Error, path: Path) -> StoreError:
    """The StoreError that tells what `error` means for `path`. Raises `error` if it is a bug of ours."""
    primary = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if primary in _PASSING:
        return StoreUnavailable(f"{path}: {_PASSING[primary]} ({error}); try again")
    if primary in _LASTING:
        return StoreMisconfigured(f"{path}: {error}; {_LASTING[primary]}")
    raise error
