"""Spans, told to a collector in memory; and that nothing is loaded when nobody asks for traces."""

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from eventing.event import Event
from eventing.tracing import Kind, Tracer, make_tracer, traceparent_of

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EVENT = Event({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}, b"secret")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> Tracer:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracer(provider)


def parent_id(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def span_id(span: ReadableSpan) -> int:
    assert span.context
    return span.context.span_id


def test_a_span_hangs_on_the_hop_or_on_the_event(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    event = EVENT.with_attributes(traceparent=PARENT)
    with tracer.span("by event", Kind.CONSUMER, event) as outer:
        hop = traceparent_of(outer)
    with tracer.span("by hop", Kind.CONSUMER, event, hop):
        pass
    by_event, by_hop = exporter.get_finished_spans()
    assert parent_id(by_event) == 0xB7AD6B7169203331
    assert parent_id(by_hop) == span_id(by_event)


@pytest.mark.parametrize("parent", [None, "", "nonsense", "00-" + 32 * "0" + "-b7ad6b7169203331-01"])
def test_what_cannot_be_read_begins_a_trace(
    tracer: Tracer, exporter: InMemorySpanExporter, parent: str | None
) -> None:
    event = EVENT if parent is None else EVENT.with_attributes(traceparent=parent)
    with tracer.span("outer", Kind.PRODUCER, EVENT), tracer.span("inner", Kind.PRODUCER, event):
        pass
    assert [span.parent for span in exporter.get_finished_spans()] == [None, None]


def test_a_shared_step_is_in_every_trace(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    spans = []
    for _ in range(3):
        with tracer.span("event", Kind.CONSUMER, EVENT) as span:
            spans.append(span)
    with tracer.shared("commit", spans):
        tracer.past("call", 0.5)
    commits = [span for span in exporter.get_finished_spans() if span.name == "commit"]
    assert {parent_id(commit) for commit in commits} == {span.get_span_context().span_id for span in spans}
    shared = next(commit for commit in commits if len(commit.links) == 2)
    [call] = [span for span in exporter.get_finished_spans() if span.name == "call"]
    assert parent_id(call) == span_id(shared)
    assert call.end_time is not None
    assert call.start_time is not None
    assert 0.4e9 < call.end_time - call.start_time < 0.6e9


def test_a_call_outside_of_a_trace_is_no_span(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    tracer.past("call", 0.5)
    assert exporter.get_finished_spans() == ()


def test_no_payload_is_told(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    with tracer.span("event", Kind.CONSUMER, EVENT):
        pass
    [span] = exporter.get_finished_spans()
    assert dict(span.attributes or {}) == {
        "cloudevents.event_id": "1",
        "cloudevents.event_source": "/s",
        "cloudevents.event_type": "t",
    }


@pytest.mark.parametrize("environment", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}])
def test_off_unless_asked_for(environment: dict[str, str]) -> None:
    assert make_tracer("service", environment) is None


def test_it_can_be_switched_off() -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}
    assert make_tracer("service", environment) is None


def test_off_loads_nothing() -> None:
    code = (
        "import sys, functions.compose, eventing.broker.server; from eventing.tracing import make_tracer;"
        "assert make_tracer('x', {}) is None;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
