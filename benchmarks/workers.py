"""Whether more processes count more trades, and what sharding is for.

    python -m benchmarks.workers                                   # an Aerospike server at 127.0.0.1:3000
    python -m benchmarks.workers --processes 1 2 4 --shards 1 10 64 --tickers 1 3000

Each process is one update-summary pod without its HTTP: it counts groups of events of 500 trades, with a
connection of its own to the one server, until its trades are counted; an event that is UNAVAILABLE (its
record was busy) is counted again. On one hot ticker with one shard all of them want the same record.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Mapping
from contextlib import closing
from itertools import islice
from multiprocessing.synchronize import Barrier
from typing import Any

from benchmarks.measure import machine, median_of, pid_listening, read_usage
from benchmarks.stores import TRADES_PER_EVENT, make_events
from benchmarks.stores_at import BENCH_SETS, empty, server_port, store_url
from functions.compose import open_store
from runtime.settings import AerospikeSettings, StoreSettings
from trades.store import Outcome

MAX_ATTEMPTS = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.workers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", default="aerospike", help="aerospike or aerospike://HOST:PORT")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 10, 64])
    parser.add_argument("--tickers", type=int, nargs="+", default=[1, 3_000], help="1: a hot ticker")
    parser.add_argument("--trades", type=int, default=400_000, help="of each process")
    parser.add_argument("--group", type=int, default=16, help="events in a group")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print("tickers shards processes    trades/s   a trade: CPU µs of processes   of server   counted again")
    for tickers in options.tickers:
        for shards in options.shards:
            for processes in options.processes:
                runs = [run(options, tickers, shards, processes) for _ in range(options.runs)]
                found = median_of(runs)
                print(
                    f"{tickers:7,} {shards:6} {processes:9} {found['trades_per_s']:11,.0f}"
                    f" {found['cpu_us']:30.1f} {found['server_us']:11.1f} {found['again']:14.0%}",
                    flush=True,
                )


def run(options: argparse.Namespace, tickers: int, shards: int, processes: int) -> dict[str, float]:
    """One run on an empty store; all trades must be counted once."""
    url = store_url(options.store)
    os.environ.update(BENCH_SETS, CONTRACT_RECORD_SHARD_COUNT=str(shards))
    empty(url)
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(processes + 1), context.SimpleQueue()
    workers = [
        context.Process(
            target=work, args=(url, number, tickers, options.trades, options.group, start, answers)
        )
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    start.wait()
    server_pid = pid_listening(server_port(url) or 0)
    server_s = read_usage(server_pid).cpu_s if server_pid else 0.0
    started_s = time.perf_counter()
    found: list[Mapping[str, float]] = [answers.get() for _ in workers]
    seconds = time.perf_counter() - started_s
    server_s = (read_usage(server_pid).cpu_s if server_pid else 0.0) - server_s
    for worker in workers:
        worker.join()
    trades = sum(one["trades"] for one in found)
    check_counts(url, int(trades))
    return {
        "trades_per_s": trades / seconds,
        "cpu_us": sum(one["cpu_s"] for one in found) / trades * 1e6,
        "server_us": server_s / trades * 1e6,
        "again": sum(one["again"] for one in found) * TRADES_PER_EVENT / trades,
    }


def check_counts(url: str, trades: int) -> None:
    """Each trade was counted once."""
    with closing(open_store(url, StoreSettings.read(), AerospikeSettings.read())) as store:
        summaries = [store.read_summary(ticker) for ticker in store.scan_tickers()]
    counted = sum(summary.trade_count for summary in summaries if summary)
    if counted != trades:
        raise SystemExit(f"{trades} trades were sent, {counted} were counted")


def work(url: str, number: int, tickers: int, trades: int, group: int, start: Barrier, answers: Any) -> None:
    """A process: its events are made before the start."""
    events = list(islice(make_events(tickers, seed=number, run=f"{number}"), trades // TRADES_PER_EVENT))
    store = open_store(url, StoreSettings.read(), AerospikeSettings.read())
    store.ping()
    again = 0
    start.wait()
    cpu_s = time.process_time()
    for first in range(0, len(events), group):
        waiting = events[first : first + group]
        for _ in range(MAX_ATTEMPTS):
            outcomes = store.count_trades(waiting)
            waiting = [
                event
                for event, outcome in zip(waiting, outcomes, strict=True)
                if outcome is Outcome.UNAVAILABLE
            ]
            if not waiting:
                break
            again += len(waiting)
            time.sleep(0.01)
    used_s = time.process_time() - cpu_s
    answers.put({"trades": len(events) * TRADES_PER_EVENT, "cpu_s": used_s, "again": again})
    store.close()


if __name__ == "__main__":
    main()
