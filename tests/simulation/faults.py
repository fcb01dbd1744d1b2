"""What goes wrong, and how often: drawn from the seed, then decided one by one while the schedule runs."""

import random
from collections.abc import Callable

# A seed turns about half of these on, so that some schedules are ruled by one fault and others by many.
RATES = {
    # between producer, broker and functions
    "lost request": 0.3,
    "lost reply": 0.3,
    "duplicate": 0.3,
    "slow network": 0.3,
    # between a function and the store
    "store unreached": 0.15,  # the call fails, and nothing of it is done
    "store in doubt": 0.15,  # the call fails, and all or part of it is done
    "arrives late": 0.15,  # the call fails, and the server does it long afterwards
    "sent twice": 0.2,  # the client repeats a call whose answer was lost: the second answer counts
    "query breaks off": 0.1,  # before or after one of its pages
    "no node known": 0.05,  # the call succeeds, says the client, and nothing of it is sent
    "store down": 0.01,  # and stays so for a while
    "record in doubt": 0.1,  # of a call that succeeds for others
    "hot key": 0.05,  # a record is busy, and stays so for a while
    "record too big": 0.05,  # it takes no more before it is trimmed
    "zombie": 0.05,  # a worker sleeps in the middle of a call, then goes on
    # whole processes
    "process crash": 0.7,
    "more processes": 0.5,
    "broker restart": 0.5,
    "repair": 0.5,  # no fault: `tradewind repair`, while others write
    "reshard": 0.5,  # no fault either: `tradewind reshard`
    # events
    "bad data": 0.2,
    "conflict": 0.3,
    "sent again": 0.3,
    # in a broker that keeps nothing on disk
    "lost delivery": 0.1,  # to update-summary, and no dead letter tells of it
}
MAX_ZOMBIE_MS = 600_000


class Faults:
    """Says yes at the rate of a fault, until `is_over`."""

    def __init__(self, rng: random.Random, tell: Callable[[str], None]) -> None:
        self._rng, self._tell = rng, tell
        self.is_over = False
        self.rates = {
            name: rng.uniform(most / 10, most) if rng.random() < 0.5 else 0.0 for name, most in RATES.items()
        }

    def strikes(self, name: str) -> bool:
        rate = self.rates[name]
        strikes = rate > 0 and not self.is_over and self._rng.random() < rate
        if strikes:
            self._tell(name)
        return strikes

    def latency_ms(self, most_ms: int) -> int:
        """Short as a rule; long enough for others to do anything, now and then."""
        if self.strikes("zombie"):
            return self._rng.randrange(MAX_ZOMBIE_MS)
        return self._rng.randrange(most_ms + 1)
