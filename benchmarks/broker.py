"""How many events a second the local broker accepts, syncs and delivers, everything on this machine.

    python -m benchmarks.broker     # 20,000 one-trade events, then 2,000 of 40 kB; median of 3 runs
    python -m benchmarks.broker --events 5000 --runs 1 --connections 32 --triggers 2

Three processes: a load client with keep-alive connections, each of which sends an event and waits for its
202; the broker as anyone starts it; a subscriber that only answers 202. A run ends when the subscriber has
had every event. `accepted/s` counts until the last 202, `delivered/s` until the last delivery; CPU-us is user
and system time of each process, an event.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import httptools
import uvloop

TRADE = b'{"ticker":"ASPS","price":"13.41","volume":100,"timestamp":"2026-11-22T14:30:00.123Z"}'
YAML = """
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default, namespace: bench}
"""
TRIGGER = """
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: t%d, namespace: bench}
spec:
  broker: default
  filters: [{any: [{exact: {type: trade.executed.v1}}, {exact: {type: trade.batch.v1}}]}]
  subscriber: {uri: "http://127.0.0.1:%d"}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--large-events", type=int, default=2_000, help="events of 40 kB; 0: none")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--triggers", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the broker's file goes (default: a temporary one)"
    )
    given = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    for size, events in ((len(TRADE), given.events), (40_000, given.large_events)):
        if events:
            results = [run(events, size, given) for _ in range(given.runs)]
            middle = {key: statistics.median(result[key] for result in results) for key in results[0]}
            print(
                f"{events} events of {size} bytes, {given.connections} connections, {given.triggers} trigger:"
            )
            print("  " + ", ".join(f"{key} {value:,.0f}" for key, value in middle.items()), flush=True)


def run(events: int, size: int, given: argparse.Namespace) -> dict[str, float]:
    """One run with a new broker file."""
    expected = events * given.triggers
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        sink_port, broker_port = free_port(), free_port()
        file = Path(folder, "broker.yaml")
        file.write_text(YAML + "".join(TRIGGER % (number, sink_port) for number in range(given.triggers)))
        broker_command = ["-m", "eventing.broker", "-f", str(file), "--port", str(broker_port)]
        broker_command += ["--data", f"{folder}/broker.db", "--log-level", "warning"]
        with (
            process(["-m", "benchmarks.broker", "subscriber", str(sink_port), str(expected)]) as sink,
            process(broker_command) as broker,
        ):
            assert broker.stdout is not None
            assert sink.stdout is not None
            broker.stdout.readline()
            sink.stdout.readline()
            before = cpu_s(broker.pid)
            load = [sys.executable, "-m", "benchmarks.broker", "load", str(broker_port)]
            load += [str(events), str(size), str(given.connections)]
            done = subprocess.run(load, check=True, stdout=subprocess.PIPE, text=True, timeout=300)  # noqa: S603
            client = json.loads(done.stdout)
            delivered = json.loads(sink.stdout.readline())
            assert delivered["events"] == expected, delivered
            return {
                "accepted/s": events / (client["ended"] - client["started"]),
                "delivered/s": events / (delivered["ended"] - client["started"]),
                "p50 us": client["p50_us"],
                "p99 us": client["p99_us"],
                "CPU-us broker": (cpu_s(broker.pid) - before) / events * 1e6,
                "client": client["cpu_s"] / events * 1e6,
                "subscriber": delivered["cpu_s"] / events * 1e6,
            }


@contextmanager
def process(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A Python process, stopped at the end."""
    started = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(30)
        if started.stdout:
            started.stdout.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Subscriber(asyncio.Protocol):
    """Answers each request with 202."""

    served = 0
    expected = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.transport.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
        Subscriber.served += 1
        if Subscriber.served == Subscriber.expected:
            used = time.process_time()
            print(json.dumps({"events": self.served, "ended": time.time(), "cpu_s": used}), flush=True)


async def subscribe(port: int, expected: int) -> None:
    Subscriber.expected = expected
    async with await asyncio.get_running_loop().create_server(Subscriber, "127.0.0.1", port) as server:
        print("ready", flush=True)
        await server.serve_forever()


class Connection(asyncio.Protocol):
    """Sends one event after the other, each when the one before has been accepted."""

    def __init__(
        self, numbers: Iterator[int], data: bytes, done: asyncio.Future[None], waits_s: list[float]
    ) -> None:
        self.numbers, self.data, self.done, self.waits_s = numbers, data, done, waits_s
        self.sent_at = 0.0
        self.head = (
            "POST /bench/default HTTP/1.1\r\nhost: broker\r\ncontent-type: application/json\r\n"
            "ce-specversion: 1.0\r\nce-type: trade.executed.v1\r\nce-source: /bench\r\nce-subject: ASPS\r\n"
            f"ce-time: 2026-11-22T14:30:00.123Z\r\ncontent-length: {len(data)}\r\nce-id: "
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.send_next()

    def send_next(self) -> None:
        number = next(self.numbers, None)
        if number is None:
            self.done.set_result(None)
            return
        self.sent_at = time.perf_counter()
        self.transport.write(f"{self.head}{number}\r\n\r\n".encode() + self.data)

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 202") or not data.endswith(b"\r\n\r\n"):
            self.done.set_exception(RuntimeError(f"not accepted: {data!r}"))
            return
        self.waits_s.append(time.perf_counter() - self.sent_at)
        self.send_next()


async def load(port: int, events: int, size: int, connections: int) -> None:
    loop = asyncio.get_running_loop()
    numbers, waits_s = iter(range(events)), list[float]()
    data = TRADE if size == len(TRADE) else b'{"trades":["' + b"x" * (size - 14) + b'"]}'
    ends = [loop.create_future() for _ in range(connections)]
    started = time.time()
    for end in ends:
        await loop.create_connection(partial(Connection, numbers, data, end, waits_s), "127.0.0.1", port)
    await asyncio.gather(*ends)
    ended, used = time.time(), time.process_time()
    waits_s.sort()
    p50_us, p99_us = (waits_s[int(len(waits_s) * part)] * 1e6 for part in (0.5, 0.99))
    print(json.dumps({"started": started, "ended": ended, "cpu_s": used, "p50_us": p50_us, "p99_us": p99_us}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["subscriber", port, expected]:
            uvloop.run(subscribe(int(port), int(expected)))
        case ["load", port, events, size, connections]:
            uvloop.run(load(int(port), int(events), int(size), int(connections)))
        case _:
            main()
