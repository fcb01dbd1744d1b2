"""How long delivered events stay, for inspection and replay, and their deletion in small steps.

Deleting follows the log from its old end: as many go as come, so an event costs the same at ten million as at
ten thousand. Events that are still to be delivered, or are dead letters kept here, are passed over; they go
once they are settled, however many those are. Pages that become free are used again; only a large rest of
them (after a long backlog) is given back to the file system, a little at a time, so the file keeps its size
in normal running.
"""

import asyncio
import logging
import sqlite3
import time
from dataclasses import dataclass

from eventing.broker.log import Log, LogError
from eventing.broker.schema import UNSETTLED

logger = logging.getLogger(__name__)

STEP_EVENTS = 500
LOOK_BACK_EVENTS = 10_000
PAUSE_S = 1.0
SPARE_PAGES = 16_384  # 64 MiB
GIVEN_BACK_PAGES = 256

_NEXT = "SELECT seq, bytes, received_ms FROM events WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?"
_PASSED_OVER = f"""
SELECT seq, max(state IN {UNSETTLED}) FROM deliveries
WHERE seq > ? AND seq <= ? GROUP BY seq ORDER BY seq LIMIT ?
"""  # noqa: S608 - only constants
_DELETE_EVENTS = f"""
DELETE FROM events WHERE seq > ? AND seq <= ? AND NOT EXISTS
    (SELECT 1 FROM deliveries d WHERE d.seq = events.seq AND d.state IN {UNSETTLED})
"""  # noqa: S608 - only constants
_DELETE_DELIVERIES = """
DELETE FROM deliveries WHERE seq > ? AND seq <= ? AND NOT EXISTS
    (SELECT 1 FROM events e WHERE e.seq = deliveries.seq)
"""


@dataclass(frozen=True)
class Retention:
    """The bounds on what is kept though it is delivered; at least the newest event always stays."""

    max_events: int = 100_000
    max_bytes: int = 256 << 20
    max_age_ms: int | None = None


class Sweeper:
    """Deletes what `retention` does not hold. Use: `run()` as a task."""

    def __init__(self, log: Log, retention: Retention) -> None:
        self._log = log
        self._retention = retention
        self._swept = self._swept_bytes = 0  # all up to here has been looked at
        self._back = self._back_to = 0  # where the second look is, at what was passed over, and ends

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                while await self.sweep(time.time_ns() // 1_000_000):
                    pass
                while await self.look_back():
                    pass
                await self._log.change(_give_back)
            except (LogError, sqlite3.Error) as error:
                if not self._log.trouble:  # else it has been told
                    logger.error("old events could not be deleted, it is tried again: %s", error)  # noqa: TRY400
            await asyncio.sleep(PAUSE_S)

    async def sweep(self, now_ms: int) -> bool:
        """Delete up to STEP_EVENTS of what is too old or too much; whether there may be more."""
        bounds, last = self._retention, self._log.next_seq - 1
        rows = await self._log.history_reader.read(_NEXT, (self._swept, last, STEP_EVENTS))
        excess_bytes = self._log.total_bytes - self._swept_bytes - bounds.max_bytes
        upto = swept_bytes = 0
        for seq, size, received_ms in rows:
            too_old = bounds.max_age_ms is not None and received_ms < now_ms - bounds.max_age_ms
            if last - seq < bounds.max_events and excess_bytes <= swept_bytes and not too_old:
                break
            upto, swept_bytes = seq, swept_bytes + size
        if upto:
            await self._delete(self._swept, upto)
            self._swept = upto
            self._swept_bytes += swept_bytes
        return bool(rows) and upto == rows[-1][0]

    async def look_back(self) -> bool:
        """Delete up to STEP_EVENTS of those passed over that are settled by now; whether there may be more.

        Where none is settled among LOOK_BACK_EVENTS, the next look begins behind them.
        """
        rows = await self._log.history_reader.read(
            _PASSED_OVER, (self._back, self._back_to, LOOK_BACK_EVENTS)
        )
        settled = [seq for seq, is_open in rows if not is_open][:STEP_EVENTS]
        if settled:
            await self._delete(self._back, settled[-1])
        if len(settled) == STEP_EVENTS:
            self._back = settled[-1]
        elif len(rows) == LOOK_BACK_EVENTS:
            self._back = rows[-1][0]
        else:  # begin again; the end is fixed, for it moves as fast as this may come behind it
            self._back, self._back_to = 0, self._swept
        return bool(settled and self._back)

    async def _delete(self, after: int, upto: int) -> None:
        def delete(db: sqlite3.Connection) -> None:
            db.execute(_DELETE_EVENTS, (after, upto))
            db.execute(_DELETE_DELIVERIES, (after, upto))

        await self._log.change(delete)


def _give_back(db: sqlite3.Connection) -> None:
    if db.execute("PRAGMA freelist_count").fetchone()[0] > SPARE_PAGES:
        db.execute(f"PRAGMA incremental_vacuum({GIVEN_BACK_PAGES})").fetchall()
