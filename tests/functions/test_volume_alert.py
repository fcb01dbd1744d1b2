"""Windows of volume: what they say whatever comes twice, late or in another order, and the alerts of them."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventing.codec import decode
from functions.volume_alert import to_event
from functions.volume_windows import Alert, VolumeWindows
from tests.functions.conftest import StartFunction, event_headers, trade_body
from trades.trade import Trade, TradeEvent

SOURCE = str(Path(__file__).parents[2] / "functions" / "volume_alert.py")
WINDOW_MS, GRACE_MS = 300_000, 30_000


def event_of(id_: str, *trades: tuple[str, int, int]) -> TradeEvent:
    """Of (ticker, volume, time in ms)."""
    made = [Trade(ticker, 10_000, volume, time_ms) for ticker, volume, time_ms in trades]
    return TradeEvent.of("/tests", id_, made, is_batch=True)


@pytest.fixture
def windows(tmp_path: Path) -> Iterator[VolumeWindows]:
    opened = VolumeWindows(tmp_path / "own" / "windows.db", WINDOW_MS, GRACE_MS)
    yield opened
    opened.close()


def test_the_largest_when_the_window_is_over(windows: VolumeWindows) -> None:
    assert windows.add(event_of("1", ("A", 5, 0), ("B", 4, 10))) is None
    assert windows.add(event_of("2", ("B", 3, 299_999), ("A", 9_999, 300_000))) is None
    assert windows.add(event_of("3", ("A", 1, 329_999))) is None
    assert windows.add(event_of("4", ("A", 1, 330_000))) == Alert(0, WINDOW_MS, "B", 7)
    assert windows.add(event_of("5", ("A", 1, 340_000))) is None


def test_of_equal_volumes_the_first_by_name(windows: VolumeWindows) -> None:
    assert windows.add(event_of("1", ("B", 5, 0), ("A", 5, 0))) is None
    assert windows.add(event_of("2", ("C", 1, 330_000))) == Alert(0, WINDOW_MS, "A", 5)


def test_an_event_that_comes_again_changes_nothing_and_gets_its_alert_again(windows: VolumeWindows) -> None:
    first, closing = event_of("1", ("A", 5, 0), ("B", 6, 0)), event_of("2", ("A", 1, 330_000))
    for _ in range(3):
        assert windows.add(first) is None
    for _ in range(3):
        assert windows.add(closing) == Alert(0, WINDOW_MS, "B", 6)
    assert windows.add(first) is None
    assert windows.add(event_of("3", ("B", 1, 630_000))) == Alert(300_000, WINDOW_MS, "A", 1)


def test_what_is_late_counts_nowhere(windows: VolumeWindows) -> None:
    windows.add(event_of("1", ("A", 5, 0)))
    windows.add(event_of("2", ("A", 1, 330_000)))
    assert windows.add(event_of("late", ("B", 1_000, 299_999))) is None
    assert windows.add(event_of("both", ("B", 1_000, 299_999), ("B", 2, 300_001))) is None
    assert windows.add(event_of("3", ("C", 1, 630_000))) == Alert(300_000, WINDOW_MS, "B", 2)


def test_after_a_pause_each_event_closes_one_window(windows: VolumeWindows) -> None:
    windows.add(event_of("1", ("A", 1, 0), ("B", 1, 300_000)))
    assert windows.add(event_of("2", ("C", 1, 9_000_000))) == Alert(0, WINDOW_MS, "A", 1)
    assert windows.add(event_of("3", ("C", 1, 9_000_000))) == Alert(300_000, WINDOW_MS, "B", 1)
    assert windows.add(event_of("4", ("C", 1, 9_000_000))) is None


def test_it_remembers_over_a_restart(tmp_path: Path) -> None:
    for id_, time_ms, alert in (("1", 0, None), ("1", 0, None), ("2", 330_000, Alert(0, WINDOW_MS, "A", 5))):
        windows = VolumeWindows(tmp_path / "windows.db", WINDOW_MS, GRACE_MS)
        assert windows.add(event_of(id_, ("A", 5, time_ms))) == alert
        windows.close()


def test_an_event_that_comes_again_counts_once_though_windows_are_shorter_now(tmp_path: Path) -> None:
    def add(window_ms: int, event: TradeEvent) -> Alert | None:
        windows = VolumeWindows(tmp_path / "windows.db", window_ms, GRACE_MS)
        try:
            return windows.add(event)
        finally:
            windows.close()

    first = event_of("1", ("A", 5, 250_000))
    add(300_000, first)
    assert add(60_000, event_of("2", ("B", 1, 100_000))) == Alert(0, 60_000, "A", 5)
    add(60_000, first)
    assert add(60_000, event_of("3", ("B", 1, 200_000))) == Alert(60_000, 60_000, "B", 1)
    assert add(60_000, event_of("4", ("B", 3, 400_000))) == Alert(180_000, 60_000, "B", 1)


times = st.integers(0, 4 * WINDOW_MS)
sales = st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 99), times), min_size=1, max_size=5)


@given(st.lists(sales, min_size=1, max_size=12), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_duplicates_and_disorder_within_the_grace(
    tmp_path_factory: pytest.TempPathFactory, batches: list[Any], random: Random
) -> None:
    """With a grace as long as the disorder, each window's alert is what plain addition says."""
    events = [event_of(str(number), *batch) for number, batch in enumerate(batches)]
    expected: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for event in events:
        for trade in event.trades:
            expected[trade.time_ms // WINDOW_MS * WINDOW_MS][trade.ticker] += trade.volume
    events += random.choices(events, k=len(events))
    random.shuffle(events)
    windows = VolumeWindows(tmp_path_factory.mktemp("windows") / "w.db", WINDOW_MS, 5 * WINDOW_MS)
    assert all(windows.add(event) is None for event in events)
    closing = [event_of(f"c{number}", ("Z", 1, 50 * WINDOW_MS)) for number in range(len(expected))]
    alerts = [windows.add(event) for event in closing for _ in "12"][::2]
    windows.close()
    assert alerts == [
        Alert(start_ms, WINDOW_MS, *min(volumes.items(), key=lambda item: (-item[1], item[0])))
        for start_ms, volumes in sorted(expected.items())
    ]


def test_its_event() -> None:
    event = to_event(Alert(1_700_000_100_000, WINDOW_MS, "ASPS", 7))
    assert (event["type"], event["subject"]) == ("trade.volume-alert.v1", "ASPS")
    assert event["id"] == "2023-11-14T22:15:00Z/2023-11-14T22:20:00Z"
    assert event.get_data() == {
        "from": "2023-11-14T22:15:00Z",
        "to": "2023-11-14T22:20:00Z",
        "ticker": "ASPS",
        "volume": 7,
    }
    assert event["id"] != to_event(Alert(1_700_000_400_000, WINDOW_MS, "ASPS", 7))["id"]


class Hook(HTTPServer):
    """Keeps what is posted; fails at first as often as `failures` says."""

    def __init__(self) -> None:
        self.failures, self.ids = 1, list[str]()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                hook.ids.append(self.headers["ce-id"])
                self.send_response(500 if len(hook.ids) <= hook.failures else 204)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def test_it_is_served_and_posts_each_alert(start_function: StartFunction, tmp_path: Path, hook: Hook) -> None:
    url = f"http://127.0.0.1:{hook.server_address[1]}/"
    env = {"FUNCTION_SOURCE": SOURCE, "FUNCTION_DATA": str(tmp_path / "own"), "ALERT_WEBHOOK_URL": url}
    function = start_function("volume_alert", **env)

    def send(id_: str, time_ms: int) -> Any:
        return function.post(trade_body(timestamp=time_ms), event_headers(id_))

    start_ms = 1_700_000_100_000
    over_ms = start_ms + WINDOW_MS + GRACE_MS
    assert send("1", start_ms).status == 202
    assert send("2", over_ms).status == 500  # the hook failed: the broker sends it again
    replies = [send("2", over_ms) for _ in "12"]
    (first,), (second,) = (decode(reply.headers.items(), reply.body) for reply in replies)
    assert first == second
    assert json.loads(first.data or b"")["volume"] == 100
    assert hook.ids == [first.id.replace(" ", "%20")] * 3
    ahead = send("3", int(time.time() * 1000) + 3_600_000)
    assert (ahead.status, "ahead of the clock" in ahead.detail) == (400, True)
