"""Requests by operation and status, and how long they took."""

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector


class Measures:
    """The metrics of one app, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "tradewind_query_requests",
            "Requests by operation and HTTP status.",
            ["operation", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tradewind_query_request_seconds",
            "From the request's arrival to its answer, without sending it.",
            ["operation"],
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )

    def count(self, operation: str, status: int, seconds: float) -> None:
        self._requests.labels(operation, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)
