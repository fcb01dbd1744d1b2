"""Many schedules, each from its seed: nothing is lost, nothing is counted twice, whatever goes wrong."""

from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.faults import RATES
from tests.simulation.schedules import find_failures, how_to_repeat, run_seed
from trades.stores.aerospike.errors import ELEMENT_EXISTS, EXISTS, FILTERED_OUT, NOT_FOUND, OK

SEEDS = 1_000
CHUNK = 200
SQLITE_SEEDS = 60

_KEPT = [
    line.split(maxsplit=2)[:2]
    for line in Path(__file__).with_name("seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def check_seeds(seeds: range, store: str) -> None:
    failures = [f"{how_to_repeat(seed, store)}\n    {why}" for seed, why in find_failures(seeds, store)]
    assert not failures, "\n".join(["Keep these seeds in seeds.txt:", *failures])


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_aerospike(first: int) -> None:
    check_seeds(range(first, first + CHUNK), "aerospike")


def test_sqlite() -> None:
    check_seeds(range(SQLITE_SEEDS), "sqlite")


@pytest.mark.parametrize(("store", "seed"), _KEPT)
def test_what_once_went_wrong(store: str, seed: str) -> None:
    check_seeds(range(int(seed), int(seed) + 1), store)


def test_the_schedules_reach_every_corner() -> None:
    """Every fault strikes, and the server gives every kind of answer, more than once in 100 schedules."""
    seen: Counter[str] = Counter()
    for seed in range(100):
        for _, *what in run_seed(seed, "aerospike")[0].story:
            seen[str(what[0] if len(what) == 1 else what[-1])] += 1
    wanted = {*RATES, OK, NOT_FOUND, EXISTS, ELEMENT_EXISTS, FILTERED_OUT}
    assert not [what for what in wanted if seen[str(what)] < 2]
