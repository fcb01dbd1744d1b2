"""What the page costs: its own memory, the query function's time, and how soon there is something to see.

    python -m benchmarks.page paint     # from an empty tab to 4,000 rows; from curl to the screen
    python -m benchmarks.page fifty     # the query function's share of a core under fifty pages
    python -m benchmarks.page memory    # heap and DOM of open pages over ten minutes

Generator, broker, functions and query are the processes of `tradewind up` on SQLite, the browser is Chromium
(CHROMIUM, or on PATH). A target that is missed ends the benchmark with exit code 1.

paint     the list: no trades come, a tab with an empty cache opens the page, until the frame with its rows
          is painted. A trade: 300 a second come, one more is POSTed to the broker, until the frame with its
          price is painted; page and sender are on one clock.
fifty     300 trades a second, a real page, and clients that ask what a page asks, when it asks: fifty
          Chromiums on this machine would measure Chromium. CPU time of the query function's processes.
memory    300 trades a second, two pages: the list with a symbol opened, and the events. JavaScript heap and
          DOM nodes in use after garbage collection, from the second minute on.
"""

import argparse
import gzip
import http.client
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.measure import machine
from benchmarks.stack import Stack
from generator.symbols import load_symbols

RATE = "300"
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
MAX_PAINT_MS = 1_000
MAX_QUERY_PERCENT = 50
MAX_GROWTH_PERCENT = 20
WARM_UP_S = 60
SAMPLE_S = 30
BATCH = 1_000
TURN_S = 0.5  # what a page waits between two turns: INTERVAL_MS of dashboard/feed.js

# When the frame after the first that `is_there()` was painted, in ms of performance.now().
WATCH = """
window.watch = (isThere) => new Promise((resolve) => {
  const look = () => isThere() && (observer.disconnect(),
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now()))));
  const observer = new MutationObserver(look);
  observer.observe(document, { subtree: true, childList: true, characterData: true });
  look();
});
"""
WATCH_LIST = (
    WATCH
    + """
window.painted = watch(() => document.querySelectorAll(".row").length > 10 &&
  /^[1-9],?\\d{3} symbols$/.test(document.querySelector("[data-part=count]").textContent));
"""
)
WATCH_PRICE = """([ticker, price]) => {
  const cell = `[data-ticker="${ticker}"] .cell-price`;
  window.seen = watch(() => document.querySelector(cell)?.textContent.endsWith(price))
    .then((ms) => performance.timeOrigin + ms);
}"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.page",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("paint", "fifty", "memory"))
    parser.add_argument("--runs", type=int, default=9, help="paint: tabs, and trades")
    parser.add_argument("--pages", type=int, default=50, help="fifty: of them one in a browser")
    parser.add_argument("--seconds", type=int, help="fifty: 120; memory: 600")
    options = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    with running() as (stack, browser):
        met = {"paint": paint, "fifty": fifty, "memory": memory}[options.what](stack, browser, options)
    sys.exit(0 if met else 1)


@contextmanager
def running() -> Iterator[tuple[Stack, Browser]]:
    """A pipeline in which every symbol has traded once, and a browser."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("there is no Chromium: install it (apt-get install chromium) or set CHROMIUM to its path")
    with tempfile.TemporaryDirectory(prefix="tradewind-page-") as name, sync_playwright() as playwright:
        folder = Path(name) / "data"
        with Stack(folder, f"sqlite:{folder / 'store'}", {}) as stack:
            trade_all_symbols(stack)
            browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
            yield stack, browser
            browser.close()


def trade_all_symbols(stack: Stack) -> None:
    now = datetime.now(UTC).isoformat()
    symbols = sorted(load_symbols())
    for start in range(0, len(symbols), BATCH):
        trades = [
            {"ticker": ticker, "price": f"{1 + place % 500}.25", "volume": 100 + place, "timestamp": now}
            for place, ticker in enumerate(symbols[start : start + BATCH], start)
        ]
        send(stack, "trade.batch.v1", f"all-{start}", {"trades": trades})
    while read(stack, "/v1/totals")["trades_counted"] < len(symbols):
        time.sleep(0.1)


def paint(stack: Stack, browser: Browser, options: argparse.Namespace) -> bool:
    lists = [paint_list(stack, browser) for _ in range(options.runs)]
    tell("first paint of the list", lists)
    stack.start_generator({"TRADES_PER_SECOND": RATE, "SEED": "1"})
    page = open_page(stack, browser, "/?q=WIND")
    page.evaluate(WATCH + "null")
    trades = [paint_trade(stack, page, number) for number in range(options.runs)]
    tell("a trade, from its POST to the screen", trades)
    return max(*lists, *trades) < MAX_PAINT_MS


def paint_list(stack: Stack, browser: Browser) -> float:
    """In ms, since the navigation began."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(WATCH_LIST)
    page = context.new_page()
    page.goto(stack.query_url, wait_until="commit")
    painted_ms = float(page.evaluate("painted"))
    context.close()
    return painted_ms


def paint_trade(stack: Stack, page: Page, number: int) -> float:
    """In ms, since the trade's POST began."""
    price = f"{10 + number}.5000"
    page.evaluate(WATCH_PRICE, ["WIND", price])
    time.sleep(0.137 * (number % 8))  # anywhere between two turns of the page
    sent_ms = time.time() * 1000
    now = datetime.now(UTC).isoformat()
    data = {"ticker": "WIND", "price": price, "volume": 100, "timestamp": now}
    send(stack, "trade.executed.v1", f"wind-{number}", data)
    return float(page.evaluate("seen")) - sent_ms


