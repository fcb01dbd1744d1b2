"""Looking into the log, and delivering from it again: events as they came, dead letters, replay."""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from eventing.broker.dispatch import Dispatcher
from eventing.broker.engine import Engine
from eventing.broker.log import LogError
from eventing.broker.schema import ALL_EVENTS, OPEN, State, Stored, read_row
from eventing.codec import encode_structured
from eventing.event import BadEvent, Event

MAX_PAGE_EVENTS = 1_000
MAX_PAGE_BYTES = 16 << 20
STEP = 500

_NEWEST = "SELECT seq, bytes FROM events WHERE {where} ORDER BY seq DESC LIMIT ?"
_AFTER = "SELECT seq, bytes FROM events WHERE seq > ? AND seq <= ? AND {where} ORDER BY seq LIMIT ?"
_OF_TYPE = "json_extract(CAST(attributes AS TEXT), '$.type') = ?"
_OF_BROKER = """
SELECT seq, attributes FROM events WHERE seq > ? AND seq <= ? AND broker = ? ORDER BY seq LIMIT ?
"""
_KEPT = f"""
SELECT DISTINCT d.seq, e.bytes FROM deliveries d JOIN events e USING (seq)
WHERE d.state = {State.KEPT:d} AND d.seq > ? ORDER BY d.seq LIMIT ?
"""  # noqa: S608 - only constants
_REOPEN_KEPT = f"""
UPDATE deliveries SET state = {State.PENDING:d}, attempts = 0, at_ms = 0
WHERE state = {State.KEPT:d} AND trigger = ? AND seq BETWEEN ? AND ?
RETURNING seq, (SELECT bytes FROM events e WHERE e.seq = deliveries.seq)
"""  # noqa: S608 - only constants
_FORGET = f"""
UPDATE deliveries SET state = {State.DEAD_LETTERED:d} WHERE seq = ? AND state = {State.KEPT:d}
RETURNING trigger, (SELECT bytes FROM events e WHERE e.seq = deliveries.seq)
"""  # noqa: S608 - only constants
_REOPEN = f"""
INSERT INTO deliveries (seq, trigger, state, attempts, at_ms)
SELECT seq, ?, {State.PENDING:d}, 0, 0 FROM events WHERE seq = ?
ON CONFLICT DO UPDATE SET state = {State.PENDING:d}, attempts = 0, at_ms = 0 WHERE state NOT IN {OPEN}
RETURNING seq, (SELECT bytes FROM events e WHERE e.seq = deliveries.seq)
"""  # noqa: S608 - only constants


