"""Prometheus metrics: read from the engine when asked for, so that an event costs nothing more."""

import platform
from collections.abc import Iterable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from eventing import __version__
from eventing.broker.dispatch import Dispatcher, now_ms
from eventing.broker.engine import Engine, Outcome

disable_created_metrics()  # type: ignore[no-untyped-call]

_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1)


class Metrics(Collector):
    """Use: `watch(engine)`, `group(...)` after each commit, `text()` for an answer."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        build = Gauge(
            "broker_build_info",
            "Always 1; what runs here",
            ["version", "python"],
            registry=self._registry,
        )
        build.labels(__version__, platform.python_version()).set(1)
        self._events = Histogram(
            "broker_group_events", "Events written in one commit", buckets=_SIZES, registry=self._registry
        )
        self._seconds = Histogram(
            "broker_commit_seconds",
            "Time to write and sync a group",
            buckets=_SECONDS,
            registry=self._registry,
        )

    def watch(self, engine: Engine) -> None:
        self._engine = engine

    def group(self, events: int, seconds: float) -> None:
        """A group with events was written."""
        self._events.observe(events)
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        engine = self._engine
        if engine is None:
            return
        accepted = CounterMetricFamily("broker_events_accepted", "Events on disk and answered 202")
        accepted.add_metric([], engine.accepted)
        yield accepted
        refused = CounterMetricFamily("broker_requests_refused", "Valid events not taken", labels=["reason"])
        for outcome, count in engine.refused.items():
            if outcome is not Outcome.STORED:
                refused.add_metric([outcome.value.lower()], count)
        yield refused
        waiting = GaugeMetricFamily("broker_waiting_events", "Events that wait to be written")
        waiting.add_metric([], engine.log.waiting_events)
        yield waiting
        yield from _of_triggers(engine.dispatchers.values())


def _of_triggers(dispatchers: Iterable[Dispatcher]) -> Iterator[Metric]:
    now = now_ms()
    label = ["trigger"]
    backlog = GaugeMetricFamily("broker_trigger_backlog_events", "Events not delivered yet", labels=label)
    size = GaugeMetricFamily("broker_trigger_backlog_bytes", "Their size", labels=label)
    flying = GaugeMetricFamily("broker_trigger_in_flight", "Deliveries under way", labels=label)
    oldest = GaugeMetricFamily(
        "broker_trigger_oldest_seconds", "Age of the oldest event not delivered", labels=label
    )
    kept = GaugeMetricFamily(
        "broker_trigger_dead_letters_kept", "Dead letters that no sink took", labels=label
    )
    delivered = CounterMetricFamily("broker_trigger_delivered", "Events delivered, all runs", labels=label)
    dead = CounterMetricFamily("broker_trigger_dead_lettered", "Events given up, all runs", labels=label)
    attempts = CounterMetricFamily(
        "broker_trigger_attempts", "Attempts since the start", labels=["trigger", "verdict", "status"]
    )
    seconds = HistogramMetricFamily(
        "broker_trigger_delivery_seconds",
        "From an event's acceptance to its delivery, replays included",
        labels=label,
    )
    for dispatcher in dispatchers:
        name = [dispatcher.spec.key]
        totals = dispatcher.totals()
        oldest_ms = dispatcher.schedule.oldest_ms()
        backlog.add_metric(name, dispatcher.open)
        size.add_metric(name, dispatcher.open_bytes)
        flying.add_metric(name, dispatcher.in_flight)
        oldest.add_metric(name, 0 if oldest_ms is None else (now - oldest_ms) / 1000)
        kept.add_metric(name, dispatcher.kept)
        delivered.add_metric(name, totals.delivered)
        dead.add_metric(name, totals.dead_lettered)
        waits = dispatcher.delivery_seconds
        seconds.add_metric(name, waits.cumulative(), waits.sum)
        for (verdict, status), count in dispatcher.attempts.items():
            attempts.add_metric([*name, verdict.value, "none" if status is None else str(status)], count)
    yield from (backlog, size, flying, oldest, kept, delivered, dead, attempts, seconds)
