"""Reading the log's file: a connection that only reads, on a thread of its own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from eventing.broker.schema import BACKLOG, ONE_EVENT, DeliveryRow, Stored, connect_reader, read_row

T = TypeVar("T")


class Reader:
    """What it reads is a committed state. One question at a time: each waits for the one before."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)

    async def open(self, path: Path) -> None:
        """Raises sqlite3.Error."""
        self._db = await self._run(lambda: connect_reader(path))

    async def close(self) -> None:
        await self._run(self._db.close)
        self._thread.shutdown()

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Rows. Keep them few: LIMIT."""
        return await self._run(lambda: self._db.execute(sql, parameters).fetchall())

    async def load(self, seq: int) -> Stored:
        """One event. Raises KeyError when it is gone, which it never is while a delivery of it is open."""
        rows = await self.read(ONE_EVENT, (seq,))
        if not rows:
            raise KeyError(seq)
        return read_row(rows[0])

    async def backlog(
        self, trigger: int, after: int, limit: int, max_bytes: int
    ) -> list[tuple[DeliveryRow, Stored]]:
        """The next open deliveries of a trigger with their events, in order: at least one if there is one,
        then as many as `limit` and `max_bytes` allow.
        """

        def run() -> list[tuple[DeliveryRow, Stored]]:
            numbers = self._db.execute(BACKLOG, (trigger, after, limit)).fetchall()
            total, found = 0, list[tuple[DeliveryRow, Stored]]()
            for *delivery, size in numbers:
                total += size
                if found and total > max_bytes:
                    break
                row = self._db.execute(ONE_EVENT, delivery[:1]).fetchone()
                found.append((DeliveryRow(*delivery), read_row(row)))
            return found

        return await self._run(run)

    async def _run(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)
