"""A seed is a schedule: the same one every time, whatever order the sets of a process have."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("store", ["aerospike", "sqlite"])
def test_the_same_story_in_every_process(store: str) -> None:
    stories = {tell_stories(store, hash_seed) for hash_seed in ("1", "2")}
    assert len(stories) == 1
    assert len(stories.pop().splitlines()) > 1_000


def tell_stories(store: str, hash_seed: str) -> str:
    command = (
        "from tests.simulation.schedules import run_seed\n"
        "for seed in range(12):\n"
        f"    for line in run_seed(seed, {store!r})[0].story: print(seed, *line)"
    )
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
