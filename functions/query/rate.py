"""A rate from a counter that is read now and then."""

from collections import deque

WINDOW_MS = 10_000
LEAST_MS = 1_000
_MAX_SAMPLES = 128


class RateMeter:
    """The counter's values of the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque(maxlen=_MAX_SAMPLES)

    def add(self, now_ms: int, count: int) -> None:
        self._samples.append((now_ms, count))
        while not 0 <= now_ms - self._samples[0][0] <= WINDOW_MS:
            self._samples.popleft()

    def per_second(self) -> float | None:
        """Over at most the last 10 s and at least one; None when nothing was read long enough ago."""
        if not self._samples:
            return None
        (then_ms, then_count), (now_ms, now_count) = self._samples[0], self._samples[-1]
        if now_ms - then_ms < LEAST_MS:
            return None
        return max(0.0, round((now_count - then_count) * 1_000 / (now_ms - then_ms), 1))
