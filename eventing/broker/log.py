"""The event log: one SQLite file, written by one thread in groups.

Group commit: while one transaction is being synced, everything that arrives gathers into the next. An
accepted event waits for its group's sync; an acknowledgement does not: it rides with the next group or goes
after `ACK_LINGER_S`, because one that is lost in a crash only causes a redelivery.

Cost stays flat because every table grows at its end: `events` by sequence number, `deliveries` by (sequence
number, trigger). There is no index on anything random.
"""

import asyncio
import contextlib
import fcntl
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from eventing.broker.reader import Reader
from eventing.broker.schema import (
    FORMAT,
    Counts,
    DeliveryRow,
    State,
    Stored,
    connect,
    encode_attributes,
)
from eventing.event import Event

logger = logging.getLogger(__name__)

T = TypeVar("T")

ACK_LINGER_S = 0.05
FAILED_PAUSE_S = 0.5
MAX_UNWRITTEN_DELIVERIES = 10_000  # while the file can't be written


class LogError(Exception):
    """The file can't be opened or written: the message says which and what to do."""


@dataclass(slots=True)
class _Group:
    events: list[tuple[Any, ...]] = field(default_factory=list)
    deliveries: dict[tuple[int, int], DeliveryRow] = field(default_factory=dict)  # by event and trigger
    counts: dict[int, Counts] = field(default_factory=dict)
    committed: list[Callable[[], None]] = field(default_factory=list)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)
    size: int = 0

    def __bool__(self) -> bool:
        return bool(self.events or self.deliveries or self.waiters)


