"""A disk under SQLite that fails when told to, and keeps only what was synced when its power is cut.

The standard library's sqlite3 can't have a file system of our own, apsw can: so here the store, or the
broker's log, runs on apsw's SQLite, behind the few methods of a connection that it uses.
"""

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw

_SECTOR_BYTES = 512
_CODES = {apsw.IOError: apsw.SQLITE_IOERR_WRITE, apsw.FullError: apsw.SQLITE_FULL}


class FaultyDisk(apsw.VFS):
    """Counts writes, syncs and truncations; those in `faults` fail, with `error`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps = 0
        self.fails_at: range = range(0)
        self.error: type[apsw.Error] = apsw.IOError
        self.files: dict[Path, _Image] = {}
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> "_File":  # noqa: N802 - apsw's name
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        self.files.setdefault(path, _Image())
        return _File(self, name, flags, self.files[path])

    def xDelete(self, name: str, sync_dir: bool) -> None:  # noqa: N802
        super().xDelete(name, sync_dir)
        self.files.pop(Path(name), None)

    def excepthook(self, *_: Any) -> None:
        """Second and later failures within one call; apsw raises the first."""

    def step(self) -> None:
        """Called before anything that changes a file."""
        self.steps += 1
        if self.steps in self.fails_at:
            error = self.error("the disk was told to fail")
            error.extendedresult = _CODES[self.error]  # apsw sets it only on errors of SQLite's own
            raise error

    def connect(self, name: str) -> "Connection":
        """In place of sqlite3.connect. Readers may write here: what a read-only file refuses SQLite passes
        over (it tries to lock it, to tidy up), and apsw would raise it.
        """
        return Connection(name.removesuffix("?mode=ro"), self.name)

    def cut_power(self, folder: Path, rng: random.Random) -> None:
        """Leave in `folder` what a disk might hold: all that was synced, some of the rest, torn anywhere."""
        folder.mkdir()
        for path, image in self.files.items():
            (folder / path.name).write_bytes(image.after_power_cut(rng))


class _Image:
    """A file's content as of its last sync, and what was done to it since."""

    def __init__(self) -> None:
        self.synced = bytearray()
        self.pending: list[tuple[int, bytes | None]] = []  # offset and data; None: truncated at the offset

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.synced, change)
        self.pending = []

    def after_power_cut(self, rng: random.Random) -> bytes:
        content = bytearray(self.synced)
        kept = rng.choice([0.0, 0.5, 0.9, 1.0])
        for offset, data in self.pending:
            if data is None:
                if rng.random() < kept:
                    _apply(content, (offset, None))
                continue
            for start in range(0, len(data), _SECTOR_BYTES):
                if rng.random() < kept:
                    _apply(content, (offset + start, data[start : start + _SECTOR_BYTES]))
        return bytes(content)


def _apply(content: bytearray, change: tuple[int, bytes | None]) -> None:
    offset, data = change
    if data is None:
        del content[offset:]
        return
    content.extend(bytes(max(0, offset + len(data) - len(content))))
    content[offset : offset + len(data)] = data


class _File(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int], image: _Image) -> None:
        self._disk = disk
        self._image = image
        super().__init__("", name, flags)

    def excepthook(self, *_: Any) -> None:
        """As FaultyDisk.excepthook."""

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.step()
        super().xWrite(data, offset)
        self._image.pending.append((offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._disk.step()
        super().xTruncate(size)
        self._image.pending.append((size, None))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.step()
        super().xSync(flags)
        self._image.sync()


class Connection:
    """What the store and the broker's log use of a sqlite3.Connection, on apsw."""

    def __init__(self, name: str, vfs: str) -> None:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        self._connection = apsw.Connection(name, flags=flags, vfs=vfs)
        self._connection.set_busy_timeout(1_000)

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, statement: str, values: Sequence[Any] = ()) -> "_Result":
        try:
            rows = list(self._connection.execute(statement, values))
        except apsw.Error as error:
            raise _translate(error) from error
        return _Result(rows, self._connection.last_insert_rowid(), self._connection.changes())

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            self.execute(statement, row)

    def executescript(self, statements: str) -> None:
        self.execute(statements)

    def __enter__(self) -> None:
        """A transaction, if one begins: committed at the end, or rolled back."""

    def __exit__(self, kind: object, *_: object) -> None:
        if self.in_transaction:
            self.execute("COMMIT" if kind is None else "ROLLBACK")

    def close(self) -> None:
        with suppress(apsw.Error):  # a checkpoint that fails: sqlite3 says nothing of it either
            self._connection.close()


class _Result:
    def __init__(self, rows: list[Any], lastrowid: int, rowcount: int) -> None:
        self._rows = iter(rows)
        self.lastrowid = lastrowid
        self.rowcount = rowcount

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


def _translate(error: apsw.Error) -> sqlite3.Error:
    kind = sqlite3.IntegrityError if isinstance(error, apsw.ConstraintError) else sqlite3.OperationalError
    translated = kind(str(error))
    translated.sqlite_errorcode = error.extendedresult
    return translated
