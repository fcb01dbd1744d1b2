"""One schedule: everything put together from a seed, run until nothing is to come, and looked at."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple, Protocol
from unittest.mock import patch

import msgspec

from eventing.broker.schema import State
from eventing.delivery import Delivery
from eventing.event import Event
from functions import group
from functions.answer import Answer
from tests.simulation.broker import Broker, Trigger
from tests.simulation.events import Universe, publish_some
from tests.simulation.faults import Faults
from tests.simulation.functions import (
    Function,
    KeepDeadLetter,
    Log,
    Process,
    Reply,
    StoreTrade,
    UpdateSummary,
)
from tests.simulation.loop import Loop
from tests.simulation.reader import Reader
from trades.store import StoreError, TradeStore
from trades.trade import TradeEvent
from tradewind.checks import tallies, tickers
from tradewind.checks.repairs import repair_store
from tradewind.laptop.snapshot import Queue

FUNCTIONS: dict[str, Callable[[TradeStore, Loop], Function]] = {
    "store-trade": StoreTrade,
    "update-summary": UpdateSummary,
    "dead-letter": KeepDeadLetter,
}
TRIGGERS = ("store-trade", "update-summary")
MAX_PROCESSES = 4
_RESEND_MS = 1_000
_TAIL_MS = 60_000
_IDLE_POLL_S = 0.3


class Stores(Protocol):
    """Makes stores on the same data, one a process; knows what else must hold of the data."""

    def make(self) -> TradeStore: ...
    def check(self, counted: Sequence[TradeEvent]) -> None: ...


class Scale(NamedTuple):
    """How large a schedule is; drawn from the seed."""

    events: int
    gap_ms: int  # between two events, at most
    processes: dict[str, int]
    threads: int
    group_events: int
    universe: Universe


class World:
    """Producer, broker, functions; the stores are given."""

    def __init__(self, rng: random.Random, loop: Loop, faults: Faults, stores: Stores, scale: Scale) -> None:
        self.rng, self.loop, self.faults, self.stores, self.scale = rng, loop, faults, stores, scale
        self.processes: dict[str, list[Process]] = {name: [] for name in FUNCTIONS}
        self.broker = self._make_broker()
        self.repairs = self.reshards = 0
        self.reader = Reader(loop, rng, faults, [stores.make(), stores.make()])
        for name, count in scale.processes.items():
            for _ in range(count):
                self._start_process(name)

    def run(self) -> None:
        """Publish, with faults; then without: deliver again all that was given up, to the end."""
        end_ms = 0
        for event in publish_some(self.rng, self.faults, self.scale.events, self.scale.universe):
            self.loop.after(end_ms, partial(self._publish, event))
            end_ms += self.rng.randrange(self.scale.gap_ms)
        end_ms += _TAIL_MS
        self.loop.start(self.reader.watch)
        self._plan_accidents(end_ms)
        self.loop.after(end_ms, self._end_faults)
        self.loop.run()
        if self.reshards:
            self._reshard()  # those that broke off are brought to an end: nothing is repaired before
        if self.repairs:
            self.loop.start(self._repair)
            self.loop.run()
        self.broker.reopen_kept()
        for event in self.broker.lost:  # their producers had no answer, or replay a log
            self.broker.accept(event)
        self.loop.run()
        self._replay_dead_letters()
        self.loop.run()

    def settled(self, state: State, function: str) -> list[tuple[Event, int]]:
        """Events whose delivery to a function ended so, with the status of the function's last answer."""
        found = []
        for stored in self.broker.events:
            row = self.broker.rows.get((stored.seq, TRIGGERS.index(function)))
            if row is not None and row.state == state:
                error = msgspec.json.decode(row.error) if row.error else {}
                found.append(
                    (stored.event, 202 if state is State.DELIVERED else int(error["knativeerrorcode"]))
                )
        return found

    def _make_broker(self) -> Broker:
        rng = self.rng
        delivery = Delivery(
            retry=rng.choice((2, 5, 10)),
            backoff_policy="exponential",
            backoff_delay_ms=200,
            timeout_ms=30_000,
        )
        triggers = [
            Trigger(number, name, rng.randint(1, 12), rng.choice((2, 8, 1_000)))
            for number, name in enumerate(TRIGGERS)
        ]
        return Broker(self.loop, self._post, triggers, delivery, "dead-letter", self._loses)

    def _loses(self, function: str) -> bool:
        return function == "update-summary" and self.faults.strikes("lost delivery")

    def _start_process(self, name: str) -> None:
        self.processes[name].append(
            Process(
                self.loop,
                self.stores.make(),
                FUNCTIONS[name],
                group_events=self.scale.group_events,
                threads=self.scale.threads,
            )
        )

    def _publish(self, event: Event) -> None:
        """A producer sends until it has an answer."""
        if not self.faults.strikes("lost request"):
            self.broker.accept(event)
            if not self.faults.strikes("lost reply"):
                return
        self.loop.after(_RESEND_MS, partial(self._publish, event))

    def _post(self, function: str, event: Event, reply: Reply) -> None:
        """HTTP between the broker and a function: requests and answers get lost, late and doubled."""
        for _ in range(2 if self.faults.strikes("duplicate") else 1):
            if not self.faults.strikes("lost request"):
                self.loop.after(self._latency_ms(), partial(self._receive, function, event, reply))

    def _receive(self, function: str, event: Event, reply: Reply) -> None:
        ready = [process for process in self.processes[function] if process.is_ready]
        if ready:
            self.rng.choice(ready).receive(event, partial(self._answer, reply))
        else:
            self._answer(reply, None)

    def _answer(self, reply: Reply, answer: Answer | None) -> None:
        if not self.faults.strikes("lost reply"):
            self.loop.after(self._latency_ms(), partial(reply, answer))

    def _latency_ms(self) -> int:
        return self.rng.randrange(40_000 if self.faults.strikes("slow network") else 5)

    def _plan_accidents(self, end_ms: int) -> None:
        """Processes crash and are replaced, more are started, the broker restarts: at any time."""
        for name in FUNCTIONS:
            while self.faults.strikes("process crash"):
                self.loop.after(self.rng.randrange(end_ms), partial(self._crash, name))
            while self.faults.strikes("more processes"):
                self.loop.after(self.rng.randrange(end_ms), partial(self._scale_up, name))
        while self.faults.strikes("broker restart"):
            self.loop.after(self.rng.randrange(end_ms), self.broker.restart)
        while self.faults.strikes("repair"):
            self.repairs += 1
            self.loop.after(self.rng.randrange(end_ms), lambda: self.loop.start(self._repair))
        while self.faults.strikes("reshard"):
            self.reshards += 1
            self.loop.after(self.rng.randrange(end_ms), lambda: self.loop.start(self._reshard))

    def _crash(self, name: str) -> None:
        self.loop.tell("crash", name)
        process = self.rng.choice(self.processes[name])
        self.processes[name].remove(process)
        process.crash()
        self._start_process(name)

    def _scale_up(self, name: str) -> None:
        if len(self.processes[name]) < MAX_PROCESSES:
            self._start_process(name)

    def _repair(self) -> None:
        store = self.stores.make()
        with suppress(StoreError):
            store.ping()
            self.loop.tell("repair", repair_store(store, self._wait_until_idle))
        store.close()

    def _reshard(self) -> None:
        store = self.stores.make()
        with suppress(StoreError):
            store.ping()
            self.loop.tell("reshard", store.reshard(self.rng.randint(1, 3)))
        store.close()

    def _wait_until_idle(self) -> bool:
        return tickers.wait_for_rest(
            self._queues,
            clock=lambda: self.loop.now_ms / 1_000,
            sleep=lambda seconds: self.loop.pause(int(seconds * 1_000)),
            poll_s=_IDLE_POLL_S,
        )

    def _queues(self) -> dict[str, Queue]:
        return {
            name: Queue(
                self.broker.count(number, State.PENDING, State.TO_SINK), self.broker.count(number, State.KEPT)
            )
            for number, name in enumerate(TRIGGERS)
        }

    def _end_faults(self) -> None:
        self.faults.is_over = True

    def _replay_dead_letters(self) -> None:
        """As a person does when the trouble is over; not those refused, which would be refused again."""
        store = self.stores.make()
        for letter in store.read_dead_letters(10_000):
            if not is_refusal(int(letter.status)):
                self.broker.accept(Event(letter.attributes, letter.data))
                store.mark_replayed(letter, self.loop.now_ms)
        store.close()


def is_refusal(status: int) -> bool:
    return 400 <= status < 500


@contextmanager
def in_the_simulation() -> Iterator[None]:
    """A store that does not serve is expected here; code of ours that fails is not, and ends the run.

    Repair does not sleep, and adds up in its temporary file whatever it reads.
    """
    always = SimpleNamespace(may=lambda: True)
    with (
        patch.object(group, "logger", Log()),
        patch.object(group, "Seldom", lambda: always),
        patch.object(tickers, "PAUSE_S", 0),
        patch.object(tallies, "MAX_LEVELS", 1),
    ):
        yield
