"""A producer that knows what was taken: it sends each event until there is a verdict, and remembers it.

Beside new events it sends what a pipeline must cope with: the same event again, twice at once, another event
under the id of one that is done (a CONFLICT), and data that is no trade.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from eventing.client import Answer
from eventing.event import Event
from eventing.sender import Sender
from tests.chaos.pipeline import pending
from trades.codec import TRADE_BATCH, TRADE_EXECUTED, encode_batch, encode_trade
from trades.trade import Trade

SOURCE = "/chaos"
TICKERS = [f"CH.{number}" for number in range(40)]
MAX_BATCH = 100
# Shorter than many faults: some events are sent again though they were taken, and only the answer was lost.
ATTEMPT_MS = 5_000
SENDERS = 16
STATUS_S = 0.5


class Sort(StrEnum):
    """What is sent."""

    SINGLE = "new, one trade"
    BATCH = "new, a batch"
    AGAIN = "the same again"
    TWINS = "twice at once"
    CONFLICT = "another under a used id"
    POISON = "no trade"


USUAL = {Sort.SINGLE: 10, Sort.BATCH: 6, Sort.AGAIN: 3, Sort.TWINS: 1}
POISON = (
    b"{",
    b'{"ticker": "CH.0", "price": "1.0000", "volume": 0, "timestamp": 1}',
    b'{"ticker": "CH.0", "price": -1, "volume": 1, "timestamp": 1}',
    b'{"ticker": "C H", "price": "1.0000", "volume": 1, "timestamp": 1}',
    b'{"price": "1.0000", "volume": 1, "timestamp": 1}',
)


@dataclass
class Producer:
    """Use: `run()` as a task, then `finish()`. `refused_part`: of events, those that no function takes.

    `accepted`: events answered with 202, by id, that must be counted; `refused`: those that must be dead
    letters, by id and data.
    """

    url: str
    rng: random.Random
    events_per_s: float
    refused_part: float
    read_status: Callable[[], dict[str, Any] | None]
    accepted: dict[str, Event] = field(default_factory=dict)
    refused: set[tuple[str, bytes]] = field(default_factory=set)
    sent: Counter[Sort] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    longest_stall_s: float = 0.0
    _made: int = 0
    _taken: list[Event] = field(default_factory=list)
    _settled: int = 0  # so many of `_taken` are done by both functions
    _last_s: float = 0.0
    _stopping: bool = False

    async def run(self) -> None:
        """Send until `finish`, and then until each event that was begun has its verdict."""
        self._stopping, self._last_s = False, time.monotonic()
        async with Sender(timeout_ms=ATTEMPT_MS) as sender, asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch_settled())
            await asyncio.wait([group.create_task(self._send_on(sender)) for _ in range(SENDERS)])
            watching.cancel()

    def finish(self) -> None:
        """Begin no more events."""
        self._stopping = True

    async def _send_on(self, sender: Sender) -> None:
        while not self._stopping:
            await self._send_one(sender)
            await asyncio.sleep(self.rng.expovariate(self.events_per_s / SENDERS))

    async def _send_one(self, sender: Sender) -> None:
        sort = self._choose()
        if sort is Sort.TWINS:
            event = self._new_single()
            await asyncio.gather(*(self._until_taken(sender, event) for _ in range(2)))
        else:
            event = self._make(sort)
            await self._until_taken(sender, event)
        self.sent[sort] += 1
        if sort in (Sort.CONFLICT, Sort.POISON):
            self.refused.add((event.id, event.data or b""))
        elif sort is not Sort.AGAIN:
            self.accepted[event.id] = event
            self._taken.append(event)

    async def _until_taken(self, sender: Sender, event: Event) -> None:
        answer = await sender.send(self.url, event, attempts=10_000, backoff_max_ms=1_000)
        self._note(event, answer)

    def _note(self, event: Event, answer: Answer) -> None:
        if answer.status != 202:
            self.problems.append(f"event {event.id} was answered with {answer.status} {answer.body!r}")
        now_s = time.monotonic()
        self.longest_stall_s = max(self.longest_stall_s, now_s - self._last_s)
        self._last_s = now_s

    async def _watch_settled(self) -> None:
        """At a moment when the broker has nothing to deliver, all that was taken before is done."""
        while True:
            taken = len(self._taken)
            status = await asyncio.to_thread(self.read_status)
            if status is not None and not pending(status):
                self._settled = taken
            await asyncio.sleep(STATUS_S)

    # Events

    def _choose(self) -> Sort:
        if self.rng.random() < self.refused_part:
            sort = self.rng.choice((Sort.CONFLICT, Sort.POISON))
            return Sort.POISON if sort is Sort.CONFLICT and not self._settled else sort
        sort = self.rng.choices(list(USUAL), list(USUAL.values()))[0]
        return Sort.SINGLE if sort is Sort.AGAIN and not self._taken else sort

    def _make(self, sort: Sort) -> Event:
        match sort:
            case Sort.BATCH:
                trades = [self._trade() for _ in range(self.rng.randint(1, MAX_BATCH))]
                return self._event(TRADE_BATCH, encode_batch(trades))
            case Sort.AGAIN:
                return self.rng.choice(self._taken)
            case Sort.CONFLICT:
                first = self.rng.choice(self._taken[: self._settled])
                return Event({**first.attributes, "type": TRADE_EXECUTED}, encode_trade(self._trade()))
            case Sort.POISON:
                return self._event(TRADE_EXECUTED, self.rng.choice(POISON))
            case _:
                return self._new_single()

    def _new_single(self) -> Event:
        return self._event(TRADE_EXECUTED, encode_trade(self._trade()))

    def _event(self, type_: str, data: bytes) -> Event:
        self._made += 1
        attributes = {
            "specversion": "1.0",
            "source": SOURCE,
            "id": f"{self._made}",
            "type": type_,
            "datacontenttype": "application/json",
        }
        return Event(attributes, data)

    def _trade(self) -> Trade:
        rng, time_ms = self.rng, time.time_ns() // 1_000_000
        return Trade(rng.choice(TICKERS), rng.randint(1, 2_000_000), rng.randint(1, 10_000), time_ms)
