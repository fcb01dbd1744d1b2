"""What the benchmarks have in common: what a process has used, the machine, medians."""

import os
import platform
import socket
import sqlite3
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """What one process has used since it began, from Linux's /proc."""

    cpu_s: float  # user and system time, all threads
    peak_rss_bytes: int
    written_bytes: int  # caused to be sent to the disk

    def since(self, before: "Usage") -> "Usage":
        """The growth; the peak stays the peak."""
        return Usage(
            self.cpu_s - before.cpu_s, self.peak_rss_bytes, self.written_bytes - before.written_bytes
        )


def read_usage(pid: int) -> Usage:
    """Of one process, without its children. One that has ended and was not waited for has no memory."""
    status, io = _read_fields(Path(f"/proc/{pid}/status")), _read_fields(Path(f"/proc/{pid}/io"))
    return Usage(cpu_s(pid), int(status.get("VmHWM", "0").split()[0]) * 1024, int(io["write_bytes"]))


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def pid_listening(port: int) -> int | None:
    """The process of this machine that listens on a TCP port of IPv4, if we may know."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1][-4:], 16) == port}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(str(file.readlink()) in sockets for file in folder.iterdir()):
                return int(folder.parent.name)
        except OSError:
            continue
    return None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def machine() -> dict[str, str | int]:
    """What a figure cannot do without."""
    names = (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name"))  # fmt: skip
    return {
        "cpu": next(names, platform.machine()),
        "cpus": os.cpu_count() or 0,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def median_of(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each figure that all runs have."""
    names = [name for name in runs[0] if all(name in run for run in runs)]
    return {name: statistics.median(run[name] for run in runs) for name in names}


def percentile(values: Iterable[float], part: float) -> float:
    """The value below which `part` (0 to 1) of them are."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def _read_fields(path: Path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
