"""Does anything grow that should not? The whole pipeline at an even rate, looked at every few seconds.

    python -m benchmarks.soak                                  # 30 minutes, SQLite, 300 trades a second
    python -m benchmarks.soak --minutes 60 --rate 5000         # half of what the machine can
    python -m benchmarks.soak --store aerospike --json soak.json

It begins flat out, with `--fill` trades, and many who look at the page: a database's page cache grows to its
bound (64 MB in a process that writes), threads begin as they are needed, and neither is a leak. Then it is
even, and the first quarter of that is compared with the last: of what a process holds, the least in a
quarter, which grows with a leak and not with a burst; of times, the median. More than 10 % (and more than the
figure's own grain) is too much.

rss_mb       resident memory of a process, with its children
files        open descriptors that are no sockets
sockets      connections: a pool keeps those of its last burst for a while, so a few more are no growth
threads      of the process
wait_ms      from the event's `time`, at which it was sent, until it was counted: p50 and p99 of a sample
cpu_percent  of one CPU; shown, not judged

Not judged: `asd`, whose memory is the data itself. Meanwhile somebody looks at the page: the query function
is asked for totals, a list, a ticker's trades and prices at each sample.

Exit code: 0 all is flat; 1 something grew, or the store is not right at the end.
"""

import argparse
import json
import statistics
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

from benchmarks.measure import cpu_s, machine, percentile
from benchmarks.pipeline import MAX_NOTES, environ, prepare, run_folder, sent_ms
from benchmarks.stack import Stack
from benchmarks.stores_at import server_port, store_url, verify
from trades.store import TradeStore
from tradewind.laptop.ledger import open_url

LOOKERS = 32  # twice the query function's threads
SAMPLE_S = 5.0
SETTLE_S = 180.0  # at an even rate caches go on growing for two minutes
TOLERANCE = 0.10
# What a figure may differ by chance. Sockets: as many deliveries as the broker makes at a time to a function.
GRAIN = {"rss_mb": 1.0, "files": 1.0, "sockets": 64.0, "threads": 1.0, "wait_ms": 2.0}
HELD = ("rss_mb", "files", "sockets", "threads")
DATABASES = ("asd",)
TICKER = "/v1/tickers/AAPL"
ASKED = ("/v1/totals", "/v1/tickers?limit=100", TICKER, f"{TICKER}/trades", f"{TICKER}/prices")

Sample = dict[str, float]


def main() -> int:
    options = parse()
    url = store_url(options.store)
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    with run_folder(options.folder) as folder:
        url, environment = prepare(url, folder, options)
        with Stack(folder, url, environment, server_port(url)) as stack:
            trades = fill(stack, options.fill)
            stack.start_generator({"TRADES_PER_SECOND": f"{options.rate}", "SEED": "2"})
            time.sleep(min(SETTLE_S, options.minutes * 6))
            with environ(environment), closing(open_url(url)) as store:
                samples = observe(stack, store, options.minutes * 60)
            trades += stack.stop_generator()
            stack.wait_until_done(trades - options.fill, timeout_s=120)
        growths = compare(samples)
        for line in describe(growths):
            print(line)
        if options.json:
            report = {"machine": machine(), "options": vars(options), "growths": growths, "samples": samples}
            options.json.write_text(json.dumps(report, indent=1, default=str) + "\n")
        print(f"Verifying {trades:,} trades.", flush=True)
        verify(url, environment, trades)
    grown = [name for name, (first, last) in growths.items() if is_growth(name, first, last)]
    print(f"\n{len(samples)} samples, {trades:,} trades verified, no difference. ", end="")
    print(f"Grew: {', '.join(grown)}" if grown else "All is flat.")
    return 1 if grown else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=30, help="of even load")
    parser.add_argument("--rate", type=float, default=300, help="trades a second")
    parser.add_argument("--fill", type=int, default=1_000_000, help="trades before, flat out")
    parser.add_argument("--store", default="sqlite", help="sqlite, aerospike or aerospike://HOST:PORT")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of all processes"
    )
    parser.add_argument("--folder", type=Path, help="where the run's data goes (default: a temporary folder)")
    parser.add_argument("--json", type=Path, help="file that gets all samples")
    return parser.parse_args()