class History:
    """Reads of the log for people and tools, and replays."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._log = engine, engine.log
        self._reader = engine.log.history_reader

    # -- reading ---------------------------------------------------------------------------------------------

    async def newest(self, limit: int, type_: str | None) -> list[dict[str, Any]]:
        """Events with their deliveries, newest first."""
        await self._up_to_date()
        where, values = _where(type_)
        return await self._described(await self._reader.read(_NEWEST.format(where=where), [*values, limit]))

    async def events(self, after: int, limit: int, type_: str | None) -> tuple[list[dict[str, Any]], int]:
        """The next events after a number, with their deliveries; and the number up to which there is none."""
        last = self._log.next_seq - 1
        await self._up_to_date()
        where, values = _where(type_)
        rows = await self._reader.read(_AFTER.format(where=where), [after, last, *values, limit])
        events = await self._described(rows)
        is_all = len(rows) < limit and len(events) == len(rows)
        return events, last if is_all or not events else events[-1]["number"]

    async def _up_to_date(self) -> None:
        """What has happened shows; while the file can't be written, what had happened before."""
        with suppress(LogError):
            await self._log.synced()

    async def dead_letters(self, after: int, limit: int) -> list[dict[str, Any]]:
        """Events of which a delivery is kept here, in order, with the reasons."""
        await self._up_to_date()
        return await self._described(await self._reader.read(_KEPT, (after, limit)))

    async def _described(self, rows: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
        """The events of (number, bytes) with their deliveries: at least one, within MAX_PAGE_BYTES."""
        numbers, total = list[int](), 0
        for seq, size in rows:
            total += size
            if numbers and total > MAX_PAGE_BYTES:
                break
            numbers.append(seq)
        marks = ",".join("?" * len(numbers))
        found = await self._reader.read(f"{ALL_EVENTS} WHERE seq IN ({marks})", numbers)
        deliveries = await self._reader.read(
            "SELECT d.seq, t.name, d.state, d.attempts, d.at_ms, d.status, d.error FROM deliveries d "  # noqa: S608
            f"JOIN triggers t ON t.id = d.trigger WHERE d.seq IN ({marks}) ORDER BY d.trigger",
            numbers,
        )
        by_event = defaultdict(list)
        for seq, *delivery in deliveries:
            by_event[seq].append(_delivery(*delivery))
        by_number = {row[0]: _event(read_row(row)) for row in found}
        return [by_number[seq] | {"deliveries": by_event[seq]} for seq in numbers if seq in by_number]

    # -- delivering again ------------------------------------------------------------------------------------

    async def replay_dead_letters(self, seq: int | None = None) -> int:
        """Deliver the dead letters of one event, or all, again to the triggers that run; how many."""
        count, after = 0, 0 if seq is None else seq - 1
        end = self._log.next_seq  # what is refused again meanwhile is not replayed again
        while rows := await self._reader.read(_KEPT, (after, STEP if seq is None else 1)):
            first, after = rows[0][0], rows[-1][0]
            if first >= end or (seq is not None and first != seq):
                break
            async with self._engine.changing:
                for dispatcher in self._engine.dispatchers.values():
                    reopened = await self._reopen(_REOPEN_KEPT, [(dispatcher.number, first, after)])
                    dispatcher.replay(reopened)
                    count += len(reopened)
        return count

    async def forget_dead_letter(self, seq: int) -> int:
        """Give up the dead letters of an event for good: they count as dead-lettered; how many."""

        def forget(db: sqlite3.Connection) -> list[tuple[int, int]]:
            return db.execute(_FORGET, (seq,)).fetchall()

        forgotten = await self._log.change(forget)
        for dispatcher in self._engine.dispatchers.values():
            dispatcher.forget([(seq, size) for trigger, size in forgotten if trigger == dispatcher.number])
        return len(forgotten)

    async def replay(self, trigger: str, first: int, last: int) -> tuple[int, int]:
        """Deliver what is retained from `first` to `last` and matches to a trigger, once more.

        Returns how many, and the number it got to: less than `last` when the trigger's backlog is full, or
        the trigger was taken away.
        """
        count, after = 0, first - 1
        while after < last:
            async with self._engine.changing:  # what is opened again belongs to the dispatcher that runs
                dispatcher = self._engine.dispatchers.get(trigger)
                if dispatcher is None or dispatcher.open >= self._engine.limits.backlog_events:
                    return count, after
                opened, after = await self._replay_page(dispatcher, after, last)
                count += opened
        return count, last

    async def _replay_page(self, dispatcher: Dispatcher, after: int, last: int) -> tuple[int, int]:
        """How many of the next events were opened again, and the number that it got to."""
        spec = dispatcher.spec
        rows = await self._reader.read(_OF_BROKER, (after, last, spec.broker, STEP))
        if not rows:
            return 0, last
        wanted = [seq for seq, attributes in rows if spec.matches(msgspec.json.decode(attributes))]
        numbers = [(dispatcher.number, seq) for seq in wanted]
        kept = await self._reopen(_REOPEN_KEPT, [(*number, number[1]) for number in numbers])
        fresh = await self._reopen(_REOPEN, numbers)
        dispatcher.replay(kept, fresh)
        return len(kept) + len(fresh), rows[-1][0]

    async def _reopen(self, sql: str, values: Sequence[tuple[int, ...]]) -> list[tuple[int, int]]:
        """(number, bytes) of the deliveries that are open again."""

        def reopen(db: sqlite3.Connection) -> list[tuple[int, int]]:
            return [row for value in values for row in db.execute(sql, value).fetchall()]

        return await self._log.change(reopen) if values else []


def _where(type_: str | None) -> tuple[str, list[str]]:
    return (_OF_TYPE, [type_]) if type_ else ("1", [])


def _event(entry: Stored) -> dict[str, Any]:
    return {
        "number": entry.seq,
        "broker": entry.broker,
        "received_ms": entry.received_ms,
        "hops": entry.hops,
        "event": msgspec.Raw(_shown(entry.event)),
    }


def _shown(event: Event) -> bytes:
    """In the JSON format; data that specversion 0.3 can't carry is shown as data_base64 all the same."""
    try:
        return encode_structured(event)[1]
    except BadEvent:
        return msgspec.json.encode({**event.attributes, "data_base64": event.data})


def _delivery(
    name: str, state: int, attempts: int, at_ms: int, status: int | None, error: bytes | None
) -> dict[str, Any]:
    """A delivery in words. `at_ms`: when it was settled, or while it is open, the earliest next attempt."""
    words = {
        "trigger": name,
        "state": State(state).name,
        "attempts": attempts,
        "at_ms": at_ms,
        "status": status,
    }
    return words | ({"error": msgspec.Raw(error)} if error else {})