class Log:
    """Use: `Log(path)`, `open()`, then `append`/`settle` from the event loop, `close()` at the end.

    `on_group(events, seconds)` is told each group of events that was written.
    """

    def __init__(self, path: Path, *, on_group: Callable[[int, float], None] | None = None) -> None:
        self.path = path
        self.next_seq = 1
        self.waiting_bytes = 0
        self.trouble = ""  # why the last group could not be written
        self.total_bytes = 0  # of all events stored or about to be; what is deleted later is not taken off
        self._on_group = on_group
        self._group = _Group()
        self._being_written = 0  # deliveries
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._closing = False
        self._writer = ThreadPoolExecutor(1, "log-writer")
        self.reader = Reader("log-reader")  # for deliveries
        self.history_reader = Reader("log-history")  # for people, whose questions take longer

    async def open(self) -> None:
        """Create or open the file. Raises LogError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = self.path.with_name(self.path.name + ".lock").open("w")
        except OSError as error:
            raise LogError(
                f"{self.path} cannot be written: {error.strerror}. Choose another --data"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise LogError(
                f"{self.path} is in use by another broker: stop it, or choose another --data"
            ) from error
        try:
            self._write_db = await self._in(self._writer, connect, self.path)
            await self.reader.open(self.path)
            await self.history_reader.open(self.path)
        except sqlite3.Error as error:
            self._lock.close()
            raise LogError(
                f"{self.path}: {error}. Make room, choose another --data, or move the file away"
            ) from error
        [(last, self.total_bytes)] = await self.read(
            "SELECT coalesce(max(seq), 0), coalesce(sum(bytes), 0) FROM events"
        )
        self.next_seq = last + 1
        self.writing = asyncio.create_task(self._commit_groups())  # it ends at `close` only

    async def close(self) -> None:
        """Write what has gathered, then close."""
        self._closing = True
        self._wake.set()
        self._urgent.set()
        await self.writing
        await self.reader.close()
        await self.history_reader.close()
        await self._in(self._writer, self._write_db.close)
        self._writer.shutdown()
        self._lock.close()

    # -- writing ---------------------------------------------------------------------------------------------

    @property
    def is_clogged(self) -> bool:
        """Whether so much can't be noted of deliveries that none should begin."""
        unwritten = self._being_written + len(self._group.deliveries)
        return bool(self.trouble) and unwritten >= MAX_UNWRITTEN_DELIVERIES

    @property
    def waiting_events(self) -> int:
        """Events that wait for the next group."""
        return len(self._group.events)

    def append(
        self, broker: str, received_ms: int, hops: int, event: Event, triggers: Iterable[int]
    ) -> Stored:
        """Number an event and put it, with a delivery for each trigger, into the group that gathers."""
        group = self._group
        attributes = encode_attributes(event)
        data = event.data
        size = len(attributes) + (len(data) if data else 0)
        seq = self.next_seq
        self.next_seq = seq + 1
        group.events.append((seq, broker, received_ms, hops, size, attributes, data))
        for trigger in triggers:
            group.deliveries[seq, trigger] = DeliveryRow(seq, trigger, State.PENDING, 0, received_ms)
        group.size += size
        self.waiting_bytes += size
        self.total_bytes += size
        self._wake.set()
        self._urgent.set()
        return Stored(seq, broker, received_ms, hops, event, size)

    def synced(self, then: Callable[[], None] | None = None) -> asyncio.Future[None]:
        """Done when all that was appended or settled so far is on disk; `then` runs just before, in order.

        The future raises LogError when the group could not be written: its events are not accepted.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        group = self._group
        if then is not None:
            group.committed.append(then)
        group.waiters.append(future)
        self._wake.set()
        self._urgent.set()
        return future

    def settle(self, delivery: DeliveryRow, counts: Counts) -> None:
        """Note how a delivery stands now, with the next group."""
        self._group.deliveries[delivery.seq, delivery.trigger] = delivery
        self._group.counts[counts.trigger] = counts
        self._wake.set()

    async def change(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a small change as a transaction of its own, after all that was settled before."""
        await self.synced()

        def run() -> T:
            with self._write_db:
                self._write_db.execute("BEGIN IMMEDIATE")
                return job(self._write_db)

        return await self._in(self._writer, run)

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Rows of a committed state. Keep them few: deliveries wait meanwhile."""
        return await self.reader.read(sql, parameters)

    @staticmethod
    async def _in(thread: ThreadPoolExecutor, job: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, job, *args)

    async def _commit_groups(self) -> None:
        while True:
            await self._wake.wait()
            if not self._urgent.is_set():  # acknowledgements only
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ACK_LINGER_S):
                        await self._urgent.wait()
            group, self._group = self._group, _Group()
            self._wake.clear()
            self._urgent.clear()
            written = not group or await self._commit(group)
            if self._closing and (not written or not self._group):
                return
            if self._closing or not written:
                self._wake.set()

    async def _commit(self, group: _Group) -> bool:
        """Write a group and tell those who wait for it; whether it was written."""
        started = time.perf_counter()
        failure: LogError | None = None
        self._being_written = len(group.deliveries)
        try:
            await self._in(self._writer, self._write, group)
        except Exception as error:  # whatever it is, those who wait must be told, and it goes on
            failure = LogError(
                f"the broker takes no events, as {self.path} can't be written: {error}. "
                "Make room, or see to the disk: it goes on by itself"
            )
        self._being_written = 0
        self._tell(failure)
        self.waiting_bytes -= group.size
        if failure is None:
            for then in group.committed:
                then()
        for waiter in group.waiters:
            if waiter.done():
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(failure)
        if failure is None:
            if self._on_group and group.events:
                self._on_group(len(group.events), time.perf_counter() - started)
            return True
        # What was settled goes with the next group; events are refused, their senders keep them.
        settled = {key: row for key, row in group.deliveries.items() if row.attempts or row.state}
        self._group.deliveries = settled | self._group.deliveries
        self.total_bytes -= group.size
        self._group.counts = group.counts | self._group.counts
        await asyncio.sleep(FAILED_PAUSE_S)
        return False

    def _tell(self, failure: LogError | None) -> None:
        """Log the first of several failures, and the first group that was written after them."""
        if failure is not None:
            if not self.trouble:
                logger.error("%s", failure)
            self.trouble = str(failure)
        elif self.trouble:
            logger.info("%s can be written again", self.path)
            self.trouble = ""

    def _write(self, group: _Group) -> None:
        db = self._write_db
        with db:
            db.execute("BEGIN IMMEDIATE")
            if self.trouble:  # whether it is over shows when something is written
                db.execute(f"PRAGMA user_version = {FORMAT}")
            _insert(db, "INSERT INTO events VALUES ", group.events)
            _insert(db, "REPLACE INTO deliveries VALUES ", list(group.deliveries.values()))
            for counts in group.counts.values():
                db.execute(
                    "UPDATE triggers SET delivered = ?, retried = ?, dead_lettered = ? WHERE id = ?", counts
                )


def _insert(db: sqlite3.Connection, prefix: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert many rows with few statements.

    Each step of a statement gives up the interpreter's lock and has to win it back from a busy event loop, so
    one statement with 64 rows is several times cheaper than 64 statements.
    """
    start, count = 0, len(rows)
    while start < count:
        step = next(size for size in (64, 16, 4, 1) if size <= count - start)
        chunk = rows[start : start + step]
        marks = "(" + ",".join("?" * len(chunk[0])) + ")"
        db.execute(prefix + ",".join([marks] * step), [value for row in chunk for value in row])
        start += step
