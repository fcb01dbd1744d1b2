"""Which events of a group are new to a file: the `events` table that both kinds of file have.

A claim is written in the transaction that writes what it stands for. So it has no state: if it is there,
the event is done.
"""

import sqlite3
from collections.abc import Sequence

from trades.store import Outcome
from trades.trade import TradeEvent

_KEYS_A_QUERY = 256


def sort_out(
    connection: sqlite3.Connection, events: Sequence[TradeEvent]
) -> tuple[list[Outcome | None], list[TradeEvent]]:
    """An outcome for each event that was here before (in the file or in the group), and the new events.

    Runs inside a write transaction, so that the answer stays true until it ends.
    """
    keys = [event.key for event in events]
    digests = read_digests(connection, keys)
    outcomes: list[Outcome | None] = []
    fresh = []
    for key, event in zip(keys, events, strict=True):
        known = digests.get(key)
        if known is None:
            digests[key] = event.digest
            fresh.append(event)
            outcomes.append(None)
        else:
            outcomes.append(Outcome.DUPLICATE if known == event.digest else Outcome.CONFLICT)
    return outcomes, fresh


def fill_in(outcomes: list[Outcome | None], fresh: Outcome) -> list[Outcome]:
    """The outcomes, with `fresh` for the events that were new."""
    return [fresh if outcome is None else outcome for outcome in outcomes]


def read_digests(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    """Of those events that the file has."""
    digests: dict[bytes, bytes] = {}
    for start in range(0, len(keys), _KEYS_A_QUERY):
        some = keys[start : start + _KEYS_A_QUERY]
        marks = ",".join("?" * len(some))
        digests.update(connection.execute(f"SELECT key, digest FROM events WHERE key IN ({marks})", some))  # noqa: S608
    return digests