def fifty(stack: Stack, browser: Browser, options: argparse.Namespace) -> bool:
    seconds = options.seconds or 120
    stack.start_generator({"TRADES_PER_SECOND": RATE, "SEED": "1"})
    page = open_page(stack, browser, "/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    stop = threading.Event()
    clients = [Client(stack.query_url, stop) for _ in range(options.pages - 1)]
    page.wait_for_timeout(3_000)
    asked.clear()
    started_s, before = time.monotonic(), stack.usage()["query"]
    turns = sum(client.turns for client in clients)
    page.wait_for_timeout(seconds * 1_000)
    elapsed_s, used = time.monotonic() - started_s, stack.usage()["query"].since(before)
    turns = sum(client.turns for client in clients) - turns
    stop.set()
    failed = [client.failure for client in clients if client.failure]
    percent = 100 * used.cpu_s / elapsed_s
    print(f"{options.pages} pages for {elapsed_s:.0f} s, {turns / elapsed_s / len(clients):.2f} turns/s each")
    print(f"the page in the browser: {len(asked) / elapsed_s:.2f} requests/s; failed clients: {failed}")
    print(f"query function: {percent:.1f} % of a core (target: below {MAX_QUERY_PERCENT})", flush=True)
    return percent < MAX_QUERY_PERCENT and not failed


class Client(threading.Thread):
    """Asks what a page asks: what changed, then the totals, and again after a pause."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._stopped = stop
        self.turns = 0
        self.failure = ""
        self.start()

    def run(self) -> None:
        cursor = ""
        try:
            while not self._stopped.wait(TURN_S):
                cursor = self._get(f"/v1/tickers?changed_since={cursor}")["cursor"]
                self._get("/v1/totals")
                self.turns += 1
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            self.failure = repr(error)

    def _get(self, path: str) -> Any:
        self._connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = self._connection.getresponse()
        body = answer.read()
        return json.loads(gzip.decompress(body) if answer.headers["Content-Encoding"] else body)


def memory(stack: Stack, browser: Browser, options: argparse.Namespace) -> bool:
    seconds = options.seconds or 600
    stack.start_generator({"TRADES_PER_SECOND": RATE, "SEED": "1"})
    paths = {"list": "/?open=AAPL", "events": "/?view=events"}
    pages = {name: open_page(stack, browser, path) for name, path in paths.items()}
    sessions = {name: page.context.new_cdp_session(page) for name, page in pages.items()}
    for session in sessions.values():
        session.send("Performance.enable")
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in pages}
    pages["list"].wait_for_timeout(min(WARM_UP_S, seconds / 4) * 1_000)
    end_s = time.monotonic() + seconds
    while True:
        for name, session in sessions.items():
            samples[name].append(occupied(session))
        told = "  ".join(f"{name} {heap / 1e6:6.2f} MB {nodes:6.0f} nodes" for name, (heap, nodes) in
                         ((name, sampled[-1]) for name, sampled in samples.items()))  # fmt: skip
        print(f"{max(0, end_s - time.monotonic()):4.0f} s to go  {told}", flush=True)
        if time.monotonic() >= end_s:
            break
        pages["list"].wait_for_timeout(min(SAMPLE_S, seconds / 4) * 1_000)
    steady = [is_steady(name, sampled) for name, sampled in samples.items()]
    return all(steady)


def occupied(session: Any) -> tuple[float, float]:
    """Bytes of JavaScript heap and DOM nodes, without garbage."""
    session.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return metrics["JSHeapUsedSize"], metrics["Nodes"]


def is_steady(name: str, samples: list[tuple[float, float]]) -> bool:
    growths = [100 * (last / first - 1) for first, last in zip(samples[0], samples[-1], strict=True)]
    print(
        f"{name}: heap {growths[0]:+.1f} %, nodes {growths[1]:+.1f} % (target: at most {MAX_GROWTH_PERCENT})"
    )
    return max(growths) <= MAX_GROWTH_PERCENT


def open_page(stack: Stack, browser: Browser, path: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(stack.query_url + path)
    page.locator("[data-state=live]").wait_for()
    return page


def send(stack: Stack, event_type: str, event_id: str, data: object) -> None:
    headers = {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-type": event_type,
        "ce-source": "/benchmarks/page",
        "ce-id": event_id,
    }
    request = urllib.request.Request(stack.ingress_url, json.dumps(data).encode(), headers)  # noqa: S310
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310


def read(stack: Stack, path: str) -> Any:
    with urllib.request.urlopen(stack.query_url + path, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def tell(what: str, values_ms: list[float]) -> None:
    median, most = statistics.median(values_ms), max(values_ms)
    print(f"{what}: median {median:.0f} ms, at most {most:.0f} ms (target: {MAX_PAINT_MS})", flush=True)


if __name__ == "__main__":
    main()
