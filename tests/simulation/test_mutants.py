"""The simulation can fail: each rule of a protocol that is taken out is missed within some schedules."""

import pytest

from tests.simulation.mutants import AEROSPIKE_MUTANTS, SQLITE_MUTANTS, Mutant
from tests.simulation.schedules import run_seed

MAX_SEEDS = 1_000
CASES = [
    pytest.param(mutant, store, id=f"{store}-{mutant.__name__}")
    for store, mutants in (("aerospike", AEROSPIKE_MUTANTS), ("sqlite", SQLITE_MUTANTS))
    for mutant in mutants
]


@pytest.mark.parametrize(("mutant", "store"), CASES)
def test_is_found(mutant: Mutant, store: str) -> None:
    with mutant():
        failures = (run_seed(seed, store)[1] for seed in range(MAX_SEEDS))
        found = next((failure for failure in failures if failure is not None), None)
    # By an invariant; or the code stumbles over an answer that it was made to believe.
    assert isinstance(found, AssertionError | KeyError), found
