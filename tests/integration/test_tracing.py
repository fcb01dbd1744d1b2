"""One trace shows a trade's whole way: a real pipeline exports by OTLP to a collector in this test."""

import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.conftest import Up

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRADE = b'{"ticker":"WIND","price":"1.5","volume":7,"timestamp":"2026-01-02T10:00:00Z"}'


class Span(NamedTuple):
    """What the tests look at."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]


class Collector:
    """Takes OTLP over HTTP, as protobuf."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.add(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            named = {entry.key: entry.value.string_value for entry in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes = {entry.key: entry.value.string_value for entry in span.attributes}
                    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                    self.spans.append(Span(named["service.name"], span.name, *ids, attributes))

    def trace(self, trace: str) -> list[Span]:
        return [span for span in self.spans if span.trace == trace]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Where every process that is started exports to, four times a second."""
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "250")
    yield collector
    collector.close()


def ways(spans: list[Span]) -> set[str]:
    """Each span as the names of those it hangs on, from the root: `send > accept`."""
    by_id = {span.id: span for span in spans}

    def way(span: Span) -> str:
        parent = by_id.get(span.parent)
        name = f"{span.service}:{span.name}"
        return f"{way(parent)} > {name}" if parent else name

    return {way(span) for span in spans}


def test_from_the_generator_to_the_store(start: Callable[..., Up], collector: Collector) -> None:
    up = start("--rate", "50")
    wanted = {
        "generator:send",
        "generator:send > broker:accept",
        "generator:send > broker:deliver",
        "generator:send > broker:deliver > store-trade:store_trade",
        "generator:send > broker:deliver > store-trade:store_trade > store-trade:commit",
        "generator:send > broker:deliver > update-summary:update_summary",
        "generator:send > broker:deliver > update-summary:update_summary > update-summary:commit",
    }

    def is_whole() -> bool:
        traces = {span.trace for span in list(collector.spans)}
        return any(wanted <= ways(collector.trace(trace)) for trace in traces)

    up.until(is_whole, "a trace of a trade's whole way")
    store_calls = {
        way for way in ways(list(collector.spans)) if "update-summary:commit > update-summary:" in way
    }
    assert store_calls, "no call of the store hangs on a commit"
    assert up.stop() == 0
    assert not any("WIND" in value for span in collector.spans for value in span.attributes.values())


def test_a_trace_that_a_producer_began_goes_on(start: Callable[..., Up], collector: Collector) -> None:
    up = start("--no-generator")
    up.until(lambda: (up.data / "run.json").exists() and "processes" in up.run, "it runs")
    headers = {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-type": "trade.executed.v1",
        "ce-source": "/tests",
        "ce-id": "1",
        "ce-traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01",
    }
    up.until(lambda: _is_taken(up, headers), "the broker takes an event")
    up.until(lambda: up.counted, "the trade is counted")
    up.until(lambda: len({span.service for span in collector.trace(TRACE_ID)}) >= 3, "all have told")
    accepted = [span for span in collector.trace(TRACE_ID) if span.name == "accept"]
    assert [span.parent for span in accepted] == ["b7ad6b7169203331"]
    assert accepted[0].attributes["cloudevents.event_id"] == "1"
    assert up.stop() == 0


def _is_taken(up: Up, headers: dict[str, str]) -> bool:
    request = urllib.request.Request(up.run["ingress_url"], TRADE, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bool(answer.status == 202)
    except OSError:
        return False
