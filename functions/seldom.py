"""Things that may happen often and should be logged seldom."""

import threading
import time
from collections.abc import Callable


class Seldom:
    """Says yes at most `times` in an interval, whoever asks. May be asked from several threads."""

    def __init__(
        self, times: int = 10, interval_s: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._times = times
        self._interval_s = interval_s
        self._clock = clock
        self._left = 0
        self._until_s = float("-inf")
        self._lock = threading.Lock()

    def may(self) -> bool:
        with self._lock:
            now_s = self._clock()
            if now_s >= self._until_s:
                self._left = self._times
                self._until_s = now_s + self._interval_s
            if not self._left:
                return False
            self._left -= 1
            return True
