"""The file of dead letters."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from trades.store import MAX_CUT_DATA_BYTES, DeadLetter, LetterPlace, Outcome
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
VALUES (?, ?, ?, ?, ?, ?, ?, 0)
ON CONFLICT (key) DO UPDATE SET received_ms = max(received_ms + 1, excluded.received_ms),
    attributes = excluded.attributes, status = excluded.status, reason = excluded.reason, replayed_ms = 0
"""

_READ = """
SELECT key, received_ms, attributes, {data}, destination, status, reason, replayed_ms, {left_out}
FROM dead_letters {clauses}
"""
_WHOLE_DATA = "data", "0"
_CUT_DATA = (
    f"ifnull(substr(data, 1, {MAX_CUT_DATA_BYTES}), x'')",  # of an empty blob it is NULL
    f"max(length(data) - {MAX_CUT_DATA_BYTES}, 0)",
)


class DeadLetters:
    """Dead letters in a file of their own, as only one of the functions writes them."""

    def __init__(self, folder: Path) -> None:
        self._letters_file = Database(folder / "dead_letters.db", _LAYOUT)

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> list[Outcome]:
        rows = [
            (
                letter.key,
                letter.received_ms,
                msgspec.json.encode(letter.attributes).decode(),
                letter.data,
                letter.destination,
                letter.status,
                letter.reason,
            )
            for letter in letters
        ]
        with self._letters_file.write() as connection:
            connection.executemany(_ADD, rows)
        return [Outcome.STORED] * len(rows)

    def mark_replayed(self, letter: DeadLetter, time_ms: int) -> bool:
        with self._letters_file.write() as connection:
            changed = connection.execute(
                "UPDATE dead_letters SET replayed_ms = ? WHERE key = ? AND received_ms = ?",
                (time_ms, letter.key, letter.received_ms),
            ).rowcount
        return changed > 0

    def read_dead_letters(
        self,
        limit: int,
        *,
        waiting_only: bool = True,
        before: LetterPlace | None = None,
        cut: bool = False,
    ) -> list[DeadLetter]:
        conditions = ["replayed_ms = 0"] if waiting_only else []
        conditions += ["(received_ms, key) < (?, ?)"] if before else []
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        clauses = f"{where} ORDER BY received_ms DESC, key DESC LIMIT ?"
        return list(self._read(clauses, *(before or ()), limit, cut=cut))

    def read_dead_letter(self, key: str) -> DeadLetter | None:
        return next(iter(list(self._read("WHERE key = ?", key))), None)

    def count_dead_letters(self) -> int:
        with self._letters_file.read() as connection:
            count: int = connection.execute(
                "SELECT count(*) FROM dead_letters WHERE replayed_ms = 0"  # from the index waiting_by_time
            ).fetchone()[0]
        return count

    def scan_dead_letters(self, replayed_since_ms: int) -> Iterator[DeadLetter]:
        return self._read("WHERE replayed_ms = 0 OR replayed_ms >= ?", replayed_since_ms)

    def _read(self, clauses: str, *parameters: object, cut: bool = False) -> Iterator[DeadLetter]:
        data, left_out = _CUT_DATA if cut else _WHOLE_DATA
        query = _READ.format(data=data, left_out=left_out, clauses=clauses)
        with self._letters_file.read() as connection:
            for row in connection.execute(query, parameters):
                yield _letter(*row)


def _letter(key: str, received_ms: int, attributes: str, *rest: Any) -> DeadLetter:
    return DeadLetter(key, received_ms, msgspec.json.decode(attributes, type=dict[str, str]), *rest)
