"""The broker at work: what it takes in, for which triggers, and how the set of triggers changes."""

import asyncio
import logging
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import msgspec

from eventing.broker.config import (
    DEFAULT_PARALLELISM,
    AddressMap,
    BrokerSpec,
    Config,
    TriggerSpec,
    parse_trigger,
)
from eventing.broker.dispatch import Backlog, Dispatcher, Post, now_ms
from eventing.broker.files import ConfigError, Document
from eventing.broker.log import Log, LogError
from eventing.broker.schema import BACKLOGS, PARKED, Counts, Stored
from eventing.client import Answer
from eventing.event import Event

logger = logging.getLogger(__name__)

HOPS = "knativebrokerttl"
MAX_HOPS = 255  # Knative's ingress: MAX_TTL
ARRIVAL = "knativearrivaltime"
_INTEGER = re.compile(r"-?[0-9]{1,10}")


class Outcome(Enum):
    """What became of events at the door."""

    STORED = "STORED"
    NO_BROKER = "NO_BROKER"
    SPENT = "SPENT"  # replied from trigger to trigger too many times
    BACKLOG_FULL = "BACKLOG_FULL"
    BUSY = "BUSY"
    NOT_WRITTEN = "NOT_WRITTEN"


@dataclass(frozen=True)
class Limits:
    """Bounds. Backlog: of each trigger, dead letters that are kept here included."""

    backlog_events: int = 1_000_000
    backlog_bytes: int = 4 << 30
    waiting_events: int = 10_000
    waiting_bytes: int = 64 << 20
    parallelism: int = DEFAULT_PARALLELISM


