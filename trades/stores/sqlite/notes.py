"""The file of notes: a ring of recent events for each function."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from trades.store import MAX_NOTES_PER_FUNCTION, EventNote
from trades.stores.sqlite.database import Database
from trades.stores.sqlite.layout import Layout

_LAYOUT = Layout(
    version=1,
    schema="""
CREATE TABLE notes (
    note_no INTEGER PRIMARY KEY AUTOINCREMENT,
    function TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    attributes TEXT NOT NULL,  -- JSON
    data BLOB NOT NULL,
    data_size INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE INDEX by_function ON notes (function, note_no)
""",
)

_DROP_OLD = """
DELETE FROM notes WHERE function = ?1 AND note_no <= (
    SELECT note_no FROM notes WHERE function = ?1 ORDER BY note_no DESC LIMIT 1 OFFSET ?2
)
"""


class Notes:
    """Notes in a file of their own, which all functions write: small commits that nobody waits for.

    `synchronous=NORMAL`: a power cut may take the last notes, and no harm is done; the file stays sound.
    """

    def __init__(self, folder: Path) -> None:
        self._notes_file = Database(folder / "notes.db", _LAYOUT, synchronous="NORMAL")

    def add_notes(self, notes: Sequence[EventNote]) -> None:
        rows = [
            msgspec.structs.asdict(note) | {"attributes": msgspec.json.encode(note.attributes).decode()}
            for note in notes
        ]
        with self._notes_file.write() as connection:
            connection.executemany(
                "INSERT INTO notes (function, time_ms, attributes, data, data_size, verdict, reason) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [tuple(row.values()) for row in rows],
            )
            for function in {note.function for note in notes}:
                connection.execute(_DROP_OLD, (function, MAX_NOTES_PER_FUNCTION))

    def read_notes(self, limit: int) -> list[EventNote]:
        with self._notes_file.read() as connection:
            rows = connection.execute(
                "SELECT function, time_ms, attributes, data, data_size, verdict, reason "
                "FROM notes ORDER BY time_ms DESC, note_no DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [_note(*row) for row in rows]


def _note(function: str, time_ms: int, attributes: str, *rest: Any) -> EventNote:
    return EventNote(function, time_ms, msgspec.json.decode(attributes, type=dict[str, str]), *rest)
