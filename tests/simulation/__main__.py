"""Run many schedules, or one: `python -m tests.simulation --seeds 1000000`.

Exit code: 0 if every schedule ended as it should, 1 if some did not.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.schedules import STORES, find_failures, how_to_repeat, run_seed

_CHUNK = 100
_PROGRESS_S = 10.0


def main() -> int:
    options = _parse()
    if options.seed is not None:
        return _run_one(options.seed, options.store, options.story)
    chunks = [
        range(start, min(start + _CHUNK, options.first + options.seeds))
        for start in range(options.first, options.first + options.seeds, _CHUNK)
    ]
    failures = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        results = pool.map(find_failures, chunks, [options.store] * len(chunks))
        for seed, reason in _with_progress(results, len(chunks)):
            failures += 1
            print(f"{how_to_repeat(seed, options.store)}\n    {reason}", flush=True)
    print(f"{options.seeds:,} schedules on {options.store}, {failures:,} failed.")
    return 1 if failures else 0


def _run_one(seed: int, store: str, with_story: bool) -> int:
    loop, failure = run_seed(seed, store)
    if with_story:
        for line in loop.story:
            print(*line)
    if failure is None:
        print(
            f"Seed {seed} ended as it should, after {loop.steps:,} steps and {loop.now_ms:,} ms of its clock."
        )
        return 0
    traceback.print_exception(failure)
    return 1


def _with_progress(results: Iterable[list[tuple[int, str]]], chunks: int) -> Iterator[tuple[int, str]]:
    told_s = time.monotonic()
    for number, failures in enumerate(results, 1):
        yield from failures
        if time.monotonic() - told_s > _PROGRESS_S:
            told_s = time.monotonic()
            print(f"{number / chunks:.0%}", file=sys.stderr, flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many schedules (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed (default 0)")
    parser.add_argument("--store", choices=sorted(STORES), default="aerospike")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: all cores)")
    parser.add_argument("--seed", type=int, help="run this one alone, and show how it failed")
    parser.add_argument("--story", action="store_true", help="with --seed: show every step")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
