"""The strict door of every event function: from a request to events, from their verdicts to its answer."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache, partial

from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response

from eventing.codec import BadEvent, decode
from eventing.event import Event
from eventing.identity import identity
from eventing.tracing import TRACEPARENT, Kind, Tracer
from functions import metrics
from functions.answer import Answer, refusal_of, to_response, unavailable, worst
from functions.intake import Disconnected, Intake, Overloaded
from functions.notes import Notes
from functions.probes import Probes
from functions.seldom import Seldom
from runtime.settings import FunctionSettings

Handle = Callable[[Event], Awaitable[Answer]]

MAX_EVENTS_PER_BATCH = 1_000
REPLIED = "REPLIED"  # the verdict of a note on what a function answered with

logger = logging.getLogger(__name__)


class Door:
    """One function's way in. `handle` answers an event; what it raises is answered for it."""

    def __init__(
        self,
        function: str,
        handle: Handle,
        settings: FunctionSettings,
        *,
        probes: Probes,
        notes: Notes,
        tracer: Tracer | None = None,
        max_events: int = MAX_EVENTS_PER_BATCH,
        check_json_data: bool = False,
    ) -> None:
        """`check_json_data`: refuse data that is not the JSON it says; for handlers that do not look."""
        self._function = function
        self._handle = handle
        self._probes = probes
        self._notes = notes
        self._tracer = tracer
        self._max_events = max_events
        self._check_json_data = check_json_data
        self._intake = Intake(settings.max_body_bytes)
        self._deadline_ms = settings.deadline_ms
        # A batch goes in by pieces, so that one larger than the queue gets through as well.
        self._piece = min(settings.group_max_events, settings.queue_max_events)
        self._seconds = metrics.HANDLING_SECONDS.labels(function)
        self._refusals = Seldom()
        self._crashes = Seldom()

    async def __call__(self, request: Request) -> Response:
        if request.method != "POST":
            return await self._probes.answer(request)
        start_s = time.perf_counter()
        headers = [(str(name, "latin-1"), str(value, "latin-1")) for name, value in request.scope["headers"]]
        answer = await self._take(request, headers)
        self._seconds.observe(time.perf_counter() - start_s)
        return to_response(answer)

    async def _take(self, request: Request, headers: list[tuple[str, str]]) -> Answer:
        with self._intake.open() as body:
            try:
                async with asyncio.timeout(self._deadline_ms / 1000):
                    data = await body.read(headers, request.receive)
                    events = decode(
                        headers, data, max_events=self._max_events, check_json_data=self._check_json_data
                    )
                    return await self._handle_all(events, _header(headers, TRACEPARENT))
            except BadEvent as error:
                answer = refusal_of(error)
            except TimeoutError:
                answer = unavailable(f"not done within {self._deadline_ms} ms: send the event again")
            except Overloaded:
                answer = unavailable("too much is in hand: send the event again")
            except Disconnected:
                return unavailable("the sender went away")
            self._record(_attributes(headers), body.data, answer)
            return answer

    async def _handle_all(self, events: Sequence[Event], hop: str | None) -> Answer:
        """`hop`: the request's traceparent."""
        handle = partial(self._traced, hop, self._tracer) if self._tracer else self._handle_one
        if len(events) == 1:
            return await handle(events[0])
        answers: list[Answer] = []
        for start in range(0, len(events), self._piece):
            answers += await asyncio.gather(*map(handle, events[start : start + self._piece]))
        return worst(answers)

    async def _traced(self, hop: str | None, tracer: Tracer, event: Event) -> Answer:
        with tracer.span(self._function, Kind.CONSUMER, event, hop) as span:
            answer = await self._handle_one(event)
            span.set_attribute("tradewind.verdict", answer.verdict)
            return answer

    async def _handle_one(self, event: Event) -> Answer:
        try:
            answer = await self._handle(event)
        except BadEvent as error:
            answer = refusal_of(error)
        except Exception:
            if self._crashes.may():
                logger.exception("function failed", extra=identity(event.attributes))
            answer = unavailable("the function failed on this event; its log says how", 500)
        self._record(event.attributes, event.data or b"", answer)
        return answer

    def _record(self, attributes: Mapping[str, str], data: bytes, answer: Answer) -> None:
        _events_counter(self._function, answer.verdict).inc()
        self._notes.add(attributes, data, answer)
        if answer.reply is not None:
            self._notes.add(answer.reply.attributes, answer.reply.data or b"", Answer(REPLIED))
        if answer.is_refusal and self._refusals.may():
            logger.warning(
                "refused", extra={"verdict": answer.verdict, "reason": answer.reason, **identity(attributes)}
            )
        elif logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "delivery", extra={"verdict": answer.verdict, "reason": answer.reason, **identity(attributes)}
            )


@cache
def _events_counter(function: str, verdict: str) -> Counter:
    return metrics.EVENTS.labels(function, verdict)


def _header(headers: Sequence[tuple[str, str]], wanted: str) -> str | None:
    return next((value for name, value in headers if name == wanted), None)


def _attributes(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What can be told of an event that could not be read: its ce-* headers as they came."""
    return {name[3:]: value for name, value in headers if name.startswith("ce-")}
