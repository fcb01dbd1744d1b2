"""One look at a running pipeline: what the screen shows. Pure: how numbers become rates."""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tradewind.laptop.process import State


@dataclass(frozen=True)
class ProcessRow:
    """One supervised process."""

    name: str
    state: State
    reason: str
    restarts: int
    pid: int
    url: str
    cpu_percent: float | None  # of one core, since the last look; None: not known here


class QueueTotal(msgspec.Struct, frozen=True):
    """What the broker has done for one trigger, over all its runs."""

    delivered: int = 0
    retried: int = 0
    dead_lettered: int = 0


class Queue(msgspec.Struct, frozen=True):
    """What the broker says about one trigger. Deliveries."""

    pending: int = 0  # not done yet, those in flight included
    kept: int = 0  # given up, and not taken by the dead-letter function either
    total: QueueTotal = QueueTotal()


class Progress(msgspec.Struct, frozen=True):
    """A line of the generator's `--progress json`."""

    sent_trades: int = 0
    accepted_trades: int = 0
    accepted_events: int = 0
    resent: int = 0
    refused: int = 0
    in_flight: int = 0
    asked_per_s: float = 0
    achieved_per_s: float = 0
    paused: bool = False
    final: bool = False


class StoreTotals(msgspec.Struct, frozen=True):
    """What the query function says at /v1/totals."""

    trades_stored: int = 0
    trades_counted: int = 0
    dead_letters_waiting: int = 0


@dataclass(frozen=True)
class Snapshot:
    """Everything at one moment; a part that did not answer is as it was last."""

    elapsed_s: float
    processes: list[ProcessRow]
    own_cpu_percent: float = 0.0
    sent: int = 0
    accepted: int = 0
    refused: int = 0  # events that the broker would not take
    paused: bool = False
    store: StoreTotals = field(default_factory=StoreTotals)
    queues: Mapping[str, Queue] = field(default_factory=dict)
    duplicates: int = 0  # deliveries of events that were done before
    retried: int = 0
    sent_per_s: float = 0
    counted_per_s: float = 0

    @property
    def waiting(self) -> int:
        """Deliveries that the broker has not finished."""
        return sum(queue.pending for queue in self.queues.values())

    @property
    def cpu_percent(self) -> float | None:
        """Of one core, by all processes and the supervisor."""
        known = [row.cpu_percent for row in self.processes if row.cpu_percent is not None]
        return self.own_cpu_percent + sum(known) if known else None


class Rate:
    """A count's growth a second, over the last `span_s` seconds."""

    def __init__(self, span_s: float = 5.0) -> None:
        self._span_s = span_s
        self._seen: deque[tuple[float, int]] = deque(maxlen=1_000)

    def seen(self, now_s: float, count: int) -> float:
        self._seen.append((now_s, count))
        while len(self._seen) > 2 and now_s - self._seen[1][0] >= self._span_s:
            self._seen.popleft()
        first_s, first = self._seen[0]
        return max(0.0, (count - first) / (now_s - first_s)) if now_s > first_s else 0.0


def queues_of(status: Mapping[str, Any]) -> dict[str, Queue]:
    """The triggers in the broker's /-/status, by their names without the namespace."""
    return {row["name"].rpartition("/")[2]: msgspec.convert(row, Queue) for row in status.get("triggers", [])}


_DUPLICATES = re.compile(r'^\w+_total\{[^}]*verdict="DUPLICATE"[^}]*\} ([0-9.e+]+)$', re.MULTILINE)


def count_duplicates(metrics: str) -> int:
    """Events answered DUPLICATE, from a function's metrics in Prometheus' text form."""
    return int(sum(map(float, _DUPLICATES.findall(metrics))))
