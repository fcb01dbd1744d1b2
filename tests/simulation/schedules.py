"""Run a schedule by its seed: the same seed is the same schedule, on any machine."""

import random
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from tests.simulation.aerospike_stores import aerospike_stores
from tests.simulation.checks import check
from tests.simulation.events import Universe
from tests.simulation.faults import Faults
from tests.simulation.loop import Loop
from tests.simulation.sqlite_stores import sqlite_stores
from tests.simulation.world import FUNCTIONS, Scale, Stores, World, in_the_simulation

OpenStores = Callable[[Loop, random.Random, Faults], AbstractContextManager[Stores]]

STORES: dict[str, OpenStores] = {"aerospike": aerospike_stores, "sqlite": sqlite_stores}


def run_seed(seed: int, store: str) -> tuple[Loop, Exception | None]:
    """Run one schedule to its end and check it; gives the loop with its story, and what was wrong."""
    rng = random.Random(seed)
    loop = Loop()
    faults = Faults(rng, loop.tell)
    try:
        with in_the_simulation(), STORES[store](loop, rng, faults) as stores:
            world = World(rng, loop, faults, stores, _draw_scale(rng))
            world.run()
            check(world)
    except Exception as error:
        return loop, error
    finally:
        loop.close()
    return loop, None


def find_failures(seeds: Iterable[int], store: str) -> list[tuple[int, str]]:
    """The seeds whose schedules went wrong, and how, in a line each."""
    failures = []
    for seed in seeds:
        _, failure = run_seed(seed, store)
        if failure is not None:
            failures.append((seed, f"{type(failure).__name__}: {failure}"[:300]))
    return failures


def how_to_repeat(seed: int, store: str) -> str:
    """The command that runs a schedule again and tells its story."""
    return f"python -m tests.simulation --store {store} --seed {seed} --story"


def _draw_scale(rng: random.Random) -> Scale:
    return Scale(
        events=rng.randint(3, 25),
        gap_ms=rng.choice((5, 200, 10_000)),
        processes={name: rng.randint(1, 3) for name in FUNCTIONS},
        threads=rng.randint(1, 2),
        group_events=rng.choice((1, 3, 8)),
        universe=Universe(rng.randint(1, 3), rng.choice((3, 300)), rng.randint(1, 5)),
    )
