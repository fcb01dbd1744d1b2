"""What a store costs: `store_trades` and `count_trades`, each alone, as the data grows.

    python -m benchmarks.stores --store sqlite:DIR --million 5 --group 16

Events of 500 trades come in groups, as a function under load commits them: over 3,000 tickers alike, then
all on one ticker. Prices walk as on an exchange, to 4 decimals; timestamps rise. Each line is one window of
trades, committed durably, without the time that making them takes: when 100,000 are stored, when an
Aerospike store has begun to trim its marks (600,000), and at the end. CPU is this process's; that of an
Aerospike server on this machine is given beside it. With `sqlite:DIR` each run has a new folder in DIR,
which is removed; an Aerospike server should be empty.
"""

import argparse
import math
import os
import platform
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import pid_listening, read_usage
from benchmarks.stores_at import server_port
from functions.compose import open_store
from runtime.settings import AerospikeSettings, StoreSettings
from trades.store import Outcome, TradeStore
from trades.trade import Trade, TradeEvent

TRADES_PER_EVENT = 500
TRADES_PER_SECOND = 40_000  # how fast the market's own clock runs
DAY_S = 6.5 * 3_600
SD_PER_DAY = 0.02
START_MS = 1_760_000_000_000


def make_events(ticker_count: int, seed: int, run: str) -> Iterator[TradeEvent]:
    """An endless stream of events; `run` keeps their ids apart from those of other runs."""
    rng = random.Random(seed)  # noqa: S311
    tickers = [f"T{number:04}" for number in range(ticker_count)]
    prices = [rng.uniform(50_000, 5_000_000) for _ in tickers]
    sd = SD_PER_DAY * math.sqrt(ticker_count / TRADES_PER_SECOND / DAY_S)
    trade_no = event_no = 0
    while True:
        trades = []
        for _ in range(TRADES_PER_EVENT):
            which = rng.randrange(ticker_count)
            prices[which] *= 1 + rng.gauss(0, sd)
            time_ms = START_MS + trade_no * 1_000 // TRADES_PER_SECOND
            trades.append(Trade(tickers[which], round(prices[which]), rng.randrange(1, 1_000), time_ms))
            trade_no += 1
        yield TradeEvent.of("/benchmarks", f"{run}-{event_no}", trades, is_batch=True)
        event_no += 1


def measure(
    write: Callable[[list[TradeEvent]], list[Outcome]], events: Iterator[TradeEvent], group: int, trades: int
) -> tuple[float, float]:
    """Write `trades` trades; wall and CPU seconds, without what making the events takes."""
    wall = cpu = 0.0
    for _ in range(max(1, trades // (group * TRADES_PER_EVENT))):
        some = [next(events) for _ in range(group)]
        wall -= time.perf_counter()
        cpu -= time.process_time()
        outcomes = write(some)
        wall += time.perf_counter()
        cpu += time.process_time()
        if not {*outcomes} <= {Outcome.STORED, Outcome.COUNTED}:
            raise SystemExit(f"unexpected outcomes: { ({*outcomes}) }")
    return wall, cpu


def measure_growth(
    store: TradeStore,
    work: str,
    ticker_count: int,
    group: int,
    total: int,
    window: int,
    server_pid: int | None,
) -> None:
    """Print the cost of a window of trades as they grow to `total`."""
    events = make_events(ticker_count, seed=1, run=f"{time.time_ns()}")
    write = store.store_trades if work == "store" else store.count_trades
    done = 0
    for mark in sorted({100_000, 600_000, total}):
        measure(write, events, group, max(0, mark - done))
        server_s = read_usage(server_pid).cpu_s if server_pid else 0.0
        wall, cpu = measure(write, events, group, window)
        server_s = (read_usage(server_pid).cpu_s if server_pid else 0.0) - server_s
        done = mark + window
        print(f"{work:6} {ticker_count:6,} tickers, groups of {group:3} events, at {mark:>10,}:", end=" ")
        each_us, cpu_us = wall / window * 1e6, cpu / window * 1e6
        print(f"{window / wall:9,.0f} trades/s, a trade {each_us:5.2f} µs, CPU {cpu_us:5.2f} µs", end="")
        print(f", server {server_s / window * 1e6:5.2f} µs" if server_pid else "", flush=True)


def measure_drill_down(store: TradeStore, ticker: str) -> None:
    """Print how long a page of 100 trades takes: the newest, and the tenth from there."""
    store.read_trades(ticker, 1)  # opens the reader
    times = []
    cursor = None
    for _ in range(10):
        started = time.perf_counter()
        cursor = store.read_trades(ticker, 100, cursor).next_cursor
        times.append((time.perf_counter() - started) * 1e3)
    print(f"       page of 100 trades of {ticker}: first {times[0]:.2f} ms, tenth {times[-1]:.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", default="sqlite:.tradewind/benchmarks")
    parser.add_argument("--million", type=float, default=1.0, help="trades to grow to, in millions")
    parser.add_argument("--window", type=int, default=256_000, help="trades in a measured window")
    parser.add_argument("--group", type=int, default=16, help="events in a group")
    parser.add_argument("--work", choices=["store", "count", "both"], default="both")
    parser.add_argument("--tickers", type=int, nargs="*", default=[3_000, 1])
    arguments = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}", end=", ")
    print(f"SQLite {sqlite3.sqlite_version}")
    port = server_port(arguments.store)
    server_pid = pid_listening(port) if port else None
    works = ["store", "count"] if arguments.work == "both" else [arguments.work]
    for ticker_count in arguments.tickers:
        for work in works:
            with fresh_store(arguments.store) as store:
                total = int(arguments.million * 1e6)
                measure_growth(
                    store, work, ticker_count, arguments.group, total, arguments.window, server_pid
                )
                if work == "store":
                    measure_drill_down(store, "T0000")


@contextmanager
def fresh_store(url: str) -> Iterator[TradeStore]:
    """The store of a URL; for `sqlite:DIR`, in a folder within it that goes at the end."""
    folder = None
    if url.startswith("sqlite:"):
        parent = Path(url.removeprefix("sqlite:"))
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
        url = f"sqlite:{folder}"
    store = open_store(url, StoreSettings.read(), AerospikeSettings.read())
    try:
        yield store
    finally:
        store.close()
        if folder:
            size = sum(file.stat().st_size for file in folder.iterdir())
            print(f"       {size / 1e6:,.0f} MB in files")
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
