"""Processor time of processes, from Linux's /proc. Elsewhere nothing is known, and nothing is shown."""

import os
import time
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float | None:
    """Processor time of a process and its children, in seconds; None if that is not known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    own_s = sum(map(int, fields[11:15])) / _TICKS_PER_S  # with that of children that have ended
    return own_s + sum(cpu_s(int(child)) or 0.0 for child in children)


class CpuMeter:
    """Percent of one core between two looks."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, float]] = {}

    def percent(self, pid: int, now_s: float) -> float | None:
        used_s = cpu_s(pid) if pid else None
        if used_s is None:
            self._last.pop(pid, None)
            return None
        then_s, before_s = self._last.get(pid, (now_s, used_s))
        self._last[pid] = (now_s, used_s)
        return 100 * (used_s - before_s) / (now_s - then_s) if now_s > then_s else None


class OwnCpuMeter:
    """Percent of one core that this process used between two looks, without its children."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None

    def percent(self, now_s: float) -> float:
        used_s = time.process_time()
        then_s, before_s = self._last or (now_s, used_s)
        self._last = (now_s, used_s)
        return 100 * (used_s - before_s) / (now_s - then_s) if now_s > then_s else 0.0
