"""A store that is down, slow or full of work, and processes that are told to end or killed."""

import http.client
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.functions.conftest import (
    FAULTY_SOURCE,
    FunctionProcess,
    Reply,
    StartFunction,
    event_headers,
    trade_body,
)
from trades.stores.sqlite import SqliteStore


class Faults:
    """The switches of `faulty.py`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.down = folder / "down"
        self.hold = folder / "hold"
        self.held = folder / "held"

    @property
    def settings(self) -> dict[str, str]:
        return {"FUNCTION_SOURCE": str(FAULTY_SOURCE), "FAULTS": str(self.folder)}


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    return Faults(tmp_path / "faults")


def counted(tmp_path: Path, ticker: str) -> int:
    store = SqliteStore(tmp_path / "store")
    summary = store.read_summary(ticker)
    store.close()
    return 0 if summary is None else summary.trade_count


def test_a_store_that_is_down_and_comes_back(
    start_function: StartFunction, faults: Faults, tmp_path: Path
) -> None:
    function = start_function("update_summary", **faults.settings)
    faults.down.touch()
    reply = function.post(trade_body(ticker="X"), event_headers())
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) >= 1
    assert "send the event again" in reply.detail
    function.wait_for(lambda: function.get("/readyz").status == 503)
    assert function.get("/readyz").detail == "the test took the store down"
    assert function.get("/healthz").status == 200
    assert counted(tmp_path, "X") == 0

    faults.down.unlink()
    function.wait_until_ready()
    assert function.post(trade_body(ticker="X"), event_headers()).status == 202
    assert counted(tmp_path, "X") == 1


class Posts:
    """Requests under way, each in a thread of its own."""

    def __init__(self, function: FunctionProcess, faults: Faults) -> None:
        self._function = function
        self._faults = faults
        self._threads = ThreadPoolExecutor(64)

    def hold_one(self) -> Future[Reply]:
        """One event whose commit does not end before the test says so."""
        self._faults.hold.touch()
        pending = self.send("held")
        self._function.wait_for(self._faults.held.exists)
        return pending

    def send(self, id_: str) -> Future[Reply]:
        return self._threads.submit(self._function.post, trade_body(ticker="X"), event_headers(id_))


def test_a_full_queue_is_answered_503_at_once(
    start_function: StartFunction, faults: Faults, tmp_path: Path
) -> None:
    function = start_function("update_summary", QUEUE_MAX_EVENTS="2", **faults.settings)
    posts = Posts(function, faults)
    held = posts.hold_one()
    waiting = [posts.send(f"e{number}") for number in range(10)]
    refused = 'tradewind_trades_total{function="update_summary",outcome="UNAVAILABLE"}'
    function.wait_for(lambda: function.metric(refused) == 8)
    faults.hold.unlink()
    statuses = sorted(pending.result().status for pending in [held, *waiting])
    assert statuses == [202] * 3 + [503] * 8
    assert counted(tmp_path, "X") == 3


def test_the_deadline(start_function: StartFunction, faults: Faults, tmp_path: Path) -> None:
    function = start_function("update_summary", DEADLINE_MS="300", **faults.settings)
    posts = Posts(function, faults)
    held = posts.hold_one()
    waiting = posts.send("waits in the queue")
    for pending in (held, waiting):
        assert pending.result().status == 503
        assert "not done within 300 ms" in pending.result().detail
    faults.hold.unlink()
    for id_ in ("held", "waits in the queue"):
        assert function.post(trade_body(ticker="X"), event_headers(id_)).status == 202
    assert counted(tmp_path, "X") == 2


def test_sigterm_answers_what_is_in_hand(
    start_function: StartFunction, faults: Faults, tmp_path: Path
) -> None:
    function = start_function("update_summary", **faults.settings)
    posts = Posts(function, faults)
    pending = [posts.hold_one(), *(posts.send(f"e{number}") for number in range(20))]
    function.wait_for(lambda: function.metric('tradewind_queue_events{function="update_summary"}') == 20)
    function.send_signal(signal.SIGTERM)
    _wait_until_it_takes_no_more(function)
    faults.hold.unlink()
    assert [reply.result().status for reply in pending] == [202] * 21
    assert function.wait() == 0
    assert counted(tmp_path, "X") == 21
    store = SqliteStore(tmp_path / "store")
    assert len(store.read_notes(100)) == 21, "notes are written at the end, too"
    store.close()


def _wait_until_it_takes_no_more(function: FunctionProcess) -> None:
    with suppress(OSError):
        while True:
            function.get("/healthz")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_every_event_counts_once_whenever_the_process_ends(
    start_function: StartFunction, tmp_path: Path, number: signal.Signals
) -> None:
    """A sender that retries, as a broker does, through the end and the new start of the function."""
    first = start_function("update_summary")
    current = [first]
    done: list[str] = []
    under_way = threading.Event()

    def deliver(name: int) -> None:
        for index in range(60):
            while True:
                try:
                    reply = current[0].post(trade_body(ticker="X"), event_headers(f"{name}-{index}"))
                except (OSError, http.client.HTTPException):
                    time.sleep(0.01)
                    continue
                if reply.status == 202:
                    break
                assert reply.status == 503
            done.append(f"{name}-{index}")
            if len(done) > 40:
                under_way.set()

    with ThreadPoolExecutor(8) as senders:
        running = [senders.submit(deliver, name) for name in range(8)]
        assert under_way.wait(60)
        first.send_signal(number)
        first.wait()
        acknowledged = len(done)
        assert acknowledged <= counted(tmp_path, "X")
        current[0] = start_function("update_summary")
        for sender in running:
            sender.result()
    assert len(done) == counted(tmp_path, "X") == 8 * 60
