"""`python -m tests.fuzz --minutes 10 --seed 1`: odd requests for codec, filters, broker, functions and query.

It prints what it did and ends with 1 at the first defect, whose request it keeps in `tests/fuzz/seeds`; the
test suite sends each that is there again.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from urllib.request import urlopen

from tests.fuzz.conditions import check_filters, make_filters
from tests.fuzz.inputs import Case, make_case, make_message
from tests.fuzz.properties import check_codec
from tests.fuzz.servers import Defect, Server, running

SEEDS = Path(__file__).with_name("seeds")
CODEC_CASES = 5  # for each that is sent
CHECK_EVERY = 500
TELL_S = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as servers:
        try:
            fuzz(Random(given.seed), servers, given.minutes * 60, seen)
        except Defect as defect:
            print(f"DEFECT after {seen.total():,} cases with seed {given.seed}: {defect}", file=sys.stderr)
            return 1
        finally:
            print(json.dumps(dict(sorted(seen.items()))))
    print("no defect")
    return 0


def fuzz(random: Random, servers: list[Server], for_s: float, seen: Counter[str]) -> None:
    """Raises Defect."""
    end_s = time.monotonic() + for_s
    told_s = time.monotonic()
    number = 0
    while time.monotonic() < end_s:
        number += 1
        for _ in range(CODEC_CASES):
            seen[f"codec {check(random)}"] += 1
            seen[f"filter {condition(random)}"] += 1
        server = random.choice(servers)
        case = server.make(random) if server.make else make_case(random, server.path)
        seen[f"{server.name} {talk(server, case)}"] += 1
        if number % CHECK_EVERY == 0:
            for each in servers:
                each.check()
            read_all(servers[0])
        if time.monotonic() - told_s > TELL_S:
            told_s = time.monotonic()
            print(f"{number:,} requests, {number * CODEC_CASES:,} messages", flush=True)
    for each in servers:
        each.check()


def check(random: Random) -> str:
    message = make_message(random)
    try:
        return check_codec(message)
    except Exception as error:
        raise Defect(f"codec: {error!r} for {message.headers!r:.2000} {message.body!r:.2000}") from error


def condition(random: Random) -> str:
    spec = make_filters(random)
    try:
        return check_filters(spec, random)
    except Exception as error:
        kept = SEEDS / f"{len(list(SEEDS.iterdir())) + 1}.filters"
        kept.write_text(json.dumps(spec))
        raise Defect(f"filters: {error!r} for {kept}") from error


def talk(server: Server, case: Case) -> int | None:
    try:
        return server.talk(case)
    except Defect:
        SEEDS.mkdir(exist_ok=True)
        kept = SEEDS / f"{server.name}-{len(list(SEEDS.iterdir())) + 1}.request"
        kept.write_bytes(b"".join(case.pieces))
        raise


def read_all(broker: Server) -> None:
    """What it has taken can be looked at. Raises Defect."""
    try:
        with urlopen(f"http://127.0.0.1:{broker.port}/-/events?limit=1000", timeout=60) as answer:
            assert json.load(answer, parse_int=str, parse_float=str)["events"]
    except (OSError, ValueError) as error:
        raise Defect(f"broker: its events cannot be read: {error}") from error


if __name__ == "__main__":
    raise SystemExit(main())
