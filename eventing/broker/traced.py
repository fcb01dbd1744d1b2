"""The broker's part in an event's trace: taking it in, and each attempt to deliver it."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Protocol

from eventing.broker.dispatch import Post
from eventing.broker.engine import Outcome
from eventing.client import Answer
from eventing.event import Event
from eventing.tracing import TRACEPARENT, Kind, Tracer, traceparent_of


class Accepts(Protocol):
    """Where events go in: the engine, or what stands before it."""

    async def accept(self, broker: str, events: Sequence[Event]) -> Outcome: ...


class TracedEngine:
    """Notes how long events take to be on disk. An event that belongs to no trace begins one."""

    def __init__(self, engine: Accepts, tracer: Tracer) -> None:
        self._engine = engine
        self._tracer = tracer

    async def accept(self, broker: str, events: Sequence[Event]) -> Outcome:
        traced = []
        with ExitStack() as steps:
            for event in events:
                span = steps.enter_context(self._tracer.span("accept", Kind.CONSUMER, event, broker=broker))
                if TRACEPARENT not in event.attributes:
                    event = event.with_attributes(**{TRACEPARENT: traceparent_of(span)})
                traced.append(event)
            return await self._engine.accept(broker, traced)


def traced_post(post: Post, tracer: Tracer) -> Post:
    """`post`, each attempt a span that the subscriber's span hangs on."""

    async def traced(
        url: str, event: Event, *, timeout_ms: int, headers: Mapping[str, str], structured: bool
    ) -> Answer:
        attempt = int(headers.get("Delivery-Attempt", 1))
        with tracer.span("deliver", Kind.PRODUCER, event, url=url, attempt=attempt) as span:
            more = {**headers, TRACEPARENT: traceparent_of(span)}
            answer = await post(url, event, timeout_ms=timeout_ms, headers=more, structured=structured)
            span.set_attribute("http.response.status_code", answer.status or 0)
            if answer.error:
                span.set_attribute("error.type", answer.error)
            return answer

    return traced
