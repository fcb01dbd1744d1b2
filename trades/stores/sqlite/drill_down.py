"""Reading raw trades back: a ticker's newest, page by page, and all of them for a check."""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from trades.store import StoredTrade, TradePage
from trades.stores.sqlite.database import Database
from trades.trade import SINGLE, Trade

_SCAN_PAGE_ROWS = 2_000
_CURSOR = re.compile(r"([0-9]{1,15})\.([0-9]{1,18})\.([0-9]{1,4})", re.ASCII)
_NEWEST = (2**62, 0, 0)  # later than any trade

_Position = tuple[int, int, int]  # time_ms, event_no, place: the order of a ticker's trades
_Row = tuple[int, int, int, int, int]  # a position, price_ticks, volume
_Origin = tuple[str, str, int]  # source, event id, is_batch

_decode_trades = msgspec.json.Decoder(list[tuple[str, int, int, int]]).decode  # half the time of Trades


def read_page(connection: sqlite3.Connection, ticker: str, limit: int, cursor: str | None) -> TradePage:
    """At most `limit` trades of a ticker, newest first, older than `cursor`.

    A cursor is the position of the last trade given. So what is written between two pages moves nothing.
    """
    before = _NEWEST if cursor is None else _parse_cursor(cursor)
    newest = _Newest(limit + 1)
    _add_waiting(newest, connection, ticker, before)
    _add_sorted(newest, connection, ticker, before)
    page = newest.rows[:limit]
    origins = _read_origins(connection, {row[1] for row in page})
    trades = [
        _stored(Trade(ticker, price_ticks, volume, time_ms), place, origins[event_no])
        for time_ms, event_no, place, price_ticks, volume in page
    ]
    return TradePage(trades, "{}.{}.{}".format(*page[-1]) if 0 < limit < len(newest.rows) else None)


def scan(database: Database) -> Iterator[StoredTrade]:
    """Every trade that is there at the first step, once; those that come later are left out.

    The waiting events are read at once. The runs, which never change, are read in pages, each in a short
    transaction, since a long one would keep the write-ahead log from starting again.
    """
    with database.read() as connection:
        (last_run_no,) = connection.execute("SELECT ifnull(max(run_no), 0) FROM runs").fetchone()
        waiting = connection.execute(
            "SELECT trades, source, event_id, is_batch FROM waiting JOIN events USING (event_no)"
        ).fetchall()
    for trades, *origin in waiting:
        for place, trade in enumerate(_decode_trades(trades)):
            yield _stored(Trade(*trade), place, origin)
    position = (0, "", 0, 0, 0)
    while True:
        with database.read() as connection:
            rows = connection.execute(_SCAN_PAGE, (*position, last_run_no, _SCAN_PAGE_ROWS)).fetchall()
        for _, ticker, time_ms, _, place, price_ticks, volume, *origin in rows:
            yield _stored(Trade(ticker, price_ticks, volume, time_ms), place, origin)
        if len(rows) < _SCAN_PAGE_ROWS:
            return
        position = rows[-1][:5]


_SCAN_PAGE = """
SELECT run_no, ticker, time_ms, event_no, place, price_ticks, volume, source, event_id, is_batch
FROM sorted_trades JOIN events USING (event_no)
WHERE (run_no, ticker, time_ms, event_no, place) > (?, ?, ?, ?, ?) AND run_no <= ?
ORDER BY run_no, ticker, time_ms, event_no, place LIMIT ?
"""


class _Newest:
    """The newest rows of those that were added, newest first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.rows: list[_Row] = []

    @property
    def floor_ms(self) -> int:
        """What is older than this would not stay."""
        return self.rows[-1][0] if len(self.rows) >= self.limit else 0

    def add(self, rows: Iterable[_Row]) -> None:
        self.rows += rows
        self.rows.sort(reverse=True)
        del self.rows[self.limit :]


def _stored(trade: Trade, place: int, origin: Iterable[Any]) -> StoredTrade:
    source, event_id, is_batch = origin
    return StoredTrade(trade, source, event_id, place if is_batch else SINGLE)


def _parse_cursor(cursor: str) -> _Position:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise ValueError("cursor is not one that this store gave; start again without a cursor")
    time_ms, event_no, place = map(int, match.groups())
    return time_ms, event_no, place


def _add_waiting(newest: _Newest, connection: sqlite3.Connection, ticker: str, before: _Position) -> None:
    """Only events that name the ticker are decoded, and none after enough newer trades are found."""
    named = connection.execute(
        "SELECT event_no, newest_ms, trades FROM waiting"
        " WHERE oldest_ms <= ? AND instr(tickers, ?) ORDER BY newest_ms DESC",
        (before[0], msgspec.json.encode(ticker).decode()),
    )
    for event_no, newest_ms, trades in named:
        if newest_ms < newest.floor_ms:
            break
        newest.add(
            (time_ms, event_no, place, price_ticks, volume)
            for place, (name, price_ticks, volume, time_ms) in enumerate(_decode_trades(trades))
            if name == ticker and (time_ms, event_no, place) < before
        )


def _add_sorted(newest: _Newest, connection: sqlite3.Connection, ticker: str, before: _Position) -> None:
    """One look into each run that may hold newer trades than those already found."""
    runs = connection.execute(
        "SELECT run_no, newest_ms FROM runs WHERE oldest_ms <= ? ORDER BY newest_ms DESC", (before[0],)
    )
    for run_no, newest_ms in runs:
        if newest_ms < newest.floor_ms:
            break
        newest.add(connection.execute(_RUN_PAGE, (run_no, ticker, *before, newest.floor_ms, newest.limit)))


_RUN_PAGE = """
SELECT time_ms, event_no, place, price_ticks, volume FROM sorted_trades
WHERE run_no = ? AND ticker = ? AND (time_ms, event_no, place) < (?, ?, ?) AND time_ms >= ?
ORDER BY time_ms DESC, event_no DESC, place DESC LIMIT ?
"""


def _read_origins(connection: sqlite3.Connection, event_nos: set[int]) -> dict[int, _Origin]:
    rows = connection.execute(
        "SELECT event_no, source, event_id, is_batch FROM events"
        " WHERE event_no IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(event_nos).decode(),),
    )
    return {event_no: (source, event_id, is_batch) for event_no, source, event_id, is_batch in rows}
