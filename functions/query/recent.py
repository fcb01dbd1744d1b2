"""Store reads that many clients ask for at once, kept for a moment."""

from collections.abc import Callable
from threading import Lock
from typing import TypeVar, cast

KEPT_MS = 250
KEPT_TIMES = 4  # as long as it took to read, so that the same read takes a fifth of the time at most
MAX_KEPT_MS = 2_000
_MAX_KEPT = 256

T = TypeVar("T")


class Recent:
    """Answers by key. Two threads may read the same thing twice; neither waits."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._kept: dict[object, tuple[int, int, object]] = {}  # begun, kept until
        self._generation = 0
        self._lock = Lock()

    def get(self, key: object, read: Callable[[], T], kept_ms: int = KEPT_MS) -> T:
        """An answer that is no older than `kept_ms`, or KEPT_TIMES as old as it took to read."""
        now_ms = self._clock_ms()
        with self._lock:
            kept, generation = self._kept.get(key), self._generation
        if kept is not None and kept[0] <= now_ms < kept[1]:
            return cast(T, kept[2])
        answer = read()
        took_ms = self._clock_ms() - now_ms
        until_ms = now_ms + max(kept_ms, min(KEPT_TIMES * took_ms, MAX_KEPT_MS))
        with self._lock:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            if generation == self._generation:  # else it may be from before what has to be seen
                self._kept[key] = (now_ms, until_ms, answer)
        return answer

    def forget(self) -> None:
        """After a write of our own, which the next reader has to see."""
        with self._lock:
            self._kept.clear()
            self._generation += 1
