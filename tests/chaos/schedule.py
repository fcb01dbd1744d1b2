"""Which process meets with what, and when: made from a seed, before anything runs. Pure."""

import random
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

SUPERVISOR = "supervisor"  # `tradewind up` itself: with it, all the others go
SERVER = "asd"  # the Aerospike server
PROCESSES = (
    "broker",
    "store-trade",
    "update-summary",
    "dead-letter",
    "query",
    "query worker",
    "generator",
    SUPERVISOR,
)

# The supervisor gives a process up that dies more than ten times in a minute.
KILL_AGAIN_AFTER_S = 8.0
# After 2 s a store call ends, after 10 s a process is shown as silent, after 20 s a function answers 503,
# after 30 s the broker tries again: stops are of all these lengths.
STOPS_S = (0.3, 1.0, 3.0, 12.0, 24.0, 36.0)


class Kind(StrEnum):
    """What is done to a process."""

    KILL = "killed"  # SIGKILL
    STOP = "stopped"  # SIGSTOP, and SIGCONT after `for_s`
    SLOW = "slowed"  # SIGSTOP and SIGCONT many times a second, for `for_s`


class Fault(NamedTuple):
    """`pause_s` after the fault before it began, this one begins; the two may overlap."""

    pause_s: float
    victim: str
    kind: Kind
    for_s: float = 0.0
    running_part: float = 1.0  # of the time, when slowed


def make_schedule(
    seed: int, victims: Sequence[str], mean_pause_s: float, longest_stop_s: float
) -> Iterator[Fault]:
    """Faults without end. Each victim has met with each kind once before any has met with one again.

    An Aerospike server is never killed here: it may lose what it acknowledged within `flush-max-ms`.
    """
    rng = random.Random(seed)
    killed_s: dict[str, float] = {}
    now_s = 0.0
    while True:
        kinds = {victim: rng.sample(list(Kind), len(Kind)) for victim in victims}
        for round_ in range(len(Kind)):
            for victim in rng.sample(list(victims), len(victims)):
                kind = kinds[victim][round_]
                if kind is Kind.KILL and victim == SERVER:
                    continue
                pause_s = min(rng.expovariate(1 / mean_pause_s), 5 * mean_pause_s)
                if kind is Kind.KILL:
                    pause_s = max(pause_s, killed_s.get(victim, -60.0) + KILL_AGAIN_AFTER_S - now_s)
                now_s += pause_s
                if kind is Kind.KILL:
                    killed_s[victim] = now_s
                    yield Fault(pause_s, victim, kind)
                elif kind is Kind.STOP:
                    yield Fault(pause_s, victim, kind, min(rng.choice(STOPS_S), longest_stop_s))
                else:
                    part = rng.choice((0.05, 0.2, 0.5))
                    yield Fault(pause_s, victim, kind, min(rng.uniform(2, 20), longest_stop_s), part)