def fill(stack: Stack, trades: int) -> int:
    """Send so many trades flat out, and when all are counted have many look at the page at once."""
    if trades:
        stack.start_generator({"TRADES_PER_SECOND": "0", "MAX_TRADES": f"{trades}", "SEED": "1"})
        stack.wait_until_done(trades, timeout_s=120 + trades / 500)
    with ThreadPoolExecutor(LOOKERS) as pool:
        list(pool.map(ask_query, [stack.query_url] * LOOKERS * 5))
    return trades


def observe(stack: Stack, store: TradeStore, seconds: float) -> list[Sample]:
    """A sample every SAMPLE_S. So many are taken as fit in that time: a machine that sleeps takes longer."""
    samples: list[Sample] = []
    started_s = looked_s = time.monotonic()
    seen_ms, used = time.time() * 1000, cpu_of(stack)
    for _ in range(max(int(seconds / SAMPLE_S), 4)):
        time.sleep(SAMPLE_S)
        ask_query(stack.query_url)
        sample, seen_ms = waits(store, seen_ms)
        before_s, looked_s, before, used = looked_s, time.monotonic(), used, cpu_of(stack)
        for name, cpu in used.items():
            sample[f"cpu_percent.{name}"] = 100 * (cpu - before[name]) / (looked_s - before_s)
        for name, pids in stack.everyone().items():
            sample |= {f"{figure}.{name}": value for figure, value in look_at(pids).items()}
        samples.append({"elapsed_s": looked_s - started_s, **sample})
    return samples


def look_at(pids: Sequence[int]) -> Sample:
    """What processes hold, from Linux's /proc."""
    rss_kib = threads = files = sockets = 0
    for pid in pids:
        folder = Path(f"/proc/{pid}")
        fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        rss_kib += int(fields["VmRSS"].split()[0])
        threads += int(fields["Threads"])
        for descriptor in (folder / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                if str(descriptor.readlink()).startswith("socket:"):
                    sockets += 1
                else:
                    files += 1
    return {"rss_mb": rss_kib / 1000, "threads": threads, "files": files, "sockets": sockets}


def cpu_of(stack: Stack) -> dict[str, float]:
    return {name: sum(map(cpu_s, pids)) for name, pids in stack.everyone().items()}


def waits(store: TradeStore, since_ms: float) -> tuple[Sample, float]:
    """How long the events took that were counted since then, and the time of the last of them."""
    notes = [
        note
        for note in store.read_notes(MAX_NOTES)
        if note.function == "update_summary" and note.time_ms > since_ms
    ]
    if not notes:
        return {}, since_ms
    found = [note.time_ms - sent_ms(note) for note in notes]
    return (
        {"wait_ms.p50": percentile(found, 0.5), "wait_ms.p99": percentile(found, 0.99)},
        max(note.time_ms for note in notes),
    )


def ask_query(url: str) -> None:
    """As somebody who looks at the page."""
    for path in ASKED:
        with urllib.request.urlopen(url + path, timeout=30) as answer:  # noqa: S310
            answer.read()


def compare(samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Each figure in the first quarter and in the last."""
    quarter = max(len(samples) // 4, 1)
    sides: list[Mapping[str, list[float]]] = []
    for part in (samples[:quarter], samples[-quarter:]):
        values: defaultdict[str, list[float]] = defaultdict(list)
        for sample in part:
            for name, value in sample.items():
                values[name].append(value)
        sides.append(values)
    first, last = sides
    return {
        name: (typical(name, first[name]), typical(name, last[name]))
        for name in sorted(first.keys() & last.keys() - {"elapsed_s"})
    }


def typical(name: str, values: Sequence[float]) -> float:
    return min(values) if name.partition(".")[0] in HELD else statistics.median(values)


def is_growth(name: str, first: float, last: float) -> bool:
    figure, _, process = name.partition(".")
    grain = GRAIN.get(figure)
    return grain is not None and process not in DATABASES and last - first > max(TOLERANCE * first, grain)


def describe(growths: Mapping[str, tuple[float, float]]) -> list[str]:
    lines = [f"\n{'':32}{'first quarter':>14}{'last quarter':>14}"]
    for name, (first, last) in growths.items():
        change = f"{100 * (last / first - 1):+8.1f} %" if first else ""
        grew = "  GREW" if is_growth(name, first, last) else ""
        lines.append(f"{name:32}{first:14,.1f}{last:14,.1f}{change}{grew}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
