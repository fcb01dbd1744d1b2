"""The broker: the local broker's steps and schedule, and a log that is kept in memory.

An accepted event is on disk at once; how a delivery went is written a little later, and is forgotten when the
broker restarts before that.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec

from eventing import client
from eventing.broker.schedule import Item, Schedule
from eventing.broker.schema import DeliveryRow, State, Stored
from eventing.broker.step import Retry, Settle, ToSink, next_step
from eventing.delivery import Delivery, Verdict, error_attributes
from eventing.event import Event
from functions.answer import Answer, to_response
from tests.simulation.loop import Loop

ACK_LINGER_MS = 50
_OPEN = (State.PENDING, State.TO_SINK)

Post = Callable[[str, Event, Callable[[Answer | None], None]], None]
"""Sends an event to the function of this name; answers later, or never."""


class Trigger(NamedTuple):
    """Where all events go, and how many deliveries may be under way at once."""

    number: int
    function: str
    parallelism: int
    window: int


class Broker:
    """Accepts events, and delivers each to every trigger until it is settled."""

    def __init__(
        self,
        loop: Loop,
        post: Post,
        triggers: list[Trigger],
        delivery: Delivery,
        dead_letter_sink: str,
        loses: Callable[[str], bool],
    ) -> None:
        """`loses`: whether a delivery to this function, which was tried once, is forgotten now."""
        self.delivery, self.dead_letter_sink = delivery, dead_letter_sink
        self.events: list[Stored] = []
        self.rows: dict[tuple[int, int], DeliveryRow] = {}
        self.lost: list[Event] = []  # whose deliveries are known to nobody any more
        self._loop, self._post, self._triggers = loop, post, triggers
        self.loses = loses
        self._unwritten: list[DeliveryRow] = []
        self._start()

    def accept(self, event: Event) -> None:
        """When this returns the event is on disk."""
        stored = Stored(
            len(self.events) + 1, "default", self._loop.now_ms, 255, event, len(event.data or b"")
        )
        self.events.append(stored)
        for trigger in self._triggers:
            self.rows[stored.seq, trigger.number] = DeliveryRow(
                stored.seq, trigger.number, State.PENDING, 0, 0
            )
        self._write_rows()
        for dispatcher in self._dispatchers:
            dispatcher.schedule.offer(_item(stored, DeliveryRow(stored.seq, 0, State.PENDING, 0, 0)))
            dispatcher.pump()

    def restart(self) -> None:
        """What was not written is forgotten; so is what is in flight, whose answers find nobody."""
        self._unwritten.clear()
        for dispatcher in self._dispatchers:
            dispatcher.is_stopped = True
        self._start()

    def reopen_kept(self) -> None:
        """Deliver again what even the dead-letter sink refused."""
        for key, row in self.rows.items():
            if row.state == State.KEPT:
                self.rows[key] = row._replace(state=State.TO_SINK, attempts=0, at_ms=0)
        self.restart()

    def lose(self, seq: int, trigger: int) -> None:
        self.lost.append(self.events[seq - 1].event)
        self._write_rows()
        del self.rows[seq, trigger]

    def count(self, trigger: int, *states: State) -> int:
        """Deliveries of a trigger that stand so, as the broker's status says."""
        rows = self.rows | {(row.seq, row.trigger): row for row in self._unwritten}
        return sum(row.trigger == trigger and row.state in states for row in rows.values())

    def write(self, row: DeliveryRow) -> None:
        """With the next group, or after a while."""
        self._unwritten.append(row)
        self._loop.after(ACK_LINGER_MS, self._write_rows)

    def backlog(self, number: int, after: int, limit: int) -> list[DeliveryRow]:
        """The next open deliveries of a trigger that are on disk."""
        open_rows = [row for row in self.rows.values() if row.trigger == number and row.state in _OPEN]
        return sorted(row for row in open_rows if row.seq > after)[:limit]

    def _start(self) -> None:
        self._dispatchers = [Dispatcher(self, self._loop, self._post, trigger) for trigger in self._triggers]
        for dispatcher in self._dispatchers:
            dispatcher.pump()

    def _write_rows(self) -> None:
        for row in self._unwritten:
            self.rows[row.seq, row.trigger] = row
        self._unwritten.clear()


