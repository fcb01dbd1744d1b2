"""The file of raw trades: a waiting room of whole events, and runs of trades sorted by ticker and time.

    events         one row an event: the claim (16-byte key, digest), and where its trades came from
    waiting        the trades of the newest events, one row an event, as JSON
    sorted_trades  the trades of all earlier events, one row a trade, by (run, ticker, time, event, place)
    runs           one row for each time that the waiting room was emptied
    all_trades     all of them, for people: `sqlite3 trades.db 'SELECT * FROM all_trades LIMIT 10'`

Everything is written at the end of a table, so a trade costs the same however many there are: an event is
one small row and one with its JSON; when enough are waiting, one statement sorts their trades into a new run.
A ticker's trades stand together in each run, so "the newest trades of a ticker" looks into few runs, or, for
a rare ticker or timestamps without order, once into each. The figures are in
docs/decisions/0002-sqlite-layout.md.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path

import msgspec

from trades.store import Expiry, Outcome, StoredClaim, StoredTrade, TradePage
from trades.stores.sqlite.claims import fill_in, read_digests, sort_out
from trades.stores.sqlite.database import Database
from trades.stores.sqlite.drill_down import read_page, scan
from trades.stores.sqlite.expiry import STEP_ROWS, has_ages, note_ages, remove_old
from trades.stores.sqlite.layout import Layout
from trades.trade import Trade, TradeEvent

MAX_WAITING_TRADES = 64_000
MAX_WAITING_EVENTS = 4_000

_LAYOUT = Layout(
    version=1,
    schema="""
CREATE TABLE events (
    event_no INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    is_batch INTEGER NOT NULL
) STRICT;

CREATE TABLE waiting (
    event_no INTEGER PRIMARY KEY REFERENCES events,
    oldest_ms INTEGER NOT NULL,  -- the earliest and the latest time in it
    newest_ms INTEGER NOT NULL,
    tickers TEXT NOT NULL,  -- those in it, once each: ["A.COM", ...]
    trades TEXT NOT NULL  -- [[ticker, price_ticks, volume, time_ms], ...]
) STRICT;

CREATE INDEX waiting_by_time ON waiting (newest_ms);

CREATE TABLE runs (
    run_no INTEGER PRIMARY KEY,
    oldest_ms INTEGER NOT NULL,
    newest_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE sorted_trades (
    run_no INTEGER NOT NULL REFERENCES runs,
    ticker TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    event_no INTEGER NOT NULL REFERENCES events,
    place INTEGER NOT NULL,  -- the trade's index in its event
    price_ticks INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    PRIMARY KEY (run_no, ticker, time_ms, event_no, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE totals (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    stored_trades INTEGER NOT NULL,
    waiting_trades INTEGER NOT NULL,
    waiting_events INTEGER NOT NULL
) STRICT;

INSERT INTO totals VALUES (1, 0, 0, 0);

CREATE VIEW waiting_trades AS
    SELECT value ->> 0 AS ticker, value ->> 3 AS time_ms, event_no, key AS place,
        value ->> 1 AS price_ticks, value ->> 2 AS volume
    FROM waiting, json_each(waiting.trades);

CREATE VIEW all_trades AS
    SELECT ticker, time_ms, event_no, place, price_ticks, volume, source, event_id
    FROM (SELECT * FROM sorted_trades UNION ALL SELECT NULL, * FROM waiting_trades)
    JOIN events USING (event_no)
""",
)

_get_ticker = itemgetter(Trade._fields.index("ticker"))
_get_time = itemgetter(Trade._fields.index("time_ms"))
_encode_json = msgspec.json.Encoder().encode


class RawTrades:
    """Raw trades in a file of their own, as only one of the functions writes them."""

    def __init__(self, folder: Path, retention_s: int) -> None:
        self._trades_file = Database(folder / "trades.db", _LAYOUT)
        self._trade_retention_s = retention_s

    def store_trades(self, events: Sequence[TradeEvent]) -> list[Outcome]:
        with self._trades_file.write() as connection:
            outcomes, fresh = sort_out(connection, events)
            if fresh:
                self._make_room(connection, sum(len(event.trades) for event in fresh))
                _append(connection, fresh)
        return fill_in(outcomes, Outcome.STORED)

    def _make_room(self, connection: sqlite3.Connection, added: int) -> None:
        """Sort in what waits, if it is enough; remove some of what is too old."""
        is_full = _is_full(connection)
        if is_full:
            _sort_in(connection)
        if self._trade_retention_s:
            now_s = int(time.time())
            if is_full or not has_ages(connection):
                note_ages(connection, now_s)
            remove_old(connection, now_s - self._trade_retention_s, STEP_ROWS + 2 * added)

    def read_expiry(self) -> Expiry:
        with self._trades_file.read() as connection:
            return Expiry(claims=False, trades=has_ages(connection))

    def read_trades(self, ticker: str, limit: int, cursor: str | None = None) -> TradePage:
        with self._trades_file.read() as connection:
            return read_page(connection, ticker, limit, cursor)

    def read_stored_count(self) -> int:
        with self._trades_file.read() as connection:
            count: int = connection.execute("SELECT stored_trades FROM totals").fetchone()[0]
            return count

    def count_stored(self, claim: StoredClaim) -> int:
        return len(self.read_digests([claim.key]))

    def read_digests(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Of the events that are stored."""
        with self._trades_file.read() as connection:
            return read_digests(connection, keys)

    def scan_trades(self) -> Iterator[StoredTrade]:
        return scan(self._trades_file)


def _is_full(connection: sqlite3.Connection) -> bool:
    trades, events = connection.execute("SELECT waiting_trades, waiting_events FROM totals").fetchone()
    is_full: bool = trades >= MAX_WAITING_TRADES or events >= MAX_WAITING_EVENTS
    return is_full


def _sort_in(connection: sqlite3.Connection) -> None:
    """Make a run of all that waits. One statement, so that other threads go on."""
    run_no = connection.execute(
        "INSERT INTO runs (oldest_ms, newest_ms) SELECT min(oldest_ms), max(newest_ms) FROM waiting"
    ).lastrowid
    connection.execute(
        "INSERT INTO sorted_trades SELECT ?, * FROM waiting_trades ORDER BY ticker, time_ms, event_no, place",
        (run_no,),
    )
    connection.execute("DELETE FROM waiting")
    connection.execute("UPDATE totals SET waiting_trades = 0, waiting_events = 0")


def _append(connection: sqlite3.Connection, events: Sequence[TradeEvent]) -> None:
    trade_count = 0
    for event in events:
        event_no = connection.execute(
            "INSERT INTO events (key, digest, source, event_id, is_batch) VALUES (?, ?, ?, ?, ?)",
            (event.key, event.digest, event.source, event.id, event.is_batch),
        ).lastrowid
        times = [*map(_get_time, event.trades)]
        tickers = _encode_json({*map(_get_ticker, event.trades)}).decode()
        trades = _encode_json(event.trades).decode()
        connection.execute(
            "INSERT INTO waiting VALUES (?, ?, ?, ?, ?)", (event_no, min(times), max(times), tickers, trades)
        )
        trade_count += len(event.trades)
    connection.execute(
        "UPDATE totals SET stored_trades = stored_trades + ?1, waiting_trades = waiting_trades + ?1,"
        " waiting_events = waiting_events + ?2",
        (trade_count, len(events)),
    )
