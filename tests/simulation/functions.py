"""Function processes: the real decoding, group commit and answers, around a store of their own.

What the web server and the event loop do is taken over by the simulation's loop: requests come in, groups of
them are committed in tasks, a request that waits too long is answered 503.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NoReturn, Protocol

from eventing.event import Event
from functions.answer import OUTCOMES, Answer, refusal, unavailable
from functions.dead_letter import to_dead_letter
from functions.group import GroupCommit, GroupLimits, Queue, Waiting
from runtime.settings import FunctionSettings
from tests.simulation.loop import Loop, Task
from trades.codec import BadTrade, decode_event
from trades.store import Outcome, StoreError, TradeStore

DEADLINE_MS = 20_000
_REOPEN_MS = 1_000
_QUEUE_EVENTS = 16

Reply = Callable[[Answer | None], None]  # None: the connection broke


class Function(Protocol):
    """What a function does: its store's write, and how an event becomes what that takes."""

    def decode(self, event: Event) -> Any: ...
    def apply(self, items: Sequence[Any]) -> Sequence[Outcome]: ...


class StoreTrade:
    def __init__(self, store: TradeStore, loop: Loop) -> None:
        self.apply = store.store_trades

    def decode(self, event: Event) -> Any:
        return decode_event(event.type, event.source, event.id, event.data or b"")


class UpdateSummary(StoreTrade):
    def __init__(self, store: TradeStore, loop: Loop) -> None:
        self.apply = store.count_trades


class KeepDeadLetter:
    def __init__(self, store: TradeStore, loop: Loop) -> None:
        self._loop = loop
        self.apply = store.add_dead_letters

    def decode(self, event: Event) -> Any:
        return to_dead_letter(event, self._loop.now_ms)


class _Place:
    """Where a request's outcome is awaited: in the real function, a future."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._is_done = False

    def done(self) -> bool:
        return self._is_done

    def set_result(self, outcome: Outcome) -> None:
        self.answer(OUTCOMES[outcome])

    def answer(self, answer: Answer | None) -> None:
        if not self._is_done:
            self._is_done = True
            self._reply(answer)


class Process:
    """One process of a function. `threads`: commits under way at once."""

    def __init__(
        self,
        loop: Loop,
        store: TradeStore,
        make_function: Callable[[TradeStore, Loop], Function],
        *,
        group_events: int,
        threads: int,
    ) -> None:
        self.is_ready = False
        self._loop, self._store = loop, store
        self._function = make_function(store, loop)
        limits = GroupLimits(group_events, 1_000, _QUEUE_EVENTS)
        self._queue: Queue[Any] = Queue(limits)
        self._commit = GroupCommit(self._function.apply, limits)._commit
        self._idle = threads
        self._tasks: list[Task] = []
        self._places: dict[_Place, None] = {}  # in order of arrival
        self._run(self._open)

    def receive(self, event: Event, reply: Reply) -> None:
        if not self.is_ready:
            reply(unavailable("starting"))
            return
        try:
            item = self._function.decode(event)
        except BadTrade as error:
            reply(refusal(str(error)))
            return
        if self._queue.is_full:
            reply(OUTCOMES[Outcome.UNAVAILABLE])
            return
        place = _Place(reply)
        self._places[place] = None
        self._queue.put(Waiting(item, 1, place))  # type: ignore[arg-type]
        self._loop.after(DEADLINE_MS, lambda: place.answer(unavailable("not done in time")))
        self._loop.after(0, self._pump)

    def crash(self) -> None:
        """The process is gone, and with it whatever it had in hand."""
        self.is_ready = False
        self._idle = 0
        for task in self._tasks:
            task.kill()
        for place in self._places:
            place.answer(None)
        self._store.close()

    def _open(self) -> None:
        while not self.is_ready:
            try:
                self._store.ping()
                self.is_ready = True
            except StoreError:
                self._loop.pause(_REOPEN_MS)

    def _pump(self) -> None:
        while self._idle:
            group = self._queue.take()
            if not group:
                return
            self._idle -= 1
            self._run(partial(self._work, group))

    def _work(self, group: list[Waiting[Any]]) -> None:
        outcomes = self._commit([waiting.item for waiting in group])
        for waiting, outcome in zip(group, outcomes, strict=True):
            waiting.outcome.set_result(outcome)
            self._places.pop(waiting.outcome, None)  # type: ignore[call-overload]
        self._idle += 1
        self._loop.after(0, self._pump)

    def _run(self, function: Callable[[], None]) -> None:
        self._tasks = [task for task in self._tasks if not task.is_done]
        self._tasks.append(self._loop.start(function))


class Log:
    """Takes the place of the group commit's log: a crash of our own code must not pass as "try again"."""

    def warning(self, *_: object, **__: object) -> None:
        pass

    def exception(self, *_: object, **__: object) -> NoReturn:
        raise


@cache
def _settings() -> FunctionSettings:
    return FunctionSettings.read()
