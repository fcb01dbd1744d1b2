"""Traces: one way of an event through all processes, as OpenTelemetry spans, when somebody asks for them.

The trace that an event belongs to is in its attribute `traceparent` (CloudEvents' Distributed Tracing
extension), which stays as its origin made it; the HTTP header of that name says which hop a request is (W3C
Trace Context).

Tracing is on when OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set; the other
variables of OpenTelemetry's SDK are heeded. Otherwise nothing is imported, and no event costs anything more:
`make_tracer` gives None.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Final

from eventing.event import Event

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as Span  # others name it too

logger = logging.getLogger(__name__)

TRACEPARENT: Final = "traceparent"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Kind(Enum):
    """What a span's process does; the names are OpenTelemetry's."""

    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"
    INTERNAL = "INTERNAL"
    CLIENT = "CLIENT"


def make_tracer(service: str, environment: Mapping[str, str] = os.environ) -> "Tracer | None":
    """A tracer that exports by OTLP over HTTP, or None. Call it after any fork: it starts a thread.

    `service` is the name of this process in traces, unless OTEL_SERVICE_NAME says another.
    """
    is_off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if is_off or not any(environment.get(name) for name in _ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        packages = "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
        logger.warning("no traces, though an OTLP endpoint is set: pip install %s", packages)
        return None
    name = environment.get("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))  # bounded: it drops what is too much
    return Tracer(provider)


class Tracer:
    """Makes spans. Thread-safe."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import trace
        from opentelemetry.context import Context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._trace = trace
        self._no_context = Context()
        self._propagator = TraceContextTextMapPropagator()
        self._provider = provider
        self._tracer = provider.get_tracer("tradewind")

    @contextmanager
    def span(
        self, name: str, kind: Kind, event: Event, parent: str | None = None, **attributes: str | int
    ) -> "Iterator[Span]":
        """A step of an event's way, current inside. `parent`: a traceparent, else the event's own."""
        context = self._context(parent or event.attributes.get(TRACEPARENT))
        with self._tracer.start_as_current_span(
            name, context, self._trace.SpanKind[kind.value], {**_describe(event), **attributes}
        ) as span:
            yield span

    @contextmanager
    def shared(self, name: str, spans: "Sequence[Span]") -> Iterator[None]:
        """A step that events take together. It is in the trace of the first, and linked from the others'."""
        start_ns = time.time_ns()
        first, *others = spans
        links = [self._trace.Link(span.get_span_context()) for span in others]
        context = self._trace.set_span_in_context(first)
        size = {"group.events": len(spans)}
        with self._tracer.start_as_current_span(name, context, links=links, attributes=size) as step:
            yield
        link = self._trace.Link(step.get_span_context())
        for other in others:
            context = self._trace.set_span_in_context(other)
            self._tracer.start_span(name, context, links=[link], attributes=size, start_time=start_ns).end()

    def past(self, name: str, seconds: float) -> None:
        """A call that the current step made, and that has just ended after `seconds`."""
        if self.current().is_recording():
            start_ns = time.time_ns() - int(seconds * 1e9)
            self._tracer.start_span(name, kind=self._trace.SpanKind.CLIENT, start_time=start_ns).end()

    def current(self) -> "Span":
        """The step that this task or thread is in; one that records nothing if it is in none."""
        return self._trace.get_current_span()

    def close(self) -> None:
        """Export what is left."""
        self._provider.shutdown()

    def _context(self, parent: str | None) -> "Context":
        """Of a parent; without one, or one that can't be read, a trace begins."""
        return self._propagator.extract({TRACEPARENT: parent} if parent else {}, self._no_context)


def traceparent_of(span: "Span") -> str:
    """W3C Trace Context, section 3.2."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _describe(event: Event) -> dict[str, str]:
    """OpenTelemetry's names for CloudEvents. No data."""
    return {f"cloudevents.event_{name}": event.attributes.get(name, "") for name in ("id", "source", "type")}
