"""The broker's SQLite file: its tables, their rows as values, and how it is opened."""

import sqlite3
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from eventing.event import Event

FORMAT = 1


class State(IntEnum):
    """Where a delivery (one event to one trigger) stands."""

    PENDING = 0  # to the subscriber
    TO_SINK = 1  # given up by the subscriber, on its way to the dead-letter sink
    DELIVERED = 2
    DEAD_LETTERED = 3  # the sink took it
    KEPT = 4  # nobody took it: in this broker's own dead letters


OPEN = f"({State.PENDING:d}, {State.TO_SINK:d})"
UNSETTLED = f"({State.PENDING:d}, {State.TO_SINK:d}, {State.KEPT:d})"

SCHEMA = f"""
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    broker TEXT NOT NULL,          -- 'namespace/name'
    received_ms INTEGER NOT NULL,
    hops INTEGER NOT NULL,         -- what is left of knativebrokerttl
    bytes INTEGER NOT NULL,
    attributes BLOB NOT NULL,      -- JSON object
    data BLOB
);
CREATE TABLE deliveries (
    seq INTEGER NOT NULL,
    trigger INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL,     -- made so far, to the place that `state` says
    at_ms INTEGER NOT NULL,        -- open: not before; settled: when
    status INTEGER,                -- of the last answer; NULL: none
    error BLOB,                    -- JSON: the knativeerror* attributes of the last failure
    PRIMARY KEY (seq, trigger)
) WITHOUT ROWID;
CREATE INDEX kept ON deliveries (seq) WHERE state = {State.KEPT:d};
CREATE TABLE triggers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,     -- 'namespace/name'
    attached BLOB,                 -- JSON: the Trigger, when it was attached at run time
    delivered INTEGER NOT NULL DEFAULT 0,
    retried INTEGER NOT NULL DEFAULT 0,
    dead_lettered INTEGER NOT NULL DEFAULT 0
);
PRAGMA user_version = {FORMAT};
"""


ALL_EVENTS = "SELECT seq, broker, received_ms, hops, bytes, attributes, data FROM events"
ONE_EVENT = f"{ALL_EVENTS} WHERE seq = ?"
BACKLOG = f"""
SELECT d.seq, d.trigger, d.state, d.attempts, d.at_ms, d.status, d.error, e.bytes
FROM deliveries d JOIN events e USING (seq)
WHERE d.trigger = ? AND d.seq > ? AND d.state IN {OPEN} ORDER BY d.seq LIMIT ?
"""  # noqa: S608 - only constants


# What a trigger has on disk: open deliveries, their bytes, first and last number, and dead letters
# kept, with their bytes.
BACKLOGS = f"""
SELECT coalesce(sum(d.state IN {OPEN}), 0), coalesce(sum((d.state IN {OPEN}) * e.bytes), 0),
       coalesce(min(CASE WHEN d.state IN {OPEN} THEN d.seq END), 0),
       coalesce(max(CASE WHEN d.state IN {OPEN} THEN d.seq END), 0),
       coalesce(sum(d.state = {State.KEPT:d}), 0), coalesce(sum((d.state = {State.KEPT:d}) * e.bytes), 0)
FROM deliveries d JOIN events e USING (seq) WHERE d.trigger = ? AND d.state IN {UNSETTLED}
"""  # noqa: S608 - only constants

# Open deliveries by the name of their trigger, running or not.
PARKED = f"""
SELECT t.name, count(*) FROM deliveries d JOIN triggers t ON t.id = d.trigger
WHERE d.state IN {OPEN} GROUP BY t.id
"""  # noqa: S608 - only constants


class Stored(NamedTuple):
    """One event in the log."""

    seq: int
    broker: str
    received_ms: int
    hops: int
    event: Event
    size: int


class DeliveryRow(NamedTuple):
    """One row of `deliveries`, whole: it is written with REPLACE, the first time and at each change."""

    seq: int
    trigger: int
    state: int
    attempts: int
    at_ms: int
    status: int | None = None
    error: bytes | None = None


class Counts(NamedTuple):
    """What a trigger has done in all, over all runs."""

    delivered: int
    retried: int
    dead_lettered: int
    trigger: int


def encode_attributes(event: Event) -> bytes:
    return msgspec.json.encode(event.attributes)


_decode_attributes = msgspec.json.Decoder(dict[str, str]).decode


def read_row(row: Sequence[Any]) -> Stored:
    """A row (seq, broker, received_ms, hops, bytes, attributes, data) as an event."""
    seq, broker, received_ms, hops, size, attributes, data = row
    return Stored(seq, broker, received_ms, hops, Event(_decode_attributes(attributes), data), size)


def connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=2, isolation_level=None, check_same_thread=False)
    # Before the first table: pages that retention frees can be given back in small steps.
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")  # every commit is synced: an event is on disk before its 202
    db.execute("PRAGMA wal_autocheckpoint = 4000")  # 16 MB: a hot page is copied back once in many groups
    db.execute("PRAGMA cache_size = -16000")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
    elif version != FORMAT:
        raise sqlite3.DatabaseError(f"format {version}, this broker writes format {FORMAT}")
    return db


def connect_reader(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=2, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA query_only = ON")
    return db
