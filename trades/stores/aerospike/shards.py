"""Which shards there are: numbers from 1 up, of which those folded away by `reshard` are never used again.

The state record has `shards`, the highest number ever used, and `closed`, the numbers that writers must not
use any more, each with how far its folding has come. What a process knows of them only grows: an old view
is harmless to a reader (it reads more records than it needs), and writers look again before they set an event
done (`counting`). Shard 1 is never closed.
"""

import threading
from collections.abc import Sequence
from typing import Any

from aerospike_helpers import expressions as exp
from aerospike_helpers.batch.records import Write

from trades.store import Expiry, StoreUnavailable
from trades.stores.aerospike.cluster import Bins, Cluster, Operation
from trades.stores.aerospike.errors import FILTERED_OUT, OK
from trades.stores.aerospike.layout import Names
from trades.stores.aerospike.plan import SORTED_MAP, put_items, put_value

FIRST = 1  # what is folded away goes into this one
FOLDING, FOLDED, CLEARED = 0, 1, 2  # of a closed shard; readers leave out those from FOLDED on

CLAIMS_EXPIRE, TRADES_EXPIRE = "claims_expire", "trades_expire"
STATE_BINS = ("shards", "closed", CLAIMS_EXPIRE)


class Shards:
    """What this process knows of the shards' numbers. Thread-safe."""

    def __init__(self, cluster: Cluster, names: Names) -> None:
        self._cluster = cluster
        self._key = names.state()
        self._lock = threading.Lock()
        self._highest = FIRST
        self._closed: dict[int, int] = {}
        self.claims_expire = False  # some process was ever told to let them

    def learn(self, state: Bins | None) -> None:
        """Take in what was just read of the state record."""
        state = state or {}
        with self._lock:
            self._highest = max(self._highest, state.get("shards") or 0)
            self.claims_expire = self.claims_expire or CLAIMS_EXPIRE in state
            closed = state.get("closed") or {}
            if closed != self._closed:
                self._closed = {
                    number: max(closed.get(number, FOLDING), self._closed.get(number, FOLDING))
                    for number in sorted(closed.keys() | self._closed.keys())
                }

    def read(self) -> None:
        (state,) = self._cluster.read([self._key], *STATE_BINS)
        self.learn(state)

    @property
    def closed(self) -> dict[int, int]:
        return self._closed  # replaced, never changed

    @property
    def writable(self) -> list[int]:
        closed = self._closed
        return [number for number in range(FIRST, self._highest + 1) if number not in closed]

    @property
    def readable(self) -> list[int]:
        closed = self._closed
        return [
            number for number in range(FIRST, self._highest + 1) if closed.get(number, FOLDING) == FOLDING
        ]

    def raise_count(self, count: int) -> None:
        """Have at least so many that may be written to, and readers know of them."""
        while True:
            (state,) = self._cluster.read([self._key], *STATE_BINS)
            self.learn(state)
            wanted = count + len(self._closed)
            known = (state or {}).get("shards")
            if wanted <= (known or 0):
                return
            operation: Operation = put_value("shards", wanted)
            if self._write(operation, _unchanged(known)):
                self.learn({"shards": wanted, "closed": self._closed})
                return

    def note_expiry(self, *bins: str) -> None:
        """That claims or raw trades may go: for ever, as `verify` has to know."""
        for name in bins:
            self._write(put_value(name, 1), None)
            self.learn({name: 1})

    def read_expiry(self) -> Expiry:
        (state,) = self._cluster.read([self._key], CLAIMS_EXPIRE, TRADES_EXPIRE)
        return Expiry(CLAIMS_EXPIRE in (state or {}), TRADES_EXPIRE in (state or {}))

    def close(self, numbers: Sequence[int]) -> None:
        """From now on nobody begins an event there, and nobody sets one done that was counted there."""
        self._note(dict.fromkeys(numbers, FOLDING))

    def note(self, numbers: Sequence[int], progress: int) -> None:
        """How far folding has come."""
        self._note(dict.fromkeys(numbers, progress))

    def _note(self, closed: dict[int, int]) -> None:
        if closed:
            self._write(put_items("closed", closed, SORTED_MAP), None)
            self.learn({"closed": closed})

    def _write(self, operation: Operation, only_where: Any) -> bool:
        """False if the record is not what it was."""
        write = Write(self._key, [operation])
        self._cluster.write([write], only_where)
        if write.result not in (OK, FILTERED_OUT):
            raise StoreUnavailable(f"Aerospike could not note the shards: code {write.result}")
        return bool(write.result == OK)


def _unchanged(known: int | None) -> Any:
    if known is None:
        return exp.Not(exp.BinExists("shards")).compile()
    return exp.Eq(exp.IntBin("shards"), known).compile()
