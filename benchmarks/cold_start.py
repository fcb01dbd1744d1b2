"""What a function costs from nothing to its first answer, as a pod that Knative starts for one event.

    python -m benchmarks.cold_start                      # SQLite
    python -m benchmarks.cold_start --store aerospike    # a server at 127.0.0.1:3000
    python -m benchmarks.cold_start --python ENVIRONMENT/bin/python    # the image has no development tools

The functions are started in turn, each `python -m functions`. "Listens" is when its port takes connections:
all is imported. "Answered" is its first 2xx; for store-trade that is when the trade is durable. The yardstick
is a loop of ten million turns, since machines differ more than functions.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import cpu_s, free_port, machine, median_of, read_usage
from benchmarks.stores_at import BENCH_SETS, store_url

TARGETS = ("store_trade", "update_summary", "dead_letter", "query")
HOST = "127.0.0.1"
TIMEOUT_S = 60.0
POLL_S = 0.002
TRADE = {"ticker": "ASPS", "price": "13.37", "volume": 100, "timestamp": "2026-01-05T14:30:00Z"}
YARDSTICK_TURNS = 10_000_000


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cold_start",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", default="sqlite", help="sqlite, aerospike or aerospike://HOST:PORT")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--python", default=sys.executable, help="the interpreter to start")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    options = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    runs: dict[str, list[dict[str, float]]] = {target: [] for target in TARGETS}
    yardsticks = []
    for _ in range(options.runs):
        yardsticks.append({"cpu_s": yardstick()})
        for target in TARGETS:
            runs[target].append(start(options.python, target, options.store))
    found = {target: median_of(each) for target, each in runs.items()}
    found["yardstick"] = median_of(yardsticks)
    print(f"ten million turns of a Python loop: {found['yardstick']['cpu_s']:.2f} s of CPU")
    print(f"\n{'':16} CPU s: listens  answered    wall s: listens  answered    resident MB")
    for target in TARGETS:
        one = found[target]
        print(
            f"{target:16} {one['listens_cpu_s']:14.2f} {one['answered_cpu_s']:9.2f} {one['listens_s']:18.2f}"
            f" {one['answered_s']:9.2f} {one['resident_mb']:14.0f}"
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def yardstick() -> float:
    start_s = time.process_time()
    turns = 0
    while turns < YARDSTICK_TURNS:
        turns += 1
    return time.process_time() - start_s


def start(python: str, target: str, store: str) -> dict[str, float]:
    """One start; times are from the fork on."""
    port = free_port()
    with TemporaryDirectory() as folder, running(python, target, store, folder, port) as process:
        begin_s = time.perf_counter()
        wait_until(process, lambda: listens(port))
        listens_s, listens_cpu_s = time.perf_counter() - begin_s, cpu_s(process.pid)
        wait_until(process, lambda: answers(target, port))
        return {
            "listens_s": listens_s,
            "listens_cpu_s": listens_cpu_s,
            "answered_s": time.perf_counter() - begin_s,
            "answered_cpu_s": cpu_s(process.pid),
            "resident_mb": read_usage(process.pid).peak_rss_bytes / 1e6,
        }


@contextmanager
def running(
    python: str, target: str, store: str, folder: str, port: int
) -> Iterator[subprocess.Popen[bytes]]:
    settings = {
        **BENCH_SETS,
        "FUNCTION_TARGET": target,
        "STORE": f"sqlite:{folder}" if store == "sqlite" else store_url(store),
        "PORT": str(port),
        "HOST": HOST,
        "LOG_LEVEL": "warning",
    }
    command = [python, "-P", "-m", "functions"]
    with subprocess.Popen(command, env={**os.environ, **settings}) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.terminate()


def wait_until(process: subprocess.Popen[bytes], is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not is_so():
        if time.monotonic() > deadline_s or process.poll() is not None:
            raise SystemExit("the function did not start, or gave no answer")
        time.sleep(POLL_S)


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def answers(target: str, port: int) -> bool:
    request = urllib.request.Request(f"http://{HOST}:{port}/readyz")
    if target != "query":
        event = {
            "specversion": "1.0",
            "type": "trade.executed.v1",
            "source": "/benchmarks/cold-start",
            "id": str(uuid.uuid4()),
            "datacontenttype": "application/json",
            "data": TRADE,
        }
        request.data = json.dumps(event).encode()
        request.add_header("content-type", "application/cloudevents+json")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            return True
    except urllib.error.HTTPError as error:
        if error.code != 503:
            raise SystemExit(f"{target} answered {error.code}: {error.read().decode()}") from error
        return False


if __name__ == "__main__":
    main()
