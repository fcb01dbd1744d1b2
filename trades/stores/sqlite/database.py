"""One SQLite file: who holds it, in which transaction, and what happens at a fork.

The settings, and why:

- WAL with `synchronous=FULL`: a commit is on disk before it returns, and readers see the last commit
  without waiting for the writer or holding it up. The log is synced before the commit becomes visible,
  so nobody can act on something that a power cut would take back.
- One writer connection a process behind a lock, and a read-only connection for each thread that reads at
  the same moment. Several processes may write: `BEGIN IMMEDIATE` takes the file's write lock at the start,
  so that no transaction has to be given up half-way.
- A checkpoint after each 32 MB of log carries its pages to the file, so that a page that many commits touch
  is written there once. When readers overlap without a gap, the log can't start again: past 128 MB the
  writer waits for a gap, 100 ms at most.
- The writer caches 64 MB of pages, more than a group touches, so that nothing is written before the commit.
  Readers rely on the operating system's cache.
- `secure_delete=OFF`: deleted rows need not be overwritten (some builds do so by default, at double the I/O).
- `temp_store=MEMORY`: SQLite notes what a statement with many rows would need to be undone; it is less than a
  megabyte, but would go through a temporary file, page by page.
- `fullfsync`: on macOS a sync reaches the platter only so; elsewhere it changes nothing.
- No memory map: a disk error must come back as a result code, not as a signal that ends the process.
"""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trades.observer import SILENT, StoreObserver
from trades.store import StoreError, StoreMisconfigured, StoreUnavailable
from trades.stores.sqlite.errors import classify, error_name
from trades.stores.sqlite.layout import Layout

CHECKPOINT_PAGES = 8_192  # of 4 KiB

_BUSY_TIMEOUT_MS = 5_000
_CACHE_KIB = 65_536
_MAX_LOG_BYTES = 128 * 2**20
_TRUNCATE_TIMEOUT_MS = 100


