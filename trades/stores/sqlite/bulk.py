"""Many rows by few statements: half the time of one statement a row, and other threads run meanwhile."""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

_ROWS_A_STATEMENT = 200  # times 10 columns stays far below SQLite's 32,766 parameters


def insert_rows(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run `statement` for all rows; `{rows}` in it stands for `(?, ?), (?, ?), ...`."""
    if not rows:
        return
    one_row = f"({','.join('?' * len(rows[0]))})"
    whole = len(rows) - len(rows) % _ROWS_A_STATEMENT
    many = statement.format(rows=",".join([one_row] * _ROWS_A_STATEMENT))
    for start in range(0, whole, _ROWS_A_STATEMENT):
        connection.execute(many, [*chain.from_iterable(rows[start : start + _ROWS_A_STATEMENT])])
    connection.executemany(statement.format(rows=one_row), rows[whole:])