class Dispatcher:
    """Delivers the events of one trigger, from one start of the broker to the next."""

    def __init__(self, broker: Broker, loop: Loop, post: Post, trigger: Trigger) -> None:
        self.schedule = Schedule(0, len(broker.events), window=trigger.window)
        self.is_stopped = False
        self._broker, self._loop, self._post, self._trigger = broker, loop, post, trigger
        self._in_flight = 0
        self._timer_ms = 0

    def pump(self) -> None:
        """Start what may be started now."""
        if self.is_stopped:
            return
        self._read()
        while self._in_flight < self._trigger.parallelism:
            item = self.schedule.take(self._loop.now_ms)
            if item is None:
                break
            self._in_flight += 1
            self._attempt(item)
            self._read()
        due_ms = self.schedule.next_due_ms()
        if due_ms is not None and due_ms > self._loop.now_ms and due_ms != self._timer_ms:
            self._timer_ms = due_ms
            self._loop.after(due_ms - self._loop.now_ms, self.pump)

    def _read(self) -> None:
        after = self.schedule.read_after()
        if after is None:
            return
        broker = self._broker
        rows = broker.backlog(self._trigger.number, after, max(1, self._trigger.window // 2))
        self.schedule.begin_read()
        items = [(row.at_ms, _item(broker.events[row.seq - 1], row)) for row in rows]
        self.schedule.fill(items, rows[-1].seq if rows else self.schedule.head, self._loop.now_ms)

    def _attempt(self, item: Item) -> None:
        event = self._broker.events[item.seq - 1].event
        function = self._trigger.function
        if item.state is State.TO_SINK:
            function = self._broker.dead_letter_sink
            event = event.with_attributes(**msgspec.json.decode(item.error or b"{}"))
        attempt = [item]  # emptied by the first answer; later ones find it so
        take = partial(self._take, attempt)
        self._loop.after(self._broker.delivery.timeout_ms or 0, partial(take, None))
        self._post(function, event, take)

    def _take(self, attempt: list[Item], answer: Answer | None) -> None:
        if not attempt or self.is_stopped:
            return
        item = attempt.pop()
        self._in_flight -= 1
        item.attempts += 1
        self._step(item, _heard(answer))
        self.pump()

    def _step(self, item: Item, answer: client.Answer) -> None:
        item.status, judged = answer.status, answer.verdict()
        if judged is Verdict.RETRY and self._broker.loses(self._trigger.function):
            self._broker.lose(item.seq, self._trigger.number)
            return self.schedule.done(item)
        if judged is not Verdict.DONE and item.state is State.PENDING:
            attributes = error_attributes(self._trigger.function, answer.status, answer.body)
            item.error = msgspec.json.encode(attributes)
        match next_step(item, self._broker.delivery, True, answer, judged, self._loop.now_ms):
            case Settle(state):
                return self._settle(item, state)
            case Retry(due_ms):
                pass
            case ToSink():
                item.state, item.attempts, due_ms = State.TO_SINK, 0, 0
        self._write(item, due_ms)
        self.schedule.retry(item, due_ms)
        return None

    def _settle(self, item: Item, state: State) -> None:
        item.state = state
        self._write(item, self._loop.now_ms)
        self.schedule.done(item)

    def _write(self, item: Item, at_ms: int) -> None:
        self._loop.tell(self._trigger.function, item.seq, item.state.name, item.attempts, item.status)
        row = DeliveryRow(
            item.seq, self._trigger.number, item.state, item.attempts, at_ms, item.status, item.error
        )
        self._broker.write(row)


def _heard(answer: Answer | None) -> client.Answer:
    if answer is None:
        return client.Answer(None)
    response = to_response(answer)
    return client.Answer(response.status_code, response.headers, bytes(response.body))


def _item(stored: Stored, row: DeliveryRow) -> Item:
    item = Item(stored.seq, stored.received_ms, stored.size, None, stored)
    item.state, item.attempts, item.status, item.error = State(row.state), row.attempts, row.status, row.error
    return item