class Engine:
    """Use: `Engine(...)`, `apply(config)`, `accept(...)`, `stop()`. All calls on one event loop."""

    def __init__(self, log: Log, post: Post, limits: Limits) -> None:
        self.dispatchers: dict[str, Dispatcher] = {}
        self.limits = limits
        self.log = log
        self.accepted = 0
        self.refused: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.parked: dict[str, int] = {}  # open deliveries of triggers that do not run
        self._post = post
        self._by_broker: dict[str, list[Dispatcher]] = {}
        self._config = Config({}, {}, AddressMap({}))
        self._attached: dict[str, TriggerSpec] = {}
        self.changing = asyncio.Lock()  # held while triggers come and go

    @property
    def brokers(self) -> Mapping[str, BrokerSpec]:
        return self._config.brokers

    # -- events in -------------------------------------------------------------------------------------------

    async def accept(self, broker: str, events: Sequence[Event], hops: int | None = None) -> Outcome:
        """Store events, all or none; STORED means on disk, with a delivery for each trigger that matches.

        `hops` is what is left for a reply; None: as the event says, or the most there is.
        """
        outcome = self._admit(broker, events)
        if outcome is Outcome.STORED:
            taken = []
            for event in events:
                left, event = _hop(event, hops)
                if left <= 0:
                    outcome = Outcome.SPENT
                    break
                taken.append((left, event))
            else:
                outcome = await self._store(broker, taken)
        if outcome is not Outcome.STORED:
            self.refused[outcome] += 1
        return outcome

    def _admit(self, broker: str, events: Sequence[Event]) -> Outcome:
        limits = self.limits
        if broker not in self.brokers:
            return Outcome.NO_BROKER
        if self.log.waiting_events >= limits.waiting_events or self.log.waiting_bytes >= limits.waiting_bytes:
            return Outcome.BUSY
        for dispatcher in self._by_broker[broker]:
            if (
                dispatcher.open + dispatcher.kept >= limits.backlog_events
                or dispatcher.open_bytes + dispatcher.kept_bytes >= limits.backlog_bytes
            ) and any(dispatcher.spec.matches(event.attributes) for event in events):
                return Outcome.BACKLOG_FULL
        return Outcome.STORED

    async def _store(self, broker: str, events: Iterable[tuple[int, Event]]) -> Outcome:
        received_ms = now_ms()
        arrival = (
            datetime.fromtimestamp(received_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
        )
        taken: list[tuple[Stored, list[Dispatcher]]] = []
        for hops, event in events:
            event = event.with_attributes(**{ARRIVAL: arrival})
            matching = [d for d in self._by_broker[broker] if d.spec.matches(event.attributes)]
            stored = self.log.append(broker, received_ms, hops, event, [d.number for d in matching])
            for dispatcher in matching:
                dispatcher.expect(stored.size)
            taken.append((stored, matching))

        def deliver() -> None:
            for stored, matching in taken:
                for dispatcher in matching:
                    dispatcher.offer(stored)
                    dispatcher.pump()
            self.accepted += len(taken)

        try:
            await self.log.synced(deliver)
        except LogError:  # it has been told, once for the whole group
            for stored, matching in taken:
                for dispatcher in matching:
                    dispatcher.expect(stored.size, -1)
            return Outcome.NOT_WRITTEN
        return Outcome.STORED

    async def _reply(self, stored: Stored, event: Event) -> Answer | None:
        """A subscriber's answer is an event: into the same broker, with one hop less than its cause had."""
        outcome = await self.accept(stored.broker, [event], stored.hops - 1)
        if outcome is Outcome.STORED:
            return None
        status = 400 if outcome is Outcome.SPENT else 503
        return Answer(status, error=f"the broker did not take the reply: {outcome.value}")

    # -- triggers --------------------------------------------------------------------------------------------

    async def apply(self, config: Config) -> None:
        """Run what the files say, beside what is attached. When it raises, all goes on as it was."""
        async with self.changing:
            rows = await self.log.read("SELECT name, attached FROM triggers WHERE attached IS NOT NULL")
            attached = {}
            for name, document in rows:
                try:
                    attached[name] = self._parse(msgspec.json.decode(document), config, f"attached {name}")
                except ConfigError as error:
                    logger.warning("this attached Trigger does not run: %s", error)
            await self._change_over(config, attached)

    async def attach(self, document: Document) -> TriggerSpec:
        """Add a Trigger, or replace an attached one; it outlives a restart. Raises ConfigError."""
        async with self.changing:
            spec = self._parse(document, self._config, "attach")
            if spec.key in self._config.triggers:
                raise ConfigError(
                    f"Trigger {spec.key} comes from a file: change it there, or choose another name"
                )
            await self._remember(spec.key, msgspec.json.encode(document))
            await self._change_over(self._config, self._attached | {spec.key: spec})
            return spec

    async def detach(self, key: str) -> None:
        """Remove an attached Trigger. What it has not been delivered stays, for when it comes back.

        Raises KeyError when there is none, ConfigError when it comes from a file.
        """
        async with self.changing:
            if key in self._config.triggers:
                raise ConfigError(f"Trigger {key} comes from a file: remove it there")
            if not await self._remember(key, None):
                raise KeyError(key)
            rest = {name: spec for name, spec in self._attached.items() if name != key}
            await self._change_over(self._config, rest)

    def is_attached(self, key: str) -> bool:
        return key in self._attached and key not in self._config.triggers

    async def stop(self, grace_s: float) -> None:
        """Let what is in flight finish, for at most `grace_s`."""
        await asyncio.gather(*(dispatcher.stop(grace_s) for dispatcher in self.dispatchers.values()))

    def _parse(self, document: Document, config: Config, where: str) -> TriggerSpec:
        parallelism = self.limits.parallelism
        return parse_trigger(document, config.brokers, config.addresses, where, parallelism=parallelism)

    async def _change_over(self, config: Config, attached: dict[str, TriggerSpec]) -> None:
        """Start what is new, which may fail; then change over in one step; then stop what is gone.

        So each event that is accepted meanwhile belongs to the triggers of before or to those of after.
        """
        specs = {**attached, **config.triggers}
        new = {key: await self._start(specs[key]) for key in specs.keys() - self.dispatchers.keys()}
        removed = [self.dispatchers[key] for key in self.dispatchers.keys() - specs.keys()]
        self._config, self._attached = config, attached
        self.dispatchers = {key: new.get(key) or self.dispatchers[key] for key in specs}
        for key, dispatcher in self.dispatchers.items():
            dispatcher.spec = specs[key]
        self._by_broker = {
            broker: [d for d in self.dispatchers.values() if d.spec.broker == broker]
            for broker in config.brokers
        }
        for dispatcher in self.dispatchers.values():
            dispatcher.pump()
        await asyncio.gather(*(dispatcher.stop(grace_s=5) for dispatcher in removed))
        self.parked = {name: count for name, count in await self.log.read(PARKED) if name not in specs}

    async def _start(self, spec: TriggerSpec) -> Dispatcher:
        def register(db: sqlite3.Connection) -> tuple[Any, ...]:
            db.execute("INSERT INTO triggers (name) VALUES (?) ON CONFLICT DO NOTHING", (spec.key,))
            found = db.execute(
                "SELECT delivered, retried, dead_lettered, id FROM triggers WHERE name = ?", (spec.key,)
            )
            return tuple(found.fetchone())

        totals = Counts(*await self.log.change(register))
        rows = await self.log.read(BACKLOGS, (totals.trigger,))
        return Dispatcher(spec, self.log, self._post, self._reply, totals, Backlog(*rows[0]))

    async def _remember(self, key: str, document: bytes | None) -> bool:
        """Attached, or no more; whether there was anything to change."""

        def write(db: sqlite3.Connection) -> bool:
            if document is not None:
                db.execute("INSERT INTO triggers (name) VALUES (?) ON CONFLICT DO NOTHING", (key,))
            update = "UPDATE triggers SET attached = ?1 WHERE name = ?2 AND attached IS NOT ?1"
            return db.execute(update, (document, key)).rowcount > 0

        return await self.log.change(write)


def _hop(event: Event, hops: int | None) -> tuple[int, Event]:
    """The hops left of an event, and the event without the attribute, which subscribers do not see.

    As Knative's ingress (pkg/broker/ttl.go): given, one less; none, or not an Integer, the most there is.
    """
    given = event.attributes.get(HOPS)
    if given is not None:
        event = Event({name: value for name, value in event.attributes.items() if name != HOPS}, event.data)
        if hops is None and _INTEGER.fullmatch(given) and -(1 << 31) <= int(given) < 1 << 31:
            hops = int(given) - 1
    return (MAX_HOPS if hops is None else hops), event
