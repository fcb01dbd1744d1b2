"""Raw trades that are kept for a while only: whole runs are removed, some rows a commit.

    run_ages  when each run was made; only in files that were ever told to let trades go

A run is removed when all of it is older than the retention. What waits to be sorted into a run stays, and
nothing is removed while nothing is stored. The claims in `events` stay: an event that comes again is known.
"""

import sqlite3

STEP_ROWS = 4_000  # and twice what a commit adds, so that removing keeps up

_TABLE = "CREATE TABLE IF NOT EXISTS run_ages (run_no INTEGER PRIMARY KEY, made_s INTEGER NOT NULL) STRICT"
_NTH_ROW = """
SELECT ticker, time_ms, event_no, place FROM sorted_trades WHERE run_no = ?
ORDER BY ticker, time_ms, event_no, place LIMIT 1 OFFSET ?
"""


def note_ages(connection: sqlite3.Connection, now_s: int) -> None:
    """Runs whose age is not known count as made now: the newest one, and those from before it was asked."""
    connection.execute(_TABLE)
    connection.execute("INSERT OR IGNORE INTO run_ages SELECT run_no, ? FROM runs", (now_s,))


def has_ages(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'run_ages'").fetchone()
    return bool(found[0])


def remove_old(connection: sqlite3.Connection, made_before_s: int, limit: int) -> None:
    """At most `limit` trades of the oldest run, if that is old enough."""
    oldest = connection.execute(
        "SELECT run_no FROM run_ages WHERE made_s < ? ORDER BY run_no LIMIT 1", (made_before_s,)
    ).fetchone()
    if oldest is None:
        return
    end = connection.execute(_NTH_ROW, (*oldest, limit)).fetchone()
    if end is None:
        removed = connection.execute("DELETE FROM sorted_trades WHERE run_no = ?", oldest).rowcount
        connection.execute("DELETE FROM runs WHERE run_no = ?", oldest)
        connection.execute("DELETE FROM run_ages WHERE run_no = ?", oldest)
    else:
        removed = connection.execute(
            "DELETE FROM sorted_trades"
            " WHERE run_no = ? AND (ticker, time_ms, event_no, place) < (?, ?, ?, ?)",
            (*oldest, *end),
        ).rowcount
    connection.execute("UPDATE totals SET stored_trades = stored_trades - ?", (removed,))
