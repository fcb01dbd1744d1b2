"""Prometheus metrics of the functions: what there is, and how it is told.

Labels are bounded: functions, verdicts, stages, errors, shards; never a ticker, an id or a source. Nothing is
observed once a trade: an event, a group or a call of the store is the least.

Several worker processes of one function (WORKERS) add up: prometheus_client keeps their numbers in files of
the folder PROMETHEUS_MULTIPROC_DIR, where that is set before it is imported (`functions.__main__` does it).
"""

import os
from collections.abc import Sequence
from functools import cache

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from eventing.tracing import Tracer
from runtime.build import LABELS, build
from trades.observer import StoreObserver

disable_created_metrics()  # type: ignore[no-untyped-call]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
_LATENCY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

EVENTS = Counter("tradewind_events", "Deliveries by verdict, redeliveries included.", ["function", "verdict"])
TRADES = Counter("tradewind_trades", "Trades in deliveries by outcome.", ["function", "outcome"])
LATENCY_SECONDS = Histogram(
    "tradewind_latency_seconds",
    "From an event's time to its trades being done, once an event. Times over an hour ago are left out.",
    ["function"],
    buckets=_LATENCY_SECONDS,
)
HANDLING_SECONDS = Histogram(
    "tradewind_handling_seconds",
    "From the request's headers to its answer.",
    ["function"],
    buckets=_SECONDS,
)
STAGE_SECONDS = Histogram(
    "tradewind_stage_seconds",
    "Parts of handling: decode and queue once an event, commit once a group.",
    ["function", "stage"],
    buckets=(0.0001, 0.00025, 0.0005, *_SECONDS),
)
GROUP_EVENTS = Histogram(
    "tradewind_group_events", "Events that one commit took together.", ["function"], buckets=_SIZES
)
GROUP_TRADES = Histogram(
    "tradewind_group_trades",
    "Trades that one commit took together.",
    ["function"],
    buckets=(1, 4, 16, 64, 256, 1_000, 4_000, 16_000, 32_000),
)
QUEUE_EVENTS = Gauge(
    "tradewind_queue_events",
    "Events that wait for a commit.",
    ["function"],
    multiprocess_mode="livesum",
)
STORE_CALL_SECONDS = Histogram(
    "tradewind_store_call_seconds",
    "Calls of the server, or transactions of a file.",
    ["call"],
    buckets=_SECONDS,
)
STORE_ERRORS = Counter("tradewind_store_errors", "Calls and records that failed, by error.", ["error"])
STORE_RETRIES = Counter("tradewind_store_retries", "Records sent once more, as the server was busy.")
STORE_IN_DOUBT = Counter("tradewind_store_in_doubt", "Failures of which nobody knows if they were done.")
STORE_MARKS = Histogram(
    "tradewind_store_marks",
    "Most marks in one record of those that a group was applied to.",
    buckets=(1, 4, 16, 32, 64, 128, 256, 512, 1024, 4096),
)
STORE_TRIMS = Counter("tradewind_store_trims", "Times that marks were removed from records.")
STORE_TRIMMED_MARKS = Counter("tradewind_store_trimmed_marks", "Marks that were removed from records.")
STORE_SHARD_TRADES = Counter(
    "tradewind_store_shard_trades", "Trades applied by shard, at most CONTRACT_RECORD_SHARD_COUNT.", ["shard"]
)
QUERY_REQUESTS = Counter(
    "tradewind_query_requests", "Requests by operation and HTTP status.", ["operation", "status"]
)
QUERY_REQUEST_SECONDS = Histogram(
    "tradewind_query_request_seconds",
    "From the request's arrival to its answer, without sending it.",
    ["operation"],
    buckets=_SECONDS,
)
BUILD_INFO = Gauge("tradewind_build_info", "Always 1; what runs here.", LABELS, multiprocess_mode="max")


def exposition() -> bytes:
    """All of it in Prometheus' text form; where there are several workers, theirs together."""
    BUILD_INFO.labels(*build()).set(1)
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class GroupMeasures:
    """What a group commit tells of its work."""

    def __init__(self, function: str) -> None:
        self._events = GROUP_EVENTS.labels(function)
        self._trades = GROUP_TRADES.labels(function)
        self._waiting = QUEUE_EVENTS.labels(function)
        self._queue = STAGE_SECONDS.labels(function, "queue")
        self._commit = STAGE_SECONDS.labels(function, "commit")

    def waiting(self, events: int) -> None:
        self._waiting.set(events)

    def taken(self, waits_s: Sequence[float], trades: int) -> None:
        """A commit begins, with events that waited so long for it."""
        self._events.observe(len(waits_s))
        self._trades.observe(trades)
        for wait_s in waits_s:
            self._queue.observe(wait_s)

    def committed(self, seconds: float) -> None:
        self._commit.observe(seconds)


class StoreMeasures(StoreObserver):
    """Counts what the store tells of its work."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._calls = cache(STORE_CALL_SECONDS.labels)
        self._tracer = tracer

    def called(self, call: str, seconds: float) -> None:
        self._calls(call).observe(seconds)
        if self._tracer:
            self._tracer.past(call, seconds)

    def failed(self, error: str, times: int, in_doubt: int) -> None:
        STORE_ERRORS.labels(error).inc(times)
        STORE_IN_DOUBT.inc(in_doubt)

    def retried(self, records: int) -> None:
        STORE_RETRIES.inc(records)

    def applied(self, shard: int, trades: int, most_marks: int) -> None:
        STORE_SHARD_TRADES.labels(str(shard)).inc(trades)
        STORE_MARKS.observe(most_marks)

    def trimmed(self, marks: int) -> None:
        STORE_TRIMS.inc()
        STORE_TRIMMED_MARKS.inc(marks)
