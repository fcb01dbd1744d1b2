"""One supervised process: start it, start it again when it dies, stop it."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE
from asyncio.subprocess import Process as Subprocess
from collections.abc import Callable

from tradewind.laptop.folder import LogFile
from tradewind.laptop.leash import Leash
from tradewind.laptop.process import Process
from tradewind.laptop.program import Program

MAX_LINE_BYTES = 64 * 1024


class Child:
    """`run()` it as a task. `on_line` gets what a program that tells its progress prints, line by line."""

    def __init__(
        self,
        program: Program,
        log: LogFile,
        leash: Leash,
        *,
        on_line: Callable[[bytes], None] | None = None,
        on_change: Callable[["Child"], None] = lambda child: None,
    ) -> None:
        self.program = program
        self.log = log
        says_when_ready = bool(program.url) or program.tells_progress
        self.process = Process(program.name, needs_probe=says_when_ready, may_finish=program.may_finish)
        self.started = asyncio.Event()  # set at each start; the prober clears it
        self._leash = leash
        self._on_line = on_line
        self._on_change = on_change
        self._stop = asyncio.Event()
        self._grace_s, self._hurry = 0.0, asyncio.Event()  # of who asked to stop
        self._subprocess: Subprocess | None = None

    async def run(self) -> None:
        """Return when it is over for good: stopped, finished or failed."""
        while not self._stop.is_set():
            code = await self._live()
            delay_s = self.process.exited(code, time.monotonic())
            self._on_change(self)
            if delay_s is None:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), delay_s)
        self.process.stopping()

    async def _live(self) -> int:
        """One life, from start to exit code."""
        program = self.program
        log = self.log.open()
        try:
            subprocess = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "tradewind.laptop.leash", program.module, *program.arguments),
                stdin=self._leash.child_end,
                stdout=PIPE if program.tells_progress else log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment},
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops the others in order
                limit=MAX_LINE_BYTES,
            )
        finally:
            os.close(log)
        self._subprocess = subprocess
        self.process.started(subprocess.pid, time.monotonic())
        self.started.set()
        self._on_change(self)
        lines = asyncio.create_task(self._read_lines(subprocess.stdout)) if subprocess.stdout else None
        if self._stop.is_set():  # asked while it was being started, when there was nothing to end yet
            await self._end(subprocess)
        code = await subprocess.wait()
        self._signal(signal.SIGKILL)  # what it forked and left behind would keep its port and its pipe
        if lines is not None:
            await lines
        return code

    async def _read_lines(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than MAX_LINE_BYTES: dropped
                continue
            if not line:
                return
            self.process.probed("", time.monotonic())  # whoever tells its progress is ready
            if self._on_line is not None:
                self._on_line(line)

    async def stop(self, grace_s: float, hurry: asyncio.Event | None = None) -> None:
        """Ask it to end; kill it if it has not after `grace_s` seconds, or as soon as `hurry` is set."""
        self._grace_s, self._hurry = grace_s, hurry or self._hurry
        self._stop.set()
        if self._subprocess is not None and self.process.alive:
            await self._end(self._subprocess)

    async def _end(self, subprocess: Subprocess) -> None:
        self.process.stopping()
        self._on_change(self)
        with contextlib.suppress(ProcessLookupError):
            subprocess.terminate()
        ended, hurry = asyncio.create_task(subprocess.wait()), asyncio.create_task(self._hurry.wait())
        await asyncio.wait((ended, hurry), timeout=self._grace_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not ended.done():
            self._signal(signal.SIGKILL)
        await ended

    def _signal(self, number: signal.Signals) -> None:
        if self._subprocess is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._subprocess.pid, number)
