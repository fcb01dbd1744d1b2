"""How far a client of `changed_since` has come."""

import re
from typing import NamedTuple

CURSOR_PATTERN = r"^([0-9a-f]{8}(-[0-9]{1,19}){3})?$"

_CURSOR = re.compile(r"([0-9a-f]{8})-([0-9]{1,19})-([0-9]{1,19})-([0-9]{1,19})", re.ASCII)


class Cursor(NamedTuple):
    """A place in the changes of one table, named by its `epoch`, with the store's own cursor at that place.

    The store's cursor serves where the table is another one, in another pod, if `issued_ms` is not from
    before that table.
    """

    epoch: str
    change: int
    store_cursor: int
    issued_ms: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.change}-{self.store_cursor}-{self.issued_ms}"


START = Cursor("", 0, 0, 0)


def parse_cursor(text: str) -> Cursor:
    """START for the empty text. Raises ValueError for what was never a cursor."""
    if not text:
        return START
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise ValueError("changed_since must be a cursor from an earlier answer, or empty to start")
    return Cursor(match[1], int(match[2]), int(match[3]), int(match[4]))
