"""Volume by symbol in windows of trade time, kept in one SQLite file: the state of `volume_alert`.

A trade belongs to the window of its own timestamp. An event counts once: its claim, its volumes and the
window it closes are one transaction, so one that comes again finds its claim, and one that was cut off
left nothing. A window is closed by the first event with a trade `grace_ms` past its end, the oldest window
first and one an event; what comes for it later is late and counts nowhere. So claims need be kept only
while a window of theirs is open, and the file stays small.
"""

import sqlite3
from collections import Counter
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from trades.trade import TradeEvent

MAX_ALERTS = 10_000  # kept, the newest

_SCHEMA = """
CREATE TABLE IF NOT EXISTS counted (source TEXT, id TEXT, last_ms INTEGER, PRIMARY KEY (source, id));
CREATE TABLE IF NOT EXISTS volumes (
    window_ms INTEGER, ticker TEXT, volume INTEGER, PRIMARY KEY (window_ms, ticker));
CREATE TABLE IF NOT EXISTS alerts (
    window_ms INTEGER PRIMARY KEY, length_ms INTEGER, ticker TEXT, volume INTEGER, source TEXT, id TEXT);
CREATE INDEX IF NOT EXISTS alerts_by_event ON alerts (source, id);
"""
_ADD = """
INSERT INTO volumes VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET volume = volume + excluded.volume
"""

_CLAIM = "INSERT INTO counted VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_LARGEST = """
SELECT window_ms, ticker, volume FROM volumes WHERE window_ms = (SELECT min(window_ms) FROM volumes)
ORDER BY volume DESC, ticker LIMIT 1
"""
_FORGET = """
DELETE FROM alerts WHERE window_ms <= (SELECT window_ms FROM alerts ORDER BY window_ms DESC LIMIT 1 OFFSET ?)
"""


class Alert(NamedTuple):
    """The symbol with the largest volume (the first by name of several) in a window from `start_ms` on."""

    start_ms: int
    length_ms: int
    ticker: str
    volume: int


class VolumeWindows:
    """One file, for one process; any number of threads."""

    def __init__(self, path: Path, window_ms: int, grace_ms: int) -> None:
        """`window_ms` may differ from run to run: windows that are closed stay as they were."""
        self._window_ms, self._grace_ms = window_ms, grace_ms
        self._lock = Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {_SCHEMA}")

    def close(self) -> None:
        self._db.close()

    def add(self, event: TradeEvent) -> Alert | None:
        """Count an event's trades: the alert of the window that it closed, now or when it came before."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if self._count(event):
                self._close_oldest(event)
            return self._alert_of(event)

    def _count(self, event: TradeEvent) -> bool:
        """False: it came before, or all of it is late."""
        [(closed_ms,)] = self._db.execute("SELECT coalesce(max(window_ms + length_ms), 0) FROM alerts")
        volumes = Counter[tuple[int, str]]()
        for trade in event.trades:
            window_ms = trade.time_ms - trade.time_ms % self._window_ms
            if window_ms >= closed_ms:
                volumes[window_ms, trade.ticker] += trade.volume
        if not volumes:
            return False
        last_ms = max(trade.time_ms for trade in event.trades)  # windows may have another length later
        claim = self._db.execute(_CLAIM, (event.source, event.id, last_ms))
        if claim.rowcount == 0:
            return False
        self._db.executemany(_ADD, [(*key, volume) for key, volume in volumes.items()])
        return True

    def _close_oldest(self, event: TradeEvent) -> None:
        """Close the oldest window, if this event shows that its time is over."""
        window_ms, ticker, volume = self._db.execute(_LARGEST).fetchone()
        end_ms = window_ms + self._window_ms
        if max(trade.time_ms for trade in event.trades) < end_ms + self._grace_ms:
            return
        alert = (window_ms, self._window_ms, ticker, volume, event.source, event.id)
        self._db.execute("INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?)", alert)
        self._db.execute("DELETE FROM volumes WHERE window_ms = ?", (window_ms,))
        self._db.execute("DELETE FROM counted WHERE last_ms < ?", (end_ms,))
        self._db.execute(_FORGET, (MAX_ALERTS,))

    def _alert_of(self, event: TradeEvent) -> Alert | None:
        row = self._db.execute(
            "SELECT window_ms, length_ms, ticker, volume FROM alerts WHERE source = ? AND id = ?",
            (event.source, event.id),
        ).fetchone()
        return Alert(*row) if row else None
