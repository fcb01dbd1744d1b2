"""Price levels: a small table of those that change now, and runs of those that did before.

    young_levels    one row a ticker and price, added to by each commit
    settled_levels  what young_levels held whenever it was full, as a run that never changes
    runs            one row for each time that it was full
    levels          all of them, added up, for people

On a market with four decimals almost every trade makes a level of its own. In one table each commit would
touch a page or more for each ticker, and ever more of them; so commits stay within the young levels, two
megabytes, and what leaves there is written at the end of a table. A level is the sum over the runs: one
look into each, and there are as many as millions of trades times ten.
"""

import sqlite3
from collections.abc import Iterable

from trades.stores.sqlite.bulk import insert_rows
from trades.summary import PriceLevel, Tally

MAX_YOUNG_LEVELS = 96_000

LEVEL_TABLES = """
CREATE TABLE young_levels (
    ticker TEXT NOT NULL,
    price_ticks INTEGER NOT NULL,
    trade_count INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    latest_time_ms INTEGER NOT NULL,
    PRIMARY KEY (ticker, price_ticks)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    run_no INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE settled_levels (
    run_no INTEGER NOT NULL REFERENCES runs,
    ticker TEXT NOT NULL,
    price_ticks INTEGER NOT NULL,
    trade_count INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    latest_time_ms INTEGER NOT NULL,
    PRIMARY KEY (run_no, ticker, price_ticks)
) STRICT, WITHOUT ROWID;

CREATE VIEW levels AS
    SELECT ticker, price_ticks, sum(trade_count) AS trade_count, sum(volume) AS volume,
        max(latest_time_ms) AS latest_time_ms
    FROM (SELECT NULL AS run_no, * FROM young_levels UNION ALL SELECT * FROM settled_levels)
    GROUP BY ticker, price_ticks
"""

_MERGE = """
INSERT INTO young_levels VALUES {rows}
ON CONFLICT (ticker, price_ticks) DO UPDATE SET
    trade_count = trade_count + excluded.trade_count,
    volume = volume + excluded.volume,
    latest_time_ms = max(latest_time_ms, excluded.latest_time_ms)
"""

_READ = """
SELECT price_ticks, sum(trade_count), sum(volume), max(latest_time_ms) FROM (
    SELECT price_ticks, trade_count, volume, latest_time_ms FROM young_levels
    WHERE ticker = ?1 AND price_ticks BETWEEN ?2 AND ?3
    UNION ALL
    SELECT price_ticks, trade_count, volume, latest_time_ms FROM runs CROSS JOIN settled_levels USING (run_no)
    WHERE ticker = ?1 AND price_ticks BETWEEN ?2 AND ?3
) GROUP BY price_ticks ORDER BY price_ticks
"""


def merge_levels(connection: sqlite3.Connection, tallies: Iterable[tuple[str, Tally]]) -> None:
    """Add the levels of tallies, which come by ticker: in the table's order it takes a third less time."""
    rows = [
        (ticker, price_ticks, level.trade_count, level.volume, level.latest_time_ms)
        for ticker, tally in tallies
        for price_ticks, level in tally.levels.items()
    ]
    insert_rows(connection, _MERGE, rows)
    connection.execute("UPDATE totals SET most_young_levels = most_young_levels + ?", (len(rows),))


def settle_levels(connection: sqlite3.Connection) -> None:
    """Make a run of the young levels, if they are too many."""
    (most,) = connection.execute("SELECT most_young_levels FROM totals").fetchone()
    if most < MAX_YOUNG_LEVELS:
        return
    (count,) = connection.execute("SELECT count(*) FROM young_levels").fetchone()
    if count >= MAX_YOUNG_LEVELS // 2:  # else most were added to others: go on with them
        run_no = connection.execute("INSERT INTO runs DEFAULT VALUES").lastrowid
        connection.execute("INSERT INTO settled_levels SELECT ?, * FROM young_levels", (run_no,))
        connection.execute("DELETE FROM young_levels")
        count = 0
    connection.execute("UPDATE totals SET most_young_levels = ?", (count,))


def read_levels(
    connection: sqlite3.Connection, ticker: str, lowest_ticks: int = 0, highest_ticks: int = 2**62
) -> dict[int, PriceLevel]:
    """A ticker's levels by price in ticks, lowest price first."""
    rows = connection.execute(_READ, (ticker, lowest_ticks, highest_ticks))
    return {price_ticks: PriceLevel(*figures) for price_ticks, *figures in rows}


def delete_levels(connection: sqlite3.Connection, ticker: str) -> None:
    connection.execute("DELETE FROM young_levels WHERE ticker = ?", (ticker,))
    connection.execute(
        "DELETE FROM settled_levels WHERE run_no IN (SELECT run_no FROM runs) AND ticker = ?", (ticker,)
    )
