"""How many trades a second the whole pipeline stores and counts, everything on this machine.

    python -m benchmarks.pipeline                            # SQLite, 1,000,000 trades, 3,000 symbols alike
    python -m benchmarks.pipeline --store aerospike          # the server at 127.0.0.1:3000, its use included
    python -m benchmarks.pipeline --scenario hot abc light   # others: see below
    python -m benchmarks.pipeline --json new.json            # keep the figures ...
    python -m benchmarks.pipeline compare old.json new.json  # ... and set two results side by side

Generator, broker, functions and query are the processes of `tradewind up`, each run with an empty store.
After each run `tradewind verify` recomputes all summaries from the raw trades: a difference, or a trade more
or less than were sent, ends the benchmark with an error.

Scenarios: `uniform` 3,000 symbols alike, `hot` one symbol has nearly all trades, `abc` the three symbols
of the original demo: as fast as the broker takes them. `light`: 300 trades a second, all symbols, then idle.

trades/s       from the first trade sent until the broker has no delivery left: all is stored and counted
cpu_us.NAME    user and system time of that process in this time, a trade
written.NAME   bytes that it had the system write to disk, a trade
rss_mb.NAME    its largest resident memory
wait_ms        from the event's `time`, at which it was sent, until it was counted, of the run's last events:
               each function notes that moment with every event. Flat out it is the time in the queue
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import Usage, machine, median_of, percentile
from benchmarks.profiles import print_profile, profiled
from benchmarks.report import compare, print_figures
from benchmarks.stack import Stack
from benchmarks.stores_at import BENCH_SETS, empty, server_port, store_url, verify
from trades.store import EventNote
from tradewind.laptop.ledger import open_url

SCENARIOS: Mapping[str, Mapping[str, str]] = {
    "uniform": {"SYMBOLS": "3000"},
    "hot": {"SYMBOLS": "3000", "SYMBOL_SKEW": "6"},
    "abc": {"PROFILE": "abc"},
    "light": {},
}
LIGHT_PER_S = 300
LIGHT_S = 20
IDLE_S = 5
MAX_NOTES = 2_048


def main() -> None:
    if sys.argv[1:2] == ["compare"]:
        compare(*map(Path, sys.argv[2:4]))
        return
    options = parse()
    url = store_url(options.store)
    found: dict[str, object] = {
        "machine": machine(),
        "store": url.partition(":")[0],
        "options": vars(options),
    }
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    results: dict[str, dict[str, Any]] = {}
    for scenario in options.scenario:
        runs = []
        for number in range(1, options.runs + 1):
            with run_folder(options.folder) as folder:
                run = run_light if scenario == "light" else run_flat_out
                runs.append(run(scenario, url, folder, options))
            print(f"{scenario} {number}/{options.runs}: {headline(runs[-1])}", flush=True)
        results[scenario] = {"median": median_of(runs), "runs": runs}
        print_figures(f"{scenario}, median of {options.runs}", results[scenario]["median"])
    for file in sorted(options.profile.glob("*.txt")) if options.profile else ():
        print_profile(file)
    if options.json:
        found = {"machine": machine(), "store": url.partition(":")[0], "options": vars(options)}
        options.json.write_text(json.dumps({**found, "scenarios": results}, indent=2, default=str) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", default="sqlite", help="sqlite, aerospike or aerospike://HOST:PORT")
    parser.add_argument("--trades", type=int, default=1_000_000, help="in a run, flat out")
    parser.add_argument("--trades-per-event", type=int, default=500)
    parser.add_argument("--rate", type=float, default=0, help="trades a second; 0: flat out")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=["uniform"])
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of all processes"
    )
    parser.add_argument("--folder", type=Path, help="where a run's data goes (default: a temporary folder)")
    parser.add_argument("--profile", type=Path, help="folder that gets a py-spy profile of each process")
    parser.add_argument("--json", type=Path, help="file that gets all figures")
    return parser.parse_args()


@contextmanager
def run_folder(parent: Path | None) -> Iterator[Path]:
    """A folder for one run; it stays if the run fails."""
    if parent:
        parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="tradewind-bench-", dir=parent))
    yield folder / "data"
    shutil.rmtree(folder)


def run_flat_out(scenario: str, url: str, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """One run of `--trades` trades."""
    url, environment = prepare(url, folder, options)
    with Stack(folder, url, environment, server_port(url)) as stack:
        stack.start_generator(
            {
                **SCENARIOS[scenario],
                "TRADES_PER_SECOND": f"{options.rate}",
                "TRADES_PER_EVENT": f"{options.trades_per_event}",
                "MAX_TRADES": f"{options.trades}",
                "SEED": "1",
            }
        )
        started_s, before = time.time(), stack.usage()
        with profiled(stack.pids(), options.profile) if options.profile else nullcontext():
            stack.wait_until_done(options.trades, timeout_s=60 + options.trades / 1_000)
            seconds, after = time.time() - started_s, stack.usage()
        retried = sum(queue.total.retried for queue in stack.queues().values())
    verify(url, environment, options.trades)
    figures = {"trades_per_s": options.trades / seconds, "verified_trades": float(options.trades)}
    figures["retried_deliveries"] = float(retried)
    return figures | of_waits(url, environment, started_s) | per_trade(before, after, options.trades, seconds)


def run_light(scenario: str, url: str, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """300 trades a second, measured when all is warm; then nothing, measured when all is done."""
    url, environment = prepare(url, folder, options)
    with Stack(folder, url, environment, server_port(url)) as stack:
        stack.start_generator({**SCENARIOS[scenario], "TRADES_PER_SECOND": f"{LIGHT_PER_S}", "SEED": "1"})
        time.sleep(2)
        started_s, before = time.time(), stack.usage()
        time.sleep(LIGHT_S)
        ended_s, after = time.time(), stack.usage()
        trades = stack.stop_generator()
        stack.wait_until_done(trades, timeout_s=30)
        time.sleep(1)
        idle = stack.usage()
        time.sleep(IDLE_S)
        idle_after = stack.usage()
    verify(url, environment, trades)
    figures = {"verified_trades": float(trades)} | of_waits(url, environment, started_s)
    figures |= percent("cpu_percent", before, after, ended_s - started_s)
    figures["idle_cpus_percent"] = 100 - figures["cpu_percent.all"] / (os.cpu_count() or 1)
    return figures | percent("idle_cpu_percent", idle, idle_after, IDLE_S)


def prepare(url: str, folder: Path, options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """The store of this run, empty, and the settings that lead to it."""
    environment = {**BENCH_SETS, **dict(text.split("=", 1) for text in options.set)}
    if url == "sqlite:":
        return f"sqlite:{folder / 'store'}", environment
    empty(url)
    return url, environment


def per_trade(
    before: Mapping[str, Usage], after: Mapping[str, Usage], trades: int, seconds: float
) -> dict[str, float]:
    used = {name: usage.since(before[name]) for name, usage in after.items()}
    cpu_s = sum(usage.cpu_s for usage in used.values())
    figures = {"cpu_us.all": cpu_s / trades * 1e6, "cpus_used": cpu_s / seconds}
    figures |= {f"cpu_us.{name}": usage.cpu_s / trades * 1e6 for name, usage in used.items()}
    figures["written.all"] = sum(usage.written_bytes for usage in used.values()) / trades
    figures |= {f"written.{name}": usage.written_bytes / trades for name, usage in used.items()}
    return figures | {f"rss_mb.{name}": usage.peak_rss_bytes / 1e6 for name, usage in used.items()}


def percent(
    title: str, before: Mapping[str, Usage], after: Mapping[str, Usage], seconds: float
) -> dict[str, float]:
    """Of one CPU."""
    used = {name: 100 * usage.since(before[name]).cpu_s / seconds for name, usage in after.items()}
    return {f"{title}.all": sum(used.values())} | {f"{title}.{name}": part for name, part in used.items()}


def of_waits(url: str, environment: Mapping[str, str], since_s: float) -> dict[str, float]:
    """How long the last events took, from the functions' own notes."""
    with environ(environment), closing(open_url(url)) as store:
        notes = [note for note in store.read_notes(MAX_NOTES) if note.time_ms >= since_s * 1000]
    figures: dict[str, float] = {}
    for function, word in (("store_trade", "stored"), ("update_summary", "counted")):
        waits = [note.time_ms - sent_ms(note) for note in notes if note.function == function]
        if waits:
            figures |= {
                f"wait_ms.{word}.p50": percentile(waits, 0.5),
                f"wait_ms.{word}.p99": percentile(waits, 0.99),
                f"wait_ms.{word}.events": float(len(waits)),
            }
    return figures


def sent_ms(note: EventNote) -> float:
    return datetime.fromisoformat(note.attributes["time"]).timestamp() * 1000


@contextmanager
def environ(more: Mapping[str, str]) -> Iterator[None]:
    """Settings come from the environment, ours included."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def headline(figures: Mapping[str, float]) -> str:
    names = ("trades_per_s", "cpu_us.all", "cpu_percent.all", "wait_ms.counted.p50", "wait_ms.counted.p99")
    parts = [f"{name} {figures[name]:,.1f}" for name in names if name in figures]
    return ", ".join(parts) + f"; {figures['verified_trades']:,.0f} trades verified, no difference"


if __name__ == "__main__":
    main()
