"""Delivering the events of one trigger: attempts, retries, dead letters, replies."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import msgspec

from eventing.broker.buckets import Buckets
from eventing.broker.config import TriggerSpec
from eventing.broker.log import Log, LogError
from eventing.broker.schedule import WINDOW, WINDOW_BYTES, Item, Schedule
from eventing.broker.schema import Counts, DeliveryRow, State, Stored
from eventing.broker.step import Retry, Settle, ToSink, next_step
from eventing.client import Answer
from eventing.delivery import Verdict, error_attributes, verdict
from eventing.event import Event
from eventing.identity import identity

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT_MS = 300_000  # a KService's own limit (timeoutSeconds) is 300 s unless it says otherwise
ORDER_KEY = "partitionkey"
BROKEN_PAUSE_MS = 1_000
NO_ROOM_PAUSE_S = 1.0
DELIVERY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_ONE_MS = 0.001


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Post(Protocol):
    """One attempt over HTTP; whatever goes wrong is in the Answer."""

    def __call__(
        self, url: str, event: Event, *, timeout_ms: int, headers: Mapping[str, str], structured: bool
    ) -> Awaitable[Answer]: ...


class Backlog(NamedTuple):
    """What is on disk for a trigger when its dispatcher starts."""

    open: int = 0
    open_bytes: int = 0
    first: int = 0
    last: int = 0
    kept: int = 0
    kept_bytes: int = 0


class Dispatcher:
    """Delivers to one trigger; `spec` may be replaced at any time by a newer one of the same name.

    `reply(stored, event)` puts an event that a subscriber answered with into the broker; it returns None when
    it is on disk, or else why it was not taken.
    """

    def __init__(
        self,
        spec: TriggerSpec,
        log: Log,
        post: Post,
        reply: Callable[[Stored, Event], Awaitable[Answer | None]],
        totals: Counts,
        backlog: Backlog,
    ) -> None:
        self.spec = spec
        self.number = totals.trigger
        self.before = totals  # of earlier runs
        self.delivered = self.retried = self.dead_lettered = 0
        self.open, self.open_bytes = backlog.open, backlog.open_bytes
        self.kept, self.kept_bytes = backlog.kept, backlog.kept_bytes
        self.attempts: dict[tuple[Verdict, int | None], int] = {}
        self.delivery_seconds = Buckets(DELIVERY_SECONDS)  # from an event's acceptance to its delivery
        self.last_error: dict[str, Any] | None = None
        self.schedule = Schedule(max(backlog.first - 1, 0), backlog.last)
        self._log, self._post, self._reply = log, post, reply
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    # -- events in -------------------------------------------------------------------------------------------

    def expect(self, size: int, sign: int = 1) -> None:
        """An event is about to be stored (or, with sign -1, was not): it counts in the backlog."""
        self.open += sign
        self.open_bytes += sign * size

    def offer(self, stored: Stored) -> None:
        """An event that matches has been stored."""
        item = Item(stored.seq, stored.received_ms, stored.size, self._key(stored.event), stored)
        self.schedule.offer(item)

    def replay(self, kept: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]] = ()) -> None:
        """Deliveries, each (number, bytes), were opened again on disk: dead letters, and those settled."""
        reopened = [*kept, *others]
        if reopened:
            self.open += len(reopened)
            self.open_bytes += sum(size for _, size in reopened)
            self.forget(kept)
            numbers = [seq for seq, _ in reopened]
            self.schedule.rewind(min(numbers), max(numbers))
            self.pump()

    def forget(self, kept: Sequence[tuple[int, int]]) -> None:
        """These, each (number, bytes), are dead letters kept here no longer."""
        self.kept -= len(kept)
        self.kept_bytes -= sum(size for _, size in kept)

    def pump(self) -> None:
        """Start what may be started now."""
        if self._stopped:
            return None
        if self._log.is_clogged:  # how a delivery went could not be noted
            return self._wake_in(BROKEN_PAUSE_MS / 1000)
        schedule, tasks = self.schedule, self._tasks
        while len(tasks) < self.spec.parallelism:
            item = schedule.take(now_ms())
            if item is None:
                break
            task = asyncio.create_task(self._deliver(item))
            tasks.add(task)
            task.add_done_callback(self._finished)
        after = schedule.read_after()
        if after is not None:
            schedule.begin_read()
            self._reader = asyncio.create_task(self._read(after))
        due_ms = schedule.next_due_ms()
        if due_ms is None or len(tasks) >= self.spec.parallelism:
            return self._wake_in(None)
        wait_ms = due_ms - now_ms()
        # Due, and not taken: there is no room for it before something in flight is done, which pumps.
        return self._wake_in(wait_ms / 1000 + _ONE_MS if wait_ms >= 0 else NO_ROOM_PAUSE_S)

    async def stop(self, grace_s: float) -> None:
        """Start nothing more; wait for what is in flight, then abandon it: it will be delivered again."""
        self._stopped = True
        if self._timer:
            self._timer.cancel()
        if self._reader:
            await asyncio.wait([self._reader])
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in self._tasks:
            task.cancel()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.pump()

    def _wake_in(self, wait_s: float | None) -> None:
        """Pump again after so long, or only when something happens."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wait_s is not None:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.pump)

    async def _read(self, after: int) -> None:
        """Read the next window of the backlog."""
        schedule, log = self.schedule, self._log
        head, is_set_back = schedule.head, schedule.is_set_back
        try:
            if is_set_back:
                await log.synced()
            rows = await log.reader.backlog(self.number, after, WINDOW // 2, WINDOW_BYTES // 4)
            # What was never tried is due, even if the clock has been set back since it came.
            items = [(row.attempts and row.at_ms, self._item(row, stored)) for row, stored in rows]
            schedule.fill(items, rows[-1][0].seq if rows else head, now_ms())
        except LogError:  # it has been told
            await asyncio.sleep(BROKEN_PAUSE_MS / 1000)
        except Exception:
            logger.exception("%s: the backlog could not be read, it will be tried again", self.spec.key)
            await asyncio.sleep(BROKEN_PAUSE_MS / 1000)
        finally:
            schedule.end_read()
        self.pump()

    def _item(self, row: DeliveryRow, stored: Stored) -> Item:
        item = Item(stored.seq, stored.received_ms, stored.size, self._key(stored.event), stored)
        item.state, item.attempts = State(row.state), row.attempts
        item.status, item.error = row.status, row.error
        return item

    def _key(self, event: Event) -> str | None:
        if not self.spec.ordered:
            return None
        return event.attributes.get(ORDER_KEY) or event.subject

    # -- one attempt -----------------------------------------------------------------------------------------

    async def _deliver(self, item: Item) -> None:
        try:
            await self._attempt(item)
        except Exception:  # a full disk under a reply, or a defect: the delivery must not be forgotten
            logger.exception(
                "%s: a delivery of event %d broke off, it will be tried again", self.spec.key, item.seq
            )
            self.schedule.retry(item, now_ms() + BROKEN_PAUSE_MS)

    async def _attempt(self, item: Item) -> None:
        spec = self.spec
        stored = item.stored or await self._log.reader.load(item.seq)
        if item.state is State.TO_SINK:
            url = spec.dead_letter_url
            if url is None:  # the sink was taken away meanwhile
                return self._settle(item, State.KEPT)
            event = stored.event.with_attributes(**msgspec.json.decode(item.error or b"{}"))
            headers, structured = {"Kn-Namespace": spec.namespace}, False
        else:
            url, event, structured = spec.subscriber_url, stored.event, spec.structured
            headers = {"Kn-Namespace": spec.namespace, "Prefer": "reply"}
        if item.attempts:
            headers["Delivery-Attempt"] = str(item.attempts + 1)
        timeout_ms = spec.delivery.timeout_ms or DEFAULT_TIMEOUT_MS
        answer = await self._post(url, event, timeout_ms=timeout_ms, headers=headers, structured=structured)
        item.attempts += 1
        answer, judged = await self._judge(item, stored, answer)
        item.status = answer.status
        self.attempts[judged, answer.status] = self.attempts.get((judged, answer.status), 0) + 1
        if logger.isEnabledFor(logging.DEBUG):
            self._log_attempt(item, event, judged)
        spec = self.spec  # it may have been replaced meanwhile
        step = next_step(item, spec.delivery, spec.dead_letter_url is not None, answer, judged, now_ms())
        if judged is not Verdict.DONE and (item.state is State.PENDING or step == Settle(State.KEPT)):
            self._note_failure(item, url, answer)
        return self._take(item, step)

    def _log_attempt(self, item: Item, event: Event, judged: Verdict) -> None:
        said = {"trigger": self.spec.key, "number": item.seq, "attempt": item.attempts}
        said |= {"to": item.state.name, "status": item.status, "verdict": judged.name}
        logger.debug("delivery", extra=said | identity(event.attributes))

    async def _judge(self, item: Item, stored: Stored, answer: Answer) -> tuple[Answer, Verdict]:
        """The verdict on an answer; a reply is put into the broker first, and is part of it."""
        if not answer.body and "ce-specversion" not in answer.headers:
            return answer, verdict(answer.status, b"", False)
        event = answer.reply()
        if event is None and not answer.body:  # its ce- headers are no event: that is not done
            answer = replace(answer, body=b"the answer's ce- headers are no event")
        judged = verdict(answer.status, answer.body, event is not None)
        if judged is Verdict.DONE and event is not None and item.state is State.PENDING:
            refused = await self._reply(stored, event)
            if refused is not None:
                return refused, verdict(refused.status, b"", False)
        return answer, judged

    def _take(self, item: Item, step: Settle | Retry | ToSink) -> None:
        match step:
            case Settle(state):
                return self._settle(item, state)
            case Retry(due_ms):
                self.retried += 1
            case ToSink():
                item.state, item.attempts, due_ms = State.TO_SINK, 0, 0
        self._write(item, due_ms)
        self.schedule.retry(item, due_ms)
        return None

    def _settle(self, item: Item, state: State) -> None:
        if state is State.DELIVERED:
            self.delivered += 1
            self.delivery_seconds.add((now_ms() - item.received_ms) / 1000)
        else:
            self.dead_lettered += 1
        if state is State.KEPT:
            self.kept += 1
            self.kept_bytes += item.size
        item.state = state
        self.expect(item.size, -1)
        self._write(item, now_ms())
        self.schedule.done(item)

    def _write(self, item: Item, at_ms: int) -> None:
        row = DeliveryRow(item.seq, self.number, item.state, item.attempts, at_ms, item.status, item.error)
        self._log.settle(row, self.totals())

    def totals(self) -> Counts:
        """Counts over all runs."""
        before = self.before
        return Counts(
            before.delivered + self.delivered,
            before.retried + self.retried,
            before.dead_lettered + self.dead_lettered,
            self.number,
        )

    def _note_failure(self, item: Item, url: str, answer: Answer) -> None:
        """For the trigger's status; and with the event, which keeps its subscriber's, not the sink's."""
        body = answer.body or answer.error.encode()
        text = body[:200].decode(errors="replace")
        self.last_error = {"at_ms": now_ms(), "url": url, "status": answer.status, "text": text}
        if item.state is State.PENDING:
            said = error_attributes(self.spec.cluster_url, answer.status, body)
            item.error = msgspec.json.encode(said)
