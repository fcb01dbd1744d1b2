"""Numbers of others, and how they are shown."""

import io

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest
from rich.console import Console

from tradewind.laptop.process import State
from tradewind.laptop.screen import PlainScreen, live_view, progress_line, totals_table
from tradewind.laptop.snapshot import (
    ProcessRow,
    Queue,
    QueueTotal,
    Rate,
    Snapshot,
    StoreTotals,
    count_duplicates,
    queues_of,
)
from tradewind.laptop.totals import Totals

ROWS = [
    ProcessRow("store-trade", State.READY, "", 0, 11, "http://127.0.0.1:8082", 1.5),
    ProcessRow("query", State.SILENT, "no answer within 2 s", 2, 12, "http://127.0.0.1:8080", 0.5),
]
SNAPSHOT = Snapshot(
    elapsed_s=12.3,
    processes=ROWS,
    own_cpu_percent=1.0,
    sent=3_600,
    store=StoreTotals(3_600, 3_590, 2),
    queues={"store-trade": Queue(pending=4, total=QueueTotal(retried=1)), "update-summary": Queue(pending=3)},
    sent_per_s=300.2,
    counted_per_s=299.0,
)


def test_the_line_says_it_all() -> None:
    assert progress_line(SNAPSHOT) == (
        "  12 s  sent 3,600 (300/s)  stored 3,600  counted 3,590 (299/s)  waiting 7  dead letters 2  cpu 3%  "
        "query not answering (no answer within 2 s)"
    )


def test_the_live_view_has_every_process_with_its_queue() -> None:
    console = Console(file=io.StringIO(), width=140)
    console.print(live_view(SNAPSHOT))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    store_trade = next(line for line in text.splitlines() if line.startswith("store-trade"))
    assert store_trade.split() == ["store-trade", "ready", "2%", "4", "1", "0", "http://127.0.0.1:8082"]
    assert "not answering (no answer within 2 s)" in text


def test_lines_come_quickly_at_first_and_seldom_later() -> None:
    screen = PlainScreen(Console(file=io.StringIO()))
    idle = Snapshot(elapsed_s=0.0, processes=[])
    intervals = []
    for _ in range(4):
        screen.show(idle)
        intervals.append(screen.interval_s)
    assert intervals == [1.0, 1.0, 5.0, 5.0]


def test_totals_are_all_there() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(
        totals_table(Totals(sent=1_234, accepted=2_345, refused_events=9, stored=3_456, counted=4_567))
    )
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("sent", "1,234", "accepted", "2,345", "refused", "stored", "3,456", "counted", "4,567"):
        assert words in text
    for words in ("duplicates", "retried", "dead letters"):
        assert words in text


@given(st.integers(1, 100_000), st.integers(2, 60))
def test_a_steady_count_has_its_rate(per_s: int, seconds: int) -> None:
    rate = Rate()
    seen = [rate.seen(float(second), per_s * second) for second in range(seconds)]
    assert seen[0] == 0
    assert all(abs(value - per_s) < 1e-6 * per_s for value in seen[1:])


def test_a_rate_forgets_what_was_before_its_span() -> None:
    rate = Rate(span_s=5)
    for second in range(10):
        rate.seen(float(second), 100 * second)
    later = [rate.seen(float(second), 900) for second in range(10, 20)]
    assert later[-1] == 0


def test_queues_by_the_trigger_without_its_namespace() -> None:
    status = {"triggers": [{"name": "tradewind/store-trade", "pending": 3, "kept": 1, "else": "x"}]}
    assert queues_of(status) == {"store-trade": Queue(pending=3, kept=1)}
    assert queues_of({}) == {}


def test_duplicates_are_read_from_real_metrics() -> None:
    registry = CollectorRegistry()
    events = Counter("tradewind_events", "Deliveries.", ["function", "verdict"], registry=registry)
    events.labels("store_trade", "STORED").inc(5)
    events.labels("store_trade", "DUPLICATE").inc(1_234_567)
    assert count_duplicates(generate_latest(registry).decode()) == 1_234_567
    assert count_duplicates("") == 0
