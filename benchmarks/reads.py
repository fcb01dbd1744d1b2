"""How long reads take while trades come in: the five reads of the original demo and the list of tickers.

    python -m benchmarks.reads --store sqlite:DIR
    python -m benchmarks.reads --store aerospike://127.0.0.1:3000

The real query function in a process of its own, asked over HTTP by one client, one request after the other on
one connection, each for another ticker. Before that 4,000 tickers are filled, on Aerospike in all 10 shards.
Meanwhile another process counts `--rate` trades a second. With `sqlite:DIR` each run has a new folder in DIR,
which is removed; on Aerospike the benchmarks' own sets are used, and emptied before and after.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.measure import free_port, machine, percentile
from benchmarks.stores_at import BENCH_SETS, empty
from functions.compose import open_store
from runtime.settings import AerospikeSettings, StoreSettings
from trades.store import TradeStore
from trades.trade import Trade, TradeEvent

TICKERS = [f"T{number:04}" for number in range(4_000)]
SHARDS = 10
WORKERS = 40  # each chooses a shard by chance: one is left out once in seven runs, and told of
TRADES_PER_EVENT = 500
START_TIMEOUT_S = 60.0
READS = {
    "volume": "/v1/tickers/{ticker}/volume",
    "highest price": "/v1/tickers/{ticker}/highest-price",
    "latest time": "/v1/tickers/{ticker}/latest-time",
    "volume at price": "/v1/tickers/{ticker}/prices/{price}/volume",
    "latest time at price": "/v1/tickers/{ticker}/prices/{price}/latest-time",
    "list, first page": "/v1/tickers",
    "list, by volume": "/v1/tickers?sort=volume&order=desc&limit=100&offset={offset}",
    "list, searched": "/v1/tickers?q={ticker}",
    "list, all that changed": "/v1/tickers?changed_since=",
}


def main() -> None:
    options = _parse()
    if options.write:
        keep_writing(options.store, options.rate)
        return
    print(f"{options.store}: {', '.join(map(str, machine().values()))}", flush=True)
    with _store_at(options.store) as url:
        _fill(url)
        print(f"{options.rate:,} trades a second are counted meanwhile; milliseconds", flush=True)
        port = free_port()
        query = {"FUNCTION_TARGET": "query", "PORT": str(port), "HOST": "127.0.0.1", "STORE": url}
        writer = ["benchmarks.reads", "--store", url, "--rate", str(options.rate), "--write"]
        with _process(["functions"], query), _process(writer, {}):
            connection = _connect(port)
            for name, path in READS.items():
                times_ms = sorted(_ask(connection, path, options.requests))
                shown = (percentile(times_ms, part) for part in (0.5, 0.9, 0.99))
                print(f"{name:24} p50 {{:6.2f}}  p90 {{:6.2f}}  p99 {{:6.2f}}".format(*shown), flush=True)


def make_event(rng: random.Random, run: str, number: int) -> TradeEvent:
    """Of 500 tickers that follow on each other. Few prices each, so that a read at a price finds one."""
    first = number * TRADES_PER_EVENT
    time_ms = time.time_ns() // 1_000_000
    trades = [
        Trade(
            TICKERS[place % len(TICKERS)], price_of(place) + rng.randrange(20), rng.randrange(1, 900), time_ms
        )
        for place in range(first, first + TRADES_PER_EVENT)
    ]
    return TradeEvent.of("/benchmarks/reads", f"{run}-{number}", trades, is_batch=True)


def price_of(place: int) -> int:
    return 100_000 + place % len(TICKERS) * 100


def _fill(url: str) -> None:
    """As many workers would have done it."""
    rng = random.Random(1)  # noqa: S311
    rounds = len(TICKERS) // TRADES_PER_EVENT
    for worker in range(WORKERS if url.startswith("aerospike") else SHARDS):
        with closing(open_url(url)) as store:
            count_until_done(store, [make_event(rng, f"fill-{worker}", number) for number in range(rounds)])


def keep_writing(url: str, rate: int) -> None:
    """In a process of its own, until it is ended."""
    rng = random.Random(2)  # noqa: S311
    store = open_url(url)
    began_s = time.monotonic()
    number = 0
    while True:
        count_until_done(store, [make_event(rng, f"run-{os.getpid()}", number)])
        number += 1
        time.sleep(max(0.0, began_s + number * TRADES_PER_EVENT / rate - time.monotonic()))


def count_until_done(store: TradeStore, events: list[TradeEvent]) -> None:
    while "UNAVAILABLE" in store.count_trades(events):
        pass


def open_url(url: str) -> TradeStore:
    return open_store(url, StoreSettings.read(), AerospikeSettings.read())


def _ask(connection: HTTPConnection, path: str, requests: int) -> Iterator[float]:
    """Milliseconds of each request."""
    rng = random.Random(3)  # noqa: S311
    for _ in range(requests):
        place = rng.randrange(len(TICKERS))
        price = f"{(price_of(place) + rng.randrange(20)) / 10_000:.4f}"
        target = path.format(ticker=TICKERS[place], price=price, offset=rng.randrange(0, 3_900, 100))
        began_s = time.perf_counter()
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read()
        yield (time.perf_counter() - began_s) * 1_000
        if answer.status not in (200, 404) or (answer.status == 404 and "{price}" not in path):
            raise SystemExit(f"{target}: {answer.status} {body.decode()}")


def _connect(port: int) -> HTTPConnection:
    """When the function is ready and its table is loaded."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            connection.request("GET", "/v1/tickers?limit=1")
            answer = connection.getresponse()
            found = json.loads(answer.read()) if answer.status == 200 else {}
        except OSError:
            connection.close()
            found = {}
        if found.get("total") == len(TICKERS):
            return connection
        if time.monotonic() > deadline_s:
            raise SystemExit(f"the query function does not show {len(TICKERS):,} tickers: {found}")
        time.sleep(0.1)


@contextmanager
def _process(arguments: list[str], environment: Mapping[str, str]) -> Iterator[None]:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-P", "-m", *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "LOG_LEVEL": "warning",
            **environment,
        },
        stdin=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def _store_at(url: str) -> Iterator[str]:
    """Empty, and without what was written when it is not needed any more."""
    forget: Callable[[], None]
    if url.startswith("sqlite:"):
        folder = tempfile.mkdtemp(prefix="reads-", dir=url.removeprefix("sqlite:") or None)
        url = f"sqlite:{folder}"

        def forget() -> None:
            shutil.rmtree(folder)
    else:
        os.environ.update(BENCH_SETS, CONTRACT_RECORD_SHARD_COUNT=str(SHARDS))
        empty(url)

        def forget() -> None:
            empty(url)

    try:
        yield url
    finally:
        forget()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reads", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--store", default="sqlite:", help="sqlite:DIR or aerospike://HOST:PORT")
    parser.add_argument("--requests", type=int, default=500, help="of each kind (default 500)")
    parser.add_argument("--rate", type=int, default=5_000, help="trades counted a second meanwhile")
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
