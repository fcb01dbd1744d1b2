"""The file of dead letters."""

from pathlib import Path
from typing import Any

import msgspec

from trades.store import DeadLetter
from trades.stores.sqlite.database import Database
from trades.stores.sqlite.layout import Layout

_LAYOUT = Layout(
    version=1,
    schema="""
CREATE TABLE dead_letters (
    letter_no INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    received_ms INTEGER NOT NULL,
    attributes TEXT NOT NULL,  -- JSON
    data BLOB NOT NULL,
    destination TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    replayed_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX by_time ON dead_letters (received_ms);

CREATE INDEX waiting_by_time ON dead_letters (received_ms) WHERE replayed_ms = 0
""",
)

_ADD = """
INSERT INTO dead_letters (key, received_ms, attributes, data, destination, status, reason, replayed_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET replayed_ms = 0 WHERE replayed_ms > 0
"""


class DeadLetters:
    """Dead letters in a file of their own, as only one of the functions writes them."""

    def __init__(self, folder: Path) -> None:
        self._letters_file = Database(folder / "dead_letters.db", _LAYOUT)

    def add_dead_letter(self, letter: DeadLetter) -> None:
        attributes = msgspec.json.encode(letter.attributes).decode()
        row = msgspec.structs.asdict(letter) | {"attributes": attributes}
        with self._letters_file.write() as connection:
            connection.execute(_ADD, tuple(row.values()))

    def mark_replayed(self, key: str, time_ms: int) -> bool:
        with self._letters_file.write() as connection:
            changed = connection.execute(
                "UPDATE dead_letters SET replayed_ms = ? WHERE key = ?", (time_ms, key)
            ).rowcount
        return changed > 0

    def read_dead_letters(self, limit: int, *, waiting_only: bool = True) -> list[DeadLetter]:
        where = "WHERE replayed_ms = 0" if waiting_only else ""
        return self._read(f"{where} ORDER BY received_ms DESC, letter_no DESC LIMIT ?", limit)

    def read_dead_letter(self, key: str) -> DeadLetter | None:
        return next(iter(self._read("WHERE key = ?", key)), None)

    def count_dead_letters(self) -> int:
        with self._letters_file.read() as connection:
            count: int = connection.execute(
                "SELECT count(*) FROM dead_letters WHERE replayed_ms = 0"  # from the index waiting_by_time
            ).fetchone()[0]
        return count

    def _read(self, clauses: str, *parameters: object) -> list[DeadLetter]:
        with self._letters_file.read() as connection:
            rows = connection.execute(
                "SELECT key, received_ms, attributes, data, destination, status, reason, replayed_ms "  # noqa: S608
                f"FROM dead_letters {clauses}",
                parameters,
            ).fetchall()
        return [_letter(*row) for row in rows]


def _letter(key: str, received_ms: int, attributes: str, *rest: Any) -> DeadLetter:
    return DeadLetter(key, received_ms, msgspec.json.decode(attributes, type=dict[str, str]), *rest)
