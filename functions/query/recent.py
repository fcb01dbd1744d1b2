"""Store reads that many clients ask for at once, kept for a moment."""

from collections.abc import Callable
from threading import Lock
from typing import TypeVar, cast

KEPT_MS = 250
_MAX_KEPT = 64

T = TypeVar("T")


class Recent:
    """Answers by key, none older than KEPT_MS. Two threads may read the same thing twice; neither waits."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._kept: dict[object, tuple[int, object]] = {}
        self._lock = Lock()

    def get(self, key: object, read: Callable[[], T]) -> T:
        now_ms = self._clock_ms()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and 0 <= now_ms - kept[0] < KEPT_MS:
            return cast(T, kept[1])
        answer = read()
        with self._lock:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[key] = (now_ms, answer)
        return answer

    def forget(self) -> None:
        """After a write of our own, which the next reader has to see."""
        with self._lock:
            self._kept.clear()
