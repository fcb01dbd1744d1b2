"""Prometheus metrics of the event functions. Labels are bounded: function names, verdicts, outcomes."""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]

EVENTS = Counter("tradewind_events", "Deliveries by verdict, redeliveries included.", ["function", "verdict"])
TRADES = Counter("tradewind_trades", "Trades in deliveries by outcome.", ["function", "outcome"])
GROUP_EVENTS = Histogram(
    "tradewind_group_events",
    "Events that one commit took together.",
    ["function"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
)
QUEUE_EVENTS = Gauge("tradewind_queue_events", "Events that wait for a commit.", ["function"])
HANDLING_SECONDS = Histogram(
    "tradewind_handling_seconds",
    "From the request's headers to its answer.",
    ["function"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
