"""Group commit: what arrives while a commit is under way goes into the next one.

Under light load an event is committed alone and at once; under heavy load groups grow by themselves, up to
bounds, and each pays once what would have been paid for each event: the fsync, the round trip, the marks.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from eventing.tracing import Tracer
from functions.metrics import GroupMeasures
from functions.seldom import Seldom
from runtime.settings import FunctionSettings
from trades.store import Outcome, StoreError

if TYPE_CHECKING:
    from eventing.tracing import Span

T = TypeVar("T")
logger = logging.getLogger(__name__)


class GroupLimits(NamedTuple):
    """Bounds of one GroupCommit; a group may pass `max_weight` only with a single item in it."""

    max_events: int
    max_weight: int
    queue_max_events: int


class Waiting(NamedTuple, Generic[T]):
    """An item in the queue, and where its outcome is awaited."""

    item: T
    weight: int
    outcome: "asyncio.Future[Outcome]"
    since_s: float = 0.0
    span: "Span | None" = None  # the step of a trace that waits here


class Queue(Generic[T]):
    """What waits for a commit, oldest first. Pure: it knows no threads and no clock."""

    def __init__(self, limits: GroupLimits) -> None:
        self._limits = limits
        self._waiting: deque[Waiting[T]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= self._limits.queue_max_events

    def put(self, waiting: Waiting[T]) -> None:
        self._waiting.append(waiting)

    def take(self) -> list[Waiting[T]]:
        """The next group: the longest run from the front within the limits; what was given up falls out."""
        group: list[Waiting[T]] = []
        weight = 0
        while self._waiting and len(group) < self._limits.max_events:
            first = self._waiting[0]
            if first.outcome.done():
                self._waiting.popleft()
                continue
            weight += first.weight
            if group and weight > self._limits.max_weight:
                break
            group.append(self._waiting.popleft())
        return group


class GroupCommit(Generic[T]):
    """Feeds `apply` with groups, from threads of its own; everything else happens on one event loop.

    `apply` gets 1 to `max_events` items and returns an outcome for each, in order. It must be idempotent:
    what fails in an unforeseen way is done again, one by one, so that one bad item does not spoil its group.
    """

    def __init__(
        self,
        apply: Callable[[Sequence[T]], Sequence[Outcome]],
        limits: GroupLimits,
        *,
        workers: int = 1,
        weigh: Callable[[T], int] = lambda _: 1,
        measures: GroupMeasures | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """`weigh` gives an item's weight; `measures` is told of each group, its commit and the queue."""
        self._apply = apply
        self._weigh = weigh
        self._measures = measures
        self._tracer = tracer
        self._queue: Queue[T] = Queue(limits)
        self._idle = workers
        self._pump_is_due = False
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="commit")
        self._crashes = Seldom()

    async def submit(self, item: T) -> Outcome:
        """The outcome of this item; UNAVAILABLE at once when the queue is full.

        Cancelling takes an item out of the queue if its commit has not begun.
        """
        if self._queue.is_full:
            return Outcome.UNAVAILABLE
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Outcome] = loop.create_future()
        span = self._tracer.current() if self._tracer else None
        self._queue.put(Waiting(item, self._weigh(item), outcome, time.perf_counter(), span))
        if self._measures:
            self._measures.waiting(len(self._queue))
        if self._idle and not self._pump_is_due:
            # After what else this turn of the loop brings: requests that came together go together.
            self._pump_is_due = True
            loop.call_soon(self._pump, loop)
        return await outcome

    def close(self) -> None:
        """Wait for commits under way; a second call does nothing."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        self._pump_is_due = False
        while self._idle:
            group = self._queue.take()
            if not group:
                return
            self._idle -= 1
            if self._measures:
                self._tell(self._measures, group)
            commit = loop.run_in_executor(self._executor, self._commit_group, group)
            commit.add_done_callback(partial(self._finish, group, loop))

    def _tell(self, measures: GroupMeasures, group: list[Waiting[T]]) -> None:
        now_s = time.perf_counter()
        waits_s = [now_s - waiting.since_s for waiting in group]
        measures.waiting(len(self._queue))
        measures.taken(waits_s, sum(waiting.weight for waiting in group))

    def _finish(
        self,
        group: list[Waiting[T]],
        loop: asyncio.AbstractEventLoop,
        commit: "asyncio.Future[Sequence[Outcome]]",
    ) -> None:
        self._idle += 1
        outcomes = [Outcome.UNAVAILABLE] * len(group) if commit.cancelled() else commit.result()
        for waiting, outcome in zip(group, outcomes, strict=True):
            if not waiting.outcome.done():
                waiting.outcome.set_result(outcome)
        self._pump(loop)

    def _commit_group(self, group: list[Waiting[T]]) -> Sequence[Outcome]:
        items = [waiting.item for waiting in group]
        spans = [waiting.span for waiting in group if waiting.span is not None]
        if not self._tracer or not spans:
            return self._commit(items)
        with self._tracer.shared("commit", spans):
            return self._commit(items)

    def _commit(self, items: Sequence[T]) -> Sequence[Outcome]:
        """In a worker thread. Never raises."""
        try:
            outcomes = self._timed_apply(items)
            if len(outcomes) != len(items):
                raise RuntimeError(f"{len(outcomes)} outcomes for {len(items)} events")  # noqa: TRY301
        except StoreError as error:
            if self._crashes.may():
                logger.warning("store does not serve", extra={"reason": str(error), "events": len(items)})
            return [Outcome.UNAVAILABLE] * len(items)
        except Exception:
            if len(items) > 1:
                return [self._commit([item])[0] for item in items]
            if self._crashes.may():
                logger.exception("commit failed")
            return [Outcome.UNAVAILABLE]
        return outcomes

    def _timed_apply(self, items: Sequence[T]) -> Sequence[Outcome]:
        start_s = time.perf_counter()
        try:
            return self._apply(items)
        finally:
            if self._measures:
                self._measures.committed(time.perf_counter() - start_s)


def group_of(
    function: str,
    apply: Callable[[Sequence[T]], Sequence[Outcome]],
    settings: FunctionSettings,
    weigh: Callable[[T], int] = lambda _: 1,
    tracer: Tracer | None = None,
) -> GroupCommit[T]:
    """The group commit of a function, with its bounds from the settings and its metrics."""
    limits = GroupLimits(settings.group_max_events, settings.group_max_trades, settings.queue_max_events)
    measures = GroupMeasures(function)
    return GroupCommit(
        apply, limits, workers=settings.store_workers, weigh=weigh, measures=measures, tracer=tracer
    )
