"""A real Chromium on the real page: `tradewind up` without a generator, 4,064 symbols, and trades as told.

Chromium is taken from CHROMIUM, /usr/bin/chromium or PATH; without one these tests are skipped, or fail with
REQUIRE_CHROMIUM=1. None is ever downloaded.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from generator.symbols import load_symbols
from tests.integration.conftest import free_port

DEADLINE_S = 90.0
WAIT_MS = 60_000
QUIET_MS = 1_500
TEST_S = 400
BATCH = 1_000
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Notes every flash, [ticker, "rose" or "fell", arrow], and the most requests of one path under way at once.
RECORD = """
window.flashes = [];
window.most = 0;
window.running = {};
window.originalFetch = window.fetch;
window.fetch = async (...given) => {
  const path = String(given[0]).split("?")[0];
  window.running[path] = (window.running[path] ?? 0) + 1;
  window.most = Math.max(window.most, window.running[path]);
  try {
    const answer = await originalFetch(...given);
    return new Response(await answer.blob(), answer); // until all of it is here
  } finally {
    window.running[path] -= 1;
  }
};
const flashing = new WeakMap();
new MutationObserver((changes) => {
  const nodes = changes.flatMap(({ target, addedNodes }) => [target, ...addedNodes]);
  for (const row of new Set(nodes.filter((node) => node.classList?.contains("row")))) {
    const kind = ["rose", "fell"].find((name) => row.classList.contains(name));
    const arrow = row.querySelector(".arrow")?.textContent;
    if (kind && kind !== flashing.get(row)) window.flashes.push([row.dataset.ticker, kind, arrow]);
    flashing.set(row, kind);
  }
}).observe(document, { subtree: true, childList: true, attributeFilter: ["class"] });
"""
_ids = count(1)


def find_chromium() -> str | None:
    places = [
        os.environ.get("CHROMIUM"),
        "/usr/bin/chromium",
        shutil.which("chromium"),
        shutil.which("google-chrome"),
    ]
    return next((place for place in places if place and Path(place).exists()), None)


class Pipeline:
    """A running `tradewind up --no-generator`."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._output = folder / "up.out"
        command = [sys.executable, "-m", "tradewind.cli", "up", "--no-generator", "--data", str(self.data)]
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [*command, "--port", self.url.rsplit(":", 1)[1]], stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def run(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        return found

    def read(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=DEADLINE_S) as answer:
            return json.load(answer)

    def send(self, event_type: str, data: object) -> str:
        """POST an event to the broker, as anybody would; its id."""
        event_id = f"test-{next(_ids)}"
        headers = {
            "content-type": "application/json",
            "ce-specversion": "1.0",
            "ce-type": event_type,
            "ce-source": "/tests/browser",
            "ce-id": event_id,
        }
        request = urllib.request.Request(self.run["ingress_url"], json.dumps(data).encode(), headers)
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            assert answer.status == 202
        return event_id

    def trade(self, ticker: str, price: str, volume: int = 100) -> str:
        now = datetime.now(UTC).isoformat()
        return self.send(
            "trade.executed.v1", {"ticker": ticker, "price": price, "volume": volume, "timestamp": now}
        )

    def trades(self, trades: list[dict[str, object]]) -> None:
        for start in range(0, len(trades), BATCH):
            self.send("trade.batch.v1", {"trades": trades[start : start + BATCH]})

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while True:
            try:
                if condition():
                    return
            except (OSError, KeyError, ValueError):
                pass  # not there yet
            assert self.process.poll() is None, f"it ended before {what}:\n{self._output.read_text()}"
            assert time.monotonic() < deadline_s, (
                f"not within {DEADLINE_S} s: {what}\n{self._output.read_text()}"
            )
            time.sleep(0.05)

    def until_counted(self, trades: int) -> None:
        def is_settled() -> bool:
            totals = self.read("/v1/totals")
            return bool(totals["trades_counted"] == totals["trades_stored"] >= trades)

        self.until(is_settled, f"{trades} trades stored and counted")

    def until_traded(self, ticker: str, trades: int) -> None:
        """Two functions write the one and the other."""

        def is_settled() -> bool:
            stored = self.read(f"/v1/tickers/{ticker}/trades?limit=1000")["trades"]
            return bool(self.read(f"/v1/tickers/{ticker}")["trade_count"] == len(stored) == trades)

        self.until(is_settled, f"{trades} trades of {ticker} stored and counted")

    def kill(self, name: str) -> None:
        """With what it forked, which would go on answering for a moment; return when another has started."""
        pid = self.run["processes"][name]["pid"]
        os.killpg(pid, signal.SIGKILL)
        self.until(lambda: self.run["processes"][name]["pid"] not in (0, pid), f"{name} starts again")
        self.until(lambda: self.read("/v1/totals"), "it answers again")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(DEADLINE_S)
        finally:
            self.process.kill()
            self.process.wait()


@contextmanager
def running(folder: Path) -> Iterator[Pipeline]:
    """Once it answers; stopped however this ends."""
    pipeline = Pipeline(folder)
    try:
        pipeline.until(lambda: pipeline.read("/v1/totals"), "it answers")
        yield pipeline
    finally:
        pipeline.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a session starts a whole pipeline and a browser."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TEST_S))


@pytest.fixture(scope="session")
def symbols() -> list[str]:
    return sorted(load_symbols())


@pytest.fixture(scope="session")
def pipeline(
    tmp_path_factory: pytest.TempPathFactory, symbols: list[str], browser: Any
) -> Iterator[Pipeline]:
    """With one trade of each symbol, and none two alike. Tests trade in symbols of their own."""
    with running(tmp_path_factory.mktemp("pipeline")) as pipeline:
        start_ms = int(time.time() * 1_000) - 60_000
        pipeline.trades(
            [
                {
                    "ticker": ticker,
                    "price": f"{1 + place * 7919 % 50_000 / 100:.2f}",
                    "volume": 1 + place * 104_729 % 90_001,
                    "timestamp": start_ms + place,
                }
                for place, ticker in enumerate(symbols)
            ]
        )
        pipeline.until_counted(len(symbols))
        yield pipeline


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    chromium = find_chromium()
    if chromium is None:
        reason = "there is no Chromium: install it (apt-get install chromium) or set CHROMIUM to its path"
        if os.environ.get("REQUIRE_CHROMIUM") == "1":
            pytest.fail(f"REQUIRE_CHROMIUM=1, but {reason}")
        pytest.skip(f"NO CHROMIUM, THE PAGE IS NOT TESTED: {reason}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield browser
        browser.close()


def until(page: Any, condition: Callable[[], object], what: str) -> None:
    """Until it holds, while the page goes on."""
    deadline_s = time.monotonic() + WAIT_MS / 1_000
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {WAIT_MS} ms: {what}"
        page.wait_for_timeout(50)


def wait(page: Any, expression: str, arg: object = None) -> None:
    """Until a JavaScript expression, or function of `arg`, is true.

    Playwright's `wait_for_function` uses eval, which the page's own policy forbids.
    """
    until(page, lambda: page.evaluate(expression, arg), expression)


def wait_equal(page: Any, made: Callable[[], object], expected: Callable[[], object]) -> None:
    """Until both give the same: what was on its way has come."""
    last: list[object] = []

    def are_equal() -> bool:
        last[:] = made(), expected()
        return last[0] == last[1]

    try:
        until(page, are_equal, "two things are equal")
    except AssertionError:
        assert last[0] == last[1]
        raise


@dataclass
class Tab:
    """A page of the browser, and what it did."""

    page: Any
    url: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> Any:
        """The page, when all symbols have come."""
        self.page.goto(self.url + path)
        wait(self.page, "document.querySelector('[data-total=trades]').textContent.length > 1")
        wait(
            self.page, "document.querySelector('symbols-view [data-part=empty]').dataset.state !== 'loading'"
        )
        return self.page

    def asked(self, path: str) -> int:
        """How many requests went to that path."""
        return sum(path in request for request in self.requests)

    def settle(self, path: str) -> int:
        """Until no requests to that path come any more: how many went there."""
        asked = -1

        def is_quiet() -> bool:
            nonlocal asked
            before, asked = asked, self.asked(path)
            if before != asked:
                self.page.wait_for_timeout(QUIET_MS)
            return before == asked

        until(self.page, is_quiet, f"{path} is not asked any more")
        return asked


@pytest.fixture
def new_tab(browser: Any, pipeline: Pipeline) -> Iterator[Callable[..., Tab]]:
    """`new_tab(color_scheme="dark")`. At the end: no errors in the console, no request to another host."""
    contexts: list[Any] = []
    tabs: list[Tab] = []

    def make(**options: Any) -> Tab:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        context.add_init_script(RECORD)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        tab = Tab(page, pipeline.url)
        page.on("request", lambda request: tab.requests.append(request.url))
        page.on("pageerror", lambda error: tab.errors.append(str(error)))
        page.on(
            "console",
            lambda said: tab.errors.append(said.text) if said.type in {"error", "warning"} else None,
        )
        tabs.append(tab)
        return tab

    yield make
    for context in contexts:
        context.close()
    for tab in tabs:
        assert tab.errors == []
        assert {
            request for request in tab.requests if not request.startswith((f"{tab.url}/", "data:"))
        } == set()


@pytest.fixture
def tab(new_tab: Callable[..., Tab]) -> Tab:
    return new_tab()


@pytest.fixture
def page(tab: Tab) -> Any:
    """The page with all symbols."""
    return tab.open()
