"""How many events a second the local broker accepts, syncs and delivers, everything on this machine.

    python -m benchmarks.broker     # 20,000 one-trade events, then 2,000 of 40 kB; median of 3 runs
    python -m benchmarks.broker --events 5000 --runs 1 --connections 32 --triggers 2
    python -m benchmarks.broker --stuck 10000      # beside a second trigger whose subscriber never answers

Three processes: a load client with keep-alive connections, each of which sends an event and waits for its
202; the broker as anyone starts it; a subscriber that only answers 202. A run ends when the subscriber has
had every event. `accepted/s` counts until the last 202, `delivered/s` until the last delivery; CPU-us is user
and system time of each process, an event; `MB` is the broker's memory at the end (VmRSS).

With --stuck each run is done twice: with two triggers that both deliver, then with one of them stuck, and as
many events pending for it already. Both write as much, so what differs is who is stuck and the backlog.
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
  filters: [%s]
  subscriber: {uri: "http://127.0.0.1:%d"}
"""


WANTED = "{any: [{exact: {type: trade.executed.v1}}, {exact: {type: trade.batch.v1}}]}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--large-events", type=int, default=2_000, help="events of 40 kB; 0: none")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--triggers", type=int, default=1)
    parser.add_argument("--stuck", type=int, default=0, help="events pending for a stuck trigger; 0: none")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the broker's file goes (default: a temporary one)"
    )
    given = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    for size, events in ((len(TRADE), given.events), (40_000, 0 if given.stuck else given.large_events)):
        if events and given.stuck:
            show("two triggers", events, size, given, triggers=2)
            what = f"one trigger, and a stuck one with {given.stuck} pending"
            show(what, events, size, given, triggers=1, stuck=given.stuck)
        elif events:
            show(f"{given.triggers} trigger", events, size, given, triggers=given.triggers)


def show(what: str, events: int, size: int, given: argparse.Namespace, **setting: int) -> None:
    results = [run(events, size, given, **setting) for _ in range(given.runs)]
    middle = {key: statistics.median(result[key] for result in results) for key in results[0]}
    print(f"{events} events of {size} bytes, {given.connections} connections, {what}:")
    print("  " + ", ".join(f"{key} {value:,.0f}" for key, value in middle.items()), flush=True)


def run(
    events: int, size: int, given: argparse.Namespace, *, triggers: int, stuck: int = 0
) -> dict[str, float]:
    """One run with a new broker file; `stuck`: events that a subscriber has got before and never answers."""
    expected = events * triggers
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, unanswering() as stuck_port:
        sink_port, broker_port = free_port(), free_port()
        file = Path(folder, "broker.yaml")
        text = YAML + "".join(TRIGGER % (number, WANTED, sink_port) for number in range(triggers))
        file.write_text(text + (TRIGGER % (triggers, "", stuck_port) if stuck else ""))
        broker_command = ["-m", "eventing.broker", "-f", str(file), "--port", str(broker_port)]
        broker_command += ["--data", f"{folder}/broker.db", "--log-level", "warning", "--grace", "1"]
        with (
            process(["-m", "benchmarks.broker", "subscriber", str(sink_port), str(expected)]) as sink,
            process(broker_command) as broker,
        ):
            assert broker.stdout is not None
            assert sink.stdout is not None
            broker.stdout.readline()
            sink.stdout.readline()
            if stuck:
                send("other.v1", broker_port, stuck, len(TRADE), given.connections)
            before = cpu_s(broker.pid)
            client = send("trade.executed.v1", broker_port, events, size, given.connections)
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
                "MB": resident_bytes(broker.pid) / 1e6,
            }


def send(type_: str, port: int, events: int, size: int, connections: int) -> dict[str, float]:
    """The load client in a process of its own; what it says of itself."""
    command = [sys.executable, "-m", "benchmarks.broker", "load", type_, str(port)]
    command += [str(events), str(size), str(connections)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300)  # noqa: S603
    return cast(dict[str, float], json.loads(done.stdout))


@contextmanager
def unanswering() -> Iterator[int]:
    """The port of a subscriber that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1_024) as listener:
        yield int(listener.getsockname()[1])


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


def resident_bytes(pid: int) -> int:
    """Memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


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
        self,
        type_: str,
        numbers: Iterator[int],
        data: bytes,
        done: asyncio.Future[None],
        waits_s: list[float],
    ) -> None:
        self.numbers, self.data, self.done, self.waits_s = numbers, data, done, waits_s
        self.sent_at = 0.0
        self.head = (
            "POST /bench/default HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"ce-specversion: 1.0\r\nce-type: {type_}\r\nce-source: /bench\r\nce-subject: ASPS\r\n"
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


async def load(type_: str, port: int, events: int, size: int, connections: int) -> None:
    loop = asyncio.get_running_loop()
    numbers, waits_s = iter(range(events)), list[float]()
    data = TRADE if size == len(TRADE) else b'{"trades":["' + b"x" * (size - 14) + b'"]}'
    ends = [loop.create_future() for _ in range(connections)]
    started = time.time()
    for end in ends:
        make = partial(Connection, type_, numbers, data, end, waits_s)
        await loop.create_connection(make, "127.0.0.1", port)
    await asyncio.gather(*ends)
    ended, used = time.time(), time.process_time()
    waits_s.sort()
    p50_us, p99_us = (waits_s[int(len(waits_s) * part)] * 1e6 for part in (0.5, 0.99))
    print(json.dumps({"started": started, "ended": ended, "cpu_s": used, "p50_us": p50_us, "p99_us": p99_us}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["subscriber", port, expected]:
            uvloop.run(subscribe(int(port), int(expected)))
        case ["load", type_, port, events, size, connections]:
            uvloop.run(load(type_, int(port), int(events), int(size), int(connections)))
        case _:
            main()
