"""A histogram that is counted here and only read by Prometheus: next to no cost for an event."""

from bisect import bisect_left
from collections.abc import Sequence


class Buckets:
    """How many values were at most each of `bounds` (ascending), and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.sum = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[str, float]]:
        """Pairs of an upper bound, the last `+Inf`, and how many values were not above it."""
        names = [*map(str, map(float, self._bounds)), "+Inf"]
        total, found = 0, list[tuple[str, float]]()
        for name, count in zip(names, self._counts, strict=True):
            total += count
            found.append((name, total))
        return found
