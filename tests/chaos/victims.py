"""Processes by their names, and signals that can't hit another one: a pidfd stays with its process."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.chaos.schedule import SUPERVISOR, Fault, Kind

TURN_S = 0.1  # of a slowed process: so often it is stopped and goes on


class Victim:
    """One process, as long as this object is open."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError."""
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def __enter__(self) -> "Victim":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def signal(self, number: signal.Signals) -> bool:
        """Whether it was still there."""
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            return False
        return True


class Faults:
    """Carries faults out. `find` says which process has a name now; None: none has."""

    def __init__(self, find: Callable[[str], int | None]) -> None:
        self.done: Counter[tuple[str, Kind]] = Counter()
        self._find = find
        self._under_way: set[asyncio.Task[None]] = set()

    async def begin(self, fault: Fault) -> bool:
        """Kill at once; stop and slow in the background. False: there was no such process.

        The supervisor is killed when all the others run: a stopped process can't end with it.
        """
        if fault.kind is Kind.KILL and fault.victim == SUPERVISOR:
            await self.end_all()
        pid = self._find(fault.victim)
        if pid is None:
            return False
        try:
            victim = Victim(pid)
        except ProcessLookupError:
            return False
        self.done[fault.victim, fault.kind] += 1
        if fault.kind is Kind.KILL:
            with victim:
                return victim.signal(signal.SIGKILL)
        task = asyncio.create_task(_hold(victim, fault))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return True

    async def end_all(self) -> None:
        """Let everybody go on."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _hold(victim: Victim, fault: Fault) -> None:
    with victim:
        try:
            if fault.kind is Kind.STOP:
                victim.signal(signal.SIGSTOP)
                await asyncio.sleep(fault.for_s)
            else:
                await _slow(victim, fault)
        finally:
            victim.signal(signal.SIGCONT)


async def _slow(victim: Victim, fault: Fault) -> None:
    end_s = time.monotonic() + fault.for_s
    while time.monotonic() < end_s and victim.signal(signal.SIGSTOP):
        await asyncio.sleep(TURN_S * (1 - fault.running_part))
        victim.signal(signal.SIGCONT)
        await asyncio.sleep(TURN_S * fault.running_part)


def find_process(data: Path, name: str) -> int | None:
    """The process of a pipeline that has this name in `run.json`, or the one that it forked."""
    processes = read_run(data).get("processes", {})
    name, _, worker = name.partition(" ")
    pid = processes.get(name, {}).get("pid") or None
    if pid is None or not worker:
        return pid
    with suppress(OSError, StopIteration):
        return int(next(iter(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())))
    return None


def read_run(data: Path) -> dict[str, Any]:
    """`run.json`, or nothing."""
    try:
        found = json.loads((data / "run.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def find_marked(mark: str) -> dict[int, str]:
    """Processes that were started with `mark` (NAME=VALUE) in their environment, and their commands."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found
