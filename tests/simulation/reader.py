"""A page that puts its table together from changes alone, which it asks one process or another for."""

import random
from collections.abc import Sequence
from contextlib import suppress

from tests.simulation.faults import Faults
from tests.simulation.loop import Loop
from trades.store import StoreError, TradeStore
from trades.summary import Summary

_PAUSE_MS = 30_000


class Reader:
    """Reads while others write, and once more when all is settled."""

    def __init__(self, loop: Loop, rng: random.Random, faults: Faults, stores: Sequence[TradeStore]) -> None:
        self._loop, self._rng, self._faults, self._stores = loop, rng, faults, stores
        self._cursor = 0
        self.table: dict[str, Summary] = {}

    def watch(self) -> None:
        """Until faults are over."""
        while not self._faults.is_over:
            with suppress(StoreError):
                self.read()
            self._loop.pause(self._rng.randrange(_PAUSE_MS))

    def read(self) -> None:
        changed, self._cursor = self._rng.choice(self._stores).read_changed_summaries(self._cursor)
        self.table |= changed