class Database:
    """An SQLite file that is opened at first use and may be used by many threads, also after a fork."""

    def __init__(
        self,
        path: Path,
        layout: Layout,
        *,
        synchronous: str = "FULL",
        busy_timeout_ms: int = _BUSY_TIMEOUT_MS,
    ) -> None:
        self.path = path
        self.observer: StoreObserver = SILENT
        self._layout = layout
        self._synchronous = synchronous
        self._busy_timeout_ms = busy_timeout_ms
        self._log_path = path.with_name(f"{path.name}-wal")
        self._truncate_at_bytes = _MAX_LOG_BYTES
        self._write_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._writer_file = (0, 0)
        self._reads = threading.Condition()
        self._idle_readers: list[sqlite3.Connection] = []
        self._busy_readers = 0
        self._is_forking = False
        self._epoch = 0  # raised by close(): a reader from before is not kept
        with _fork_lock:
            _databases.add(self)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: committed, durably, when the block ends; rolled back when it raises."""
        start_s = time.perf_counter()
        if not self._write_lock.acquire(timeout=self._busy_timeout_ms / 1_000):
            self.observer.failed("WRITER_BUSY", 1, 0)
            raise StoreUnavailable(f"{self.path}: another thread has been writing for long; try again")
        try:
            connection = self._writer = self._writer or self._open_writer()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                self._check_in_place(connection)
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise
            self._bound_log(connection)
        except sqlite3.Error as error:
            raise self._classify(error) from error
        finally:
            self._write_lock.release()
            self.observer.called("write", time.perf_counter() - start_s)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A read transaction: the file as it was at one moment, whatever is written meanwhile."""
        start_s = time.perf_counter()
        try:
            connection, epoch = self._take_reader()
            try:
                connection.execute("BEGIN")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                epoch = -1  # not to be used again
                raise
            finally:
                self._give_back(connection, epoch)
        except sqlite3.Error as error:
            raise self._classify(error) from error
        finally:
            self.observer.called("read", time.perf_counter() - start_s)

    def _classify(self, error: sqlite3.Error) -> StoreError:
        self.observer.failed(error_name(error), 1, 0)
        return classify(error, self.path)

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back. The next use opens again."""
        with self._reads, self._write_lock:
            self._close_idle()
            self._epoch += 1

    def _open_writer(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreMisconfigured(
                f"{self.path.parent}: {error.strerror}; set STORE to a folder that this user may write"
            ) from None
        connection = self._connect(str(self.path))
        try:
            self._layout.ensure(connection, self.path, self._busy_timeout_ms)
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit={_MAX_LOG_BYTES // 2}")
            connection.execute("PRAGMA secure_delete=OFF")
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute("PRAGMA fullfsync=1")
            connection.execute("PRAGMA checkpoint_fullfsync=1")
            self._writer_file = _identify(self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_in_place(self, connection: sqlite3.Connection) -> None:
        """Raises StoreMisconfigured when the file is not the one that was opened: a commit would be lost."""
        if _identify(self.path) != self._writer_file:
            self._forget_writer(connection)
            raise StoreMisconfigured(
                f"{self.path}: was removed or replaced while it was in use, and what came in since is lost; "
                "stop all that use this folder before you change it"
            )

    def _forget_writer(self, connection: sqlite3.Connection) -> None:
        self._writer = None
        with suppress(sqlite3.Error):
            connection.close()

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        """Give up the transaction. A connection that can't even do that is not used again."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._forget_writer(connection)

    def _bound_log(self, connection: sqlite3.Connection) -> None:
        """Empty the log if overlapping readers have kept it from starting again; if one stays, later."""
        with suppress(sqlite3.Error, OSError):  # the commit stands, whatever becomes of this
            log_bytes = self._log_path.stat().st_size
            if log_bytes >= self._truncate_at_bytes:
                connection.execute(f"PRAGMA busy_timeout={_TRUNCATE_TIMEOUT_MS}")
                try:
                    (was_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                finally:
                    connection.execute(f"PRAGMA busy_timeout={self._busy_timeout_ms}")
                self._truncate_at_bytes = _MAX_LOG_BYTES + (log_bytes if was_busy else 0)

    def _take_reader(self) -> tuple[sqlite3.Connection, int]:
        with self._reads:
            self._reads.wait_for(lambda: not self._is_forking)
            epoch = self._epoch
            self._busy_readers += 1
            if self._idle_readers:
                return self._idle_readers.pop(), epoch
        try:
            return self._open_reader(), epoch
        except BaseException:
            self._count_reader_back()
            raise

    def _open_reader(self) -> sqlite3.Connection:
        while True:
            if self.path.exists():
                connection = self._connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
                try:
                    if not self._layout.is_new(connection):
                        self._layout.check(connection, self.path)
                        return connection
                except BaseException:
                    connection.close()
                    raise
                connection.close()
            with self.write():  # a reader may come before the first writer
                pass

    def _give_back(self, connection: sqlite3.Connection, epoch: int) -> None:
        with self._reads:
            if keep := epoch == self._epoch:
                self._idle_readers.append(connection)
        if not keep:
            connection.close()
        self._count_reader_back()

    def _count_reader_back(self) -> None:
        with self._reads:
            self._busy_readers -= 1
            self._reads.notify_all()

    def _connect(self, name: str, *, uri: bool = False) -> sqlite3.Connection:
        return sqlite3.connect(
            name,
            timeout=self._busy_timeout_ms / 1_000,
            isolation_level=None,  # transactions begin and end where this module says
            check_same_thread=False,  # one thread at a time, but not always the same
            uri=uri,
        )

    def _close_idle(self) -> None:
        writer, self._writer = self._writer, None
        readers, self._idle_readers = self._idle_readers, []
        for connection in [*readers, writer]:  # the last to close empties the log, which a reader may not
            if connection is not None:
                with suppress(sqlite3.Error):
                    connection.close()

    # SQLite's locks belong to a process, and its notes about them would be copied to a child. No connection
    # may be open across a fork (https://www.sqlite.org/howtocorrupt.html, section 2.6): both sides open anew.

    def before_fork(self) -> None:
        """Close everything, when those who use it are done, and let nobody open before `after_fork`."""
        self._reads.acquire()
        self._is_forking = True
        self._reads.wait_for(lambda: self._busy_readers == 0, timeout=self._busy_timeout_ms / 1_000)
        self._write_lock.acquire()
        self._close_idle()

    def after_fork(self) -> None:
        """Go on, in the parent and in the child."""
        self._write_lock.release()
        self._is_forking = False
        self._reads.notify_all()
        self._reads.release()


def _identify(path: Path) -> tuple[int, int]:
    """Which file this is, whatever its name; (0, 0): there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


_databases: "weakref.WeakSet[Database]" = weakref.WeakSet()
_forking: list[Database] = []
_fork_lock = threading.Lock()  # held while one forks: another that did would take the same locks in its order


def _before_fork() -> None:
    _fork_lock.acquire()
    _forking.extend(_databases)
    for database in _forking:
        database.before_fork()


def _after_fork() -> None:
    while _forking:
        _forking.pop().after_fork()
    _fork_lock.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
