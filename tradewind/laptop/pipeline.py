"""The pipeline as a whole: start everything, keep it running, and stop it in an order that loses no work."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tradewind.laptop.child import Child
from tradewind.laptop.folder import DataFolder, LogFile, Run, RunningProcess
from tradewind.laptop.leash import Leash
from tradewind.laptop.monitor import Monitor
from tradewind.laptop.process import State
from tradewind.laptop.program import Program
from tradewind.laptop.snapshot import Snapshot

START_DEADLINE_S = 60.0
START_TELL_S = 5.0
START_POLL_S = 0.02
DRAIN_DEADLINE_S = 60.0
DRAIN_POLL_S = 0.1
GENERATOR_GRACE_S = 15.0
GRACE_S = 10.0
TRIM_INTERVAL_S = 5.0


class CannotStart(Exception):
    """A process was not ready in time or died; the message has its last lines."""


class Screen(Protocol):
    """Where the user looks."""

    interval_s: float

    def say(self, text: str) -> None:
        """A line that stays."""

    def show(self, snapshot: Snapshot) -> None:
        """The state of things now."""


@dataclass(frozen=True)
class Plan:
    """What runs."""

    folder: DataFolder
    run: Run
    servers: list[Program]
    generator: Program | None
    on_run: Callable[[Run], None] = lambda run: None  # told when a process starts or ends


class Pipeline:
    """Use: `start()`, `start_generator()`, `watch()`, `stop()`, with an open Monitor and Leash."""

    def __init__(self, plan: Plan, monitor: Monitor, screen: Screen, leash: Leash) -> None:
        self._plan, self._monitor, self._screen, self._leash = plan, monitor, screen, leash
        self.children = [self._make_child(program) for program in plan.servers]
        self.attached: dict[str, Child] = {}  # the user's own: what they do must not end the rest
        self._runs: dict[Child, asyncio.Task[None]] = {}
        self._probes: dict[Child, asyncio.Task[None]] = {}
        self.generator: Child | None = None
        self._run_is_written = True

    @property
    def everyone(self) -> list[Child]:
        return [*self.children, *self.attached.values()]

    def _make_child(self, program: Program) -> Child:
        log = LogFile(self._plan.folder.logs / f"{program.name}.log")
        on_line = self._monitor.progress if program.tells_progress else None
        return Child(program, log, self._leash, on_line=on_line, on_change=self._changed)

    # Start

    async def start(self) -> None:
        """Return when all servers are ready. Raises CannotStart as soon as one of them cannot be."""
        for child in self.children:
            self._launch(child)
        await self._until_ready()

    async def start_generator(self) -> None:
        """Return when it sends: now the run begins. Raises CannotStart."""
        if self._plan.generator is not None:
            self.generator = self._make_child(self._plan.generator)
            self.children.append(self.generator)
            self._launch(self.generator)
            await self._until_ready()
        self._monitor.begin()

    async def _until_ready(self) -> None:
        started_s = told_s = time.monotonic()
        while waiting := [child for child in self.children if not child.process.is_ready]:
            now_s = time.monotonic()
            failed = [child for child in waiting if child.process.state is State.FAILED]
            if failed or now_s - started_s > START_DEADLINE_S:
                raise CannotStart("\n".join(map(explain, failed or waiting)))
            if now_s - told_s > START_TELL_S:
                told_s = now_s
                self._screen.say(f"waiting for {', '.join(map(describe, waiting))}")
            await asyncio.sleep(START_POLL_S)

    def _launch(self, child: Child) -> None:
        self._runs[child] = asyncio.create_task(child.run())
        if child.program.url:
            self._probes[child] = asyncio.create_task(self._monitor.keep_probing(child))

    def attach(self, program: Program) -> None:
        """Start a function beside the pipeline's own."""
        self.attached[program.name] = child = self._make_child(program)
        self._launch(child)

    async def detach(self, name: str) -> None:
        """Stop an attached function; return when it is gone."""
        child = self.attached[name]
        await child.stop(GRACE_S)
        await self._runs.pop(child)
        self._probes.pop(child).cancel()
        del self.attached[name]
        self._write_run()

    # Run

    async def watch(self, asked_to_stop: asyncio.Event, for_s: float | None) -> bool:
        """Show how it goes until asked to stop, or for `for_s` seconds; False if a process gave up."""
        end_s = None if for_s is None else time.monotonic() + for_s
        trimmed_s = time.monotonic()
        told = ""
        while True:
            self._screen.show(await self._monitor.look(self.everyone))
            if (trouble := self._monitor.broker_trouble) != told:
                told = trouble
                self._screen.say(trouble or "the broker takes events again")
            failed = [child for child in self.children if child.process.state is State.FAILED]
            if failed:
                self._screen.say("\n".join(map(explain, failed)))
                return False
            now_s = time.monotonic()
            if now_s - trimmed_s > TRIM_INTERVAL_S:
                trimmed_s = now_s
                for child in self.everyone:
                    child.log.trim()
                if not self._run_is_written:
                    self._write_run()
            wait_s = self._screen.interval_s if end_s is None else min(self._screen.interval_s, end_s - now_s)
            if wait_s <= 0 or await happened(asked_to_stop, wait_s):
                return True

    def _changed(self, child: Child) -> None:
        """A child started, died or is stopping."""
        process = child.process
        if process.state is State.RESTARTING:
            self._screen.say(f"{process.name} died ({process.reason}); it starts again")
            if child is self.generator:
                self._monitor.generator_restarted()
        if process.state is State.FAILED and child in self.attached.values():
            self._screen.say(f"{explain(child)}\nThe rest goes on. Mend it and `tradewind attach` it again.")
        self._write_run()

    def _write_run(self) -> None:
        run = self._plan.run
        run.processes = {
            child.program.name: RunningProcess(
                child.process.pid,
                child.program.url,
                str(child.log.path),
                child.process.state is State.FAILED,
                child.program.asked_ms,
            )
            for child in self.everyone
        }
        try:
            self._plan.folder.write_run(run)
            self._plan.on_run(run)
        except OSError:  # the disk is full: what runs goes on, and this is written as soon as it can be
            self._run_is_written = False
        else:
            self._run_is_written = True

    # Stop

    async def stop(self, asked_again: asyncio.Event) -> tuple[Snapshot, int | None]:
        """Stop in order: generator, then what the broker still has to deliver, functions, broker.

        Returns the last look before the functions stopped, and how many deliveries were left (None: the
        broker did not say). `asked_again` cuts every wait short: deliveries stay in the broker's file, and
        what has not ended is killed.
        """
        if self.generator is not None:
            await self.generator.stop(GENERATOR_GRACE_S, asked_again)
        left = await self._drain(asked_again)
        last = await self._monitor.look(self.everyone, last=True)
        await self._stop_servers(asked_again)
        return last, left

    async def _drain(self, asked_again: asyncio.Event) -> int | None:
        deadline_s = time.monotonic() + DRAIN_DEADLINE_S
        told_s = time.monotonic()
        servers = [child.process for child in self.children if child is not self.generator]
        while True:
            over = {name for name, child in self.attached.items() if child.process.over}
            left = await self._monitor.waiting(besides=over)
            now_s = time.monotonic()
            if left == 0 or now_s > deadline_s or any(process.over for process in servers):
                return left
            if now_s - told_s > 1:
                told_s = now_s
                self._screen.say(f"{left:,} deliveries to go" if left is not None else "the broker is silent")
            if await happened(asked_again, DRAIN_POLL_S):
                return left

    async def _stop_servers(self, hurry: asyncio.Event) -> None:
        functions = [child for child in self.everyone if child.program.name != "broker"]
        broker = [child for child in self.children if child.program.name == "broker"]
        await asyncio.gather(*(child.stop(GRACE_S, hurry) for child in functions))
        await asyncio.gather(*(child.stop(GRACE_S, hurry) for child in broker))
        await self._end_tasks()

    async def abort(self, asked_again: asyncio.Event) -> None:
        """Stop everything at once, after a start that failed or was broken off."""
        await asyncio.gather(*(child.stop(GRACE_S, asked_again) for child in self.everyone))
        await self._end_tasks()

    async def _end_tasks(self) -> None:
        for probe in self._probes.values():
            probe.cancel()
        await asyncio.gather(*self._runs.values())


def describe(child: Child) -> str:
    """`query (it does not listen yet)`."""
    process = child.process
    return f"{process.name} ({process.reason or process.state})"


def explain(child: Child) -> str:
    """How it ended or what is wrong, with the last lines of its log."""
    process = child.process
    lines = "\n".join(f"    {line}" for line in child.log.tail())
    return f"{process.name}: {process.state} ({process.reason}); the end of {child.log.path}:\n{lines}"


async def happened(event: asyncio.Event, within_s: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), within_s)
    except TimeoutError:
        return False
    return True
