"""What a generated trade costs: `python -m benchmarks.generator [--seconds 2] [--json FILE]`.

Each part alone in this process, then all of it against a sink in another process that reads and answers 202.
Figures are the median of five runs; CPU is that of the generator's process alone.
"""

import argparse
import asyncio
import io
import json
import logging
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from generator.blocks import BadRows, cut_blocks
from generator.control import Control
from generator.events import EventMaker
from generator.feed import MarketFeed
from generator.market import Market, Row, list_instruments
from generator.progress import nothing
from generator.rows import TradeFile
from generator.run import transfer
from generator.symbols import load_symbols
from runtime.settings import GeneratorSettings
from trades.ticks import format_ticks

RUNS = 5
EPOCH_MS = 1_767_225_600_000.0


class Sink(asyncio.Protocol):
    """Reads HTTP requests with a Content-Length and answers each with 202: the least that a sink can do."""

    def __init__(self) -> None:
        self._pending = b""
        self._missing_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._missing_bytes > len(data):
            self._missing_bytes -= len(data)
            return
        data, self._missing_bytes = self._pending + data[self._missing_bytes :], 0
        if not data:
            self._answer()
            return
        self._pending = data
        head, end, body = data.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        self._pending, self._missing_bytes = b"", length - len(body)
        if not self._missing_bytes:
            self._answer()

    def _answer(self) -> None:
        self._transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


def serve(ready: Connection) -> None:
    """The sink's process: tells its port, runs until it is terminated."""

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def measure(step: Callable[[], int], seconds: float) -> dict[str, float]:
    """Trades a second and CPU microseconds a trade of `step`, which says how many trades it handled."""
    rates, costs = [], []
    for _ in range(RUNS):
        trades, wall_s, cpu_s = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - wall_s < seconds / RUNS:
            trades += step()
        rates.append(trades / (time.perf_counter() - wall_s))
        costs.append((time.process_time() - cpu_s) / trades * 1e6)
    return {
        "trades_per_s": round(statistics.median(rates)),
        "cpu_us_per_trade": round(statistics.median(costs), 2),
    }


def market(skew: float, price_model: str = "brownian") -> Market:
    instruments = list_instruments(load_symbols(), 1)
    return Market(instruments, 1, seconds_per_trade=1 / 300, skew=skew, price_model=price_model)


def encoder(rows: list[Row], *, single: bool) -> Callable[[], int]:
    maker = EventMaker("benchmark", {row[0] for row in rows}, single=single)

    def step() -> int:
        for start in range(0, len(rows), 1 if single else len(rows)):
            maker.make(rows[start : start + 1] if single else rows)
        return len(rows)

    return step


def reader(rows: list[Row]) -> Callable[[], int]:
    """A replay's part before sending: lines, columns, rules, JSON."""
    lines = "".join(f"{ticker},{format_ticks(ticks)},{volume},{ms}\n" for ticker, ticks, volume, ms in rows)
    content = b"ticker,price,volume,timestamp\n" + lines.encode() * 20

    def step() -> int:
        file = TradeFile(io.BytesIO(content), len(content))
        return sum(len(block.trades) for block in cut_blocks(file, 500, 0, BadRows()))

    return step


def sender(port: int, trades_per_event: int, trades: int) -> Callable[[], int]:
    """The whole generator, flat out. Its start (tables, connections) is part of what is measured."""
    settings = GeneratorSettings(
        k_sink=f"http://127.0.0.1:{port}/",
        trades_per_second=0,
        trades_per_event=trades_per_event,
        max_trades=trades,
        seed=1,
    )

    def step() -> int:
        control = Control()
        with nothing() as show:
            totals = asyncio.run(transfer(MarketFeed(settings, control), settings, control, show))
        assert totals.accepted_trades == trades
        return trades

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each part is measured")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    options = parser.parse_args()
    even, skewed, walk = market(0.0), market(1.0), market(0.0, "cent_walk")
    rows = even.trades(500, EPOCH_MS, 0.025)
    ours, theirs = multiprocessing.Pipe()
    sink = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    sink.start()
    port = ours.recv()
    parts: dict[str, Callable[[], int]] = {
        "market, Brownian, 500 at once": lambda: len(even.trades(500, EPOCH_MS, 0.025)),
        "market, Brownian, skew 1": lambda: len(skewed.trades(500, EPOCH_MS, 0.025)),
        "market, cent walk": lambda: len(walk.trades(500, EPOCH_MS, 0.025)),
        "market, one at a time": lambda: len(even.trades(1, EPOCH_MS)),
        "event of 500": encoder(rows, single=False),
        "event of 1": encoder(rows, single=True),
        "CSV rows read into events": reader(rows),
        "sent in events of 500": sender(port, 500, 200_000),
        "sent in events of 100": sender(port, 100, 50_000),
        "sent in events of 1": sender(port, 1, 5_000),
    }
    logging.disable(logging.WARNING)
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    figures = {}
    for name, step in parts.items():
        step()
        found = figures[name] = measure(step, options.seconds)
        cost = f"{found['cpu_us_per_trade']:8} µs CPU"
        print(f"{name:32} {found['trades_per_s']:>12,} trades/s {cost} a trade", flush=True)
    sink.terminate()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
