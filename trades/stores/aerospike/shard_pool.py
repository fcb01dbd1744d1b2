"""Which shard a process counts a group in."""

import random
import threading

from trades.stores.aerospike.shards import Shards


class ShardPool:
    """The one used last if it is free: what this process has in hand merges, and others seldom meet it.

    Groups that are counted at the same time have different shards. Thread-safe.
    """

    def __init__(self, shards: Shards, shard_count: int, randomness: random.Random) -> None:
        self._shards = shards
        self._shard_count = shard_count
        self._random = randomness
        self._lock = threading.Lock()
        self._taken: list[int] = []  # shards that groups are counted in right now
        self._idle: list[int] = []  # shards to take again, the last one first
        self._crowded: set[int] = set()  # shards that are others' too: not to take again

    def take(self) -> int:
        with self._lock:
            writable = self._shards.writable[: self._shard_count]
            idle = [shard for shard in self._idle if shard in writable]
            if idle:
                shard = idle[-1]
                self._idle.remove(shard)
            else:
                free = [shard for shard in writable if shard not in self._taken]
                shard = self._random.choice(free or writable)
            self._taken.append(shard)
            return shard

    def give_back(self, shard: int) -> None:
        with self._lock:
            self._taken.remove(shard)
            if shard not in self._crowded and shard not in self._idle:
                self._idle.append(shard)
            self._crowded.discard(shard)

    def avoid(self, shard: int) -> None:
        """Once it is given back."""
        self._crowded.add(shard)
