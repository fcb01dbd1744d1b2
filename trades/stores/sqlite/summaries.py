"""The file of summaries: one row a ticker, its price levels, and the claims of counted events.

    events     the claim of each counted event: 16-byte key, digest
    summaries  one row a ticker; `change_no` is the commit that last changed it
    levels     one row a ticker and price (see levels.py)

Sums are made by SQLite in INTEGER columns of STRICT tables: a sum past 63 bits would become a REAL, which
such a column refuses. So an overflow is an error that undoes the event, never a wrong number.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from trades.store import ChangedSummaries, Outcome, StoredClaim
from trades.stores.sqlite.bulk import insert_rows
from trades.stores.sqlite.claims import fill_in, read_digests, sort_out
from trades.stores.sqlite.database import Database
from trades.stores.sqlite.layout import Layout
from trades.stores.sqlite.levels import (
    LEVEL_TABLES,
    delete_levels,
    merge_levels,
    read_levels,
    settle_levels,
)
from trades.summary import Latest, PriceLevel, Summary, Tally, tally_events
from trades.trade import TradeEvent

_SUMMARY_TABLES = """
CREATE TABLE events (
    key BLOB PRIMARY KEY,
    digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE summaries (
    ticker TEXT PRIMARY KEY,
    trade_count INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    notional_ticks INTEGER NOT NULL,
    highest_ticks INTEGER NOT NULL,
    lowest_ticks INTEGER NOT NULL,
    latest_time_ms INTEGER NOT NULL,
    latest_trade_id TEXT NOT NULL,
    latest_price_ticks INTEGER NOT NULL,
    change_no INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE totals (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    change_no INTEGER NOT NULL,
    most_young_levels INTEGER NOT NULL  -- there may be fewer
) STRICT;

INSERT INTO totals VALUES (1, 0, 0)
"""

_SCAN_PAGE_ROWS = 10_000

_LAYOUT = Layout(version=1, schema=";\n\n".join([LEVEL_TABLES, _SUMMARY_TABLES]))

# Latest by (time, id, price); text compares by code point, as in Python.
_MERGE_SUMMARIES = """
INSERT INTO summaries VALUES {rows}
ON CONFLICT (ticker) DO UPDATE SET
    trade_count = trade_count + excluded.trade_count,
    volume = volume + excluded.volume,
    notional_ticks = notional_ticks + excluded.notional_ticks,
    highest_ticks = max(highest_ticks, excluded.highest_ticks),
    lowest_ticks = min(lowest_ticks, excluded.lowest_ticks),
    latest_time_ms = max(latest_time_ms, excluded.latest_time_ms),
    latest_trade_id = CASE
        WHEN (excluded.latest_time_ms, excluded.latest_trade_id) > (latest_time_ms, latest_trade_id)
        THEN excluded.latest_trade_id ELSE latest_trade_id END,
    latest_price_ticks = CASE
        WHEN (excluded.latest_time_ms, excluded.latest_trade_id, excluded.latest_price_ticks)
            > (latest_time_ms, latest_trade_id, latest_price_ticks)
        THEN excluded.latest_price_ticks ELSE latest_price_ticks END,
    change_no = excluded.change_no
"""


class Summaries:
    """Summaries and price levels in a file of their own, as only one of the functions writes them."""

    def __init__(self, folder: Path) -> None:
        self._summaries_file = Database(folder / "summaries.db", _LAYOUT)

    def count_trades(self, events: Sequence[TradeEvent]) -> list[Outcome]:
        """A group that overflows is cut in two until the events are found that a ticker can't take.

        No SAVEPOINT to go back to: it would copy each page that a group touches.
        """
        try:
            return self._count_together(events)
        except _Overflow:
            if len(events) == 1:
                return [Outcome.OVERFLOW]
        half = len(events) // 2
        return self.count_trades(events[:half]) + self.count_trades(events[half:])

    def _count_together(self, events: Sequence[TradeEvent]) -> list[Outcome]:
        with self._summaries_file.write() as connection:
            outcomes, fresh = sort_out(connection, events)
            if fresh:
                settle_levels(connection)
                _add(connection, fresh)
        return fill_in(outcomes, Outcome.COUNTED)

    def read_summary(self, ticker: str) -> Summary | None:
        with self._summaries_file.read() as connection:
            return _read_summary(connection, ticker)

    def read_level(self, ticker: str, price_ticks: int) -> PriceLevel | None:
        with self._summaries_file.read() as connection:
            return read_levels(connection, ticker, price_ticks, price_ticks).get(price_ticks)

    def read_levels(self, ticker: str) -> dict[int, PriceLevel]:
        with self._summaries_file.read() as connection:
            return read_levels(connection, ticker)

    def read_changed_summaries(self, cursor: int) -> ChangedSummaries:
        """Looks at every row: 4,000 take a millisecond or two, and an index would cost each write."""
        with self._summaries_file.read() as connection:
            rows = connection.execute("SELECT * FROM summaries WHERE change_no > ?", (cursor,)).fetchall()
        summaries = {ticker: _to_summary(figures) for ticker, *figures, _ in rows}
        return ChangedSummaries(summaries, max((change_no for *_, change_no in rows), default=cursor))

    def scan_tickers(self) -> Iterator[str]:
        with self._summaries_file.read() as connection:
            rows = connection.execute("SELECT ticker FROM summaries").fetchall()
        return (ticker for (ticker,) in rows)

    def scan_claims(self) -> Iterator[StoredClaim]:
        """In pages, each in a short transaction, as a long one would keep the log from starting again."""
        last = b""
        while True:
            with self._summaries_file.read() as connection:
                rows = connection.execute(
                    "SELECT key FROM events WHERE key > ? ORDER BY key LIMIT ?", (last, _SCAN_PAGE_ROWS)
                ).fetchall()
            yield from (StoredClaim(key, True, None) for (key,) in rows)
            if len(rows) < _SCAN_PAGE_ROWS:
                return
            (last,) = rows[-1]

    def read_claims(self, keys: Sequence[bytes]) -> dict[bytes, StoredClaim]:
        with self._summaries_file.read() as connection:
            return {key: StoredClaim(key, True, None) for key in read_digests(connection, keys)}

    def claim_counted(self, digests: Sequence[tuple[bytes, bytes]]) -> None:
        """`digests`: keys of events, with the digests of their trades."""
        with self._summaries_file.write() as connection:
            connection.executemany("INSERT OR IGNORE INTO events VALUES (?, ?)", digests)

    def replace_tally(self, ticker: str, expected: Tally | None, tally: Tally | None) -> bool:
        with self._summaries_file.write() as connection:
            summary = _read_summary(connection, ticker)
            found = None if summary is None else Tally(summary, read_levels(connection, ticker))
            if found != expected:
                return False
            connection.execute("DELETE FROM summaries WHERE ticker = ?", (ticker,))
            delete_levels(connection, ticker)
            if tally is not None:
                _merge(connection, {ticker: tally}, _next_change_no(connection))
        return True

    def reshard(self, shard_count: int, count: Callable[[int], None] = lambda records: None) -> None:
        """A ticker has one row: there is nothing to spread."""


def _next_change_no(connection: sqlite3.Connection) -> int:
    """A number for the commit under way: later ones have larger numbers, as one writes at a time."""
    connection.execute("UPDATE totals SET change_no = change_no + 1")
    change_no: int = connection.execute("SELECT change_no FROM totals").fetchone()[0]
    return change_no


class _Overflow(Exception):
    """A sum would leave 63 bits."""


def _add(connection: sqlite3.Connection, events: Sequence[TradeEvent]) -> None:
    """Claim and add the events."""
    try:
        connection.executemany(
            "INSERT INTO events VALUES (?, ?)", [(event.key, event.digest) for event in events]
        )
        _merge(connection, tally_events(events), _next_change_no(connection))
    except (sqlite3.IntegrityError, OverflowError) as error:
        if _is_overflow(error):
            raise _Overflow from error
        raise


def _is_overflow(error: Exception) -> bool:
    """An integer that Python could not hand over, or a sum that became a REAL."""
    return isinstance(error, OverflowError) or "cannot store REAL" in str(error)


def _merge(connection: sqlite3.Connection, tallies: dict[str, Tally], change_no: int) -> None:
    """Add tallies. In the order of the tables: a third faster than in any other."""
    in_order = sorted(tallies.items())
    summaries = [(ticker, *_to_row(tally.summary), change_no) for ticker, tally in in_order]
    insert_rows(connection, _MERGE_SUMMARIES, summaries)
    merge_levels(connection, in_order)


def _to_row(summary: Summary) -> tuple[int | str, ...]:
    return (
        summary.trade_count,
        summary.volume,
        summary.notional_ticks,
        summary.highest_ticks,
        summary.lowest_ticks,
        *summary.latest,
    )


def _to_summary(row: Sequence[Any]) -> Summary:
    trade_count, volume, notional_ticks, highest_ticks, lowest_ticks, *latest = row
    return Summary(trade_count, volume, notional_ticks, highest_ticks, lowest_ticks, Latest(*latest))


def _read_summary(connection: sqlite3.Connection, ticker: str) -> Summary | None:
    row = connection.execute("SELECT * FROM summaries WHERE ticker = ?", (ticker,)).fetchone()
    return None if row is None else _to_summary(row[1:-1])
