"""Prometheus metrics of a run, read from its last report: sending an event costs nothing more."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from generator.progress import Report
from runtime.build import LABELS, build

# Name, entry of the report, help. What a feed does not report is 0.
COUNTERS: Final = (
    ("trades_sent", "sent_trades", "Trades in events that were sent, answered or not."),
    ("trades_accepted", "accepted_trades", "Trades in events that the broker accepted."),
    ("trades_refused", "refused_trades", "Trades in events that the broker will never take."),
    ("trades_missed", "missed_trades", "Trades that were due while nothing was taken, and never made."),
    ("events_accepted", "accepted_events", "Events that the broker accepted."),
    ("events_resent", "resent", "Times that an event was sent again."),
)
GAUGES: Final = (
    ("asked_trades_per_second", "asked_per_s", "The rate that was asked for; 0: as fast as they are taken."),
    ("achieved_trades_per_second", "achieved_per_s", "Trades that the broker accepted in the last second."),
    ("in_flight_events", "in_flight", "Events sent and not yet answered."),
    ("paused", "paused", "1 while it is paused."),
)


class GeneratorMetrics(Collector):
    """Use: `serve(address)`, then `take(report)` with each report."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        self._report: Report = {}

    def take(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        for name, entry, text in COUNTERS:
            yield CounterMetricFamily(f"tradewind_generator_{name}", text, self._report.get(entry, 0))
        for name, entry, text in GAUGES:
            yield GaugeMetricFamily(f"tradewind_generator_{name}", text, float(self._report.get(entry, 0)))
        info = GaugeMetricFamily("tradewind_build_info", "Always 1; what runs here.", labels=LABELS)
        info.add_metric(build(), 1)
        yield info

    def serve(self, address: str) -> None:
        """Answer at `HOST:PORT` from a thread of its own. Raises OSError."""
        host, _, port = address.rpartition(":")
        start_http_server(int(port), host, self.registry)
