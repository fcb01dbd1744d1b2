"""Pause, resume, stop: what tells a running generator from outside, without a port of its own.

- SIGUSR1 pauses, SIGUSR2 resumes.
- While PAUSE_FILE exists, it is paused too. A file outlives a restart of the generator, a signal does not.
- SIGTERM or SIGINT stops: no more trades, wait for the answers; a second one stops waiting.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

PAUSE_FILE_POLL_S: Final = 0.5

logger = logging.getLogger(__name__)


class Control:
    """The state of a run, and its clock, which stands still while the run is paused."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.hurry = asyncio.Event()  # asked to stop a second time
        self._changed = asyncio.Event()
        self._reasons: set[str] = set()  # why it is paused
        self._paused_at_s = 0.0
        self._paused_s = 0.0

    @property
    def paused(self) -> bool:
        return bool(self._reasons)

    def now_s(self) -> float:
        """Seconds of a steady clock, without the time spent in pauses."""
        return (self._paused_at_s if self.paused else time.monotonic()) - self._paused_s

    def pause(self, reason: str) -> None:
        """Make no more trades until `resume` was called for each reason."""
        if reason in self._reasons:
            return
        if not self.paused:
            self._paused_at_s = time.monotonic()
            logger.info("paused", extra={"by": reason})
        self._reasons.add(reason)
        self._changed.set()

    def resume(self, reason: str) -> None:
        if reason not in self._reasons:
            return
        self._reasons.remove(reason)
        if not self.paused:
            self._paused_s += time.monotonic() - self._paused_at_s
            logger.info("resumed")
        self._changed.set()

    def stop(self) -> None:
        if self.stopping.is_set():
            self.hurry.set()
        self.stopping.set()
        self._changed.set()

    async def wait_until(self, due_s: float) -> bool:
        """Wait for that time on this clock. False: stop instead."""
        while not self.stopping.is_set():
            delay_s = None if self.paused else due_s - self.now_s()
            if delay_s is not None and delay_s <= 0:
                return True
            self._changed.clear()
            try:
                async with asyncio.timeout(delay_s):
                    await self._changed.wait()
            except TimeoutError:
                pass
        return False

    async def watch_file(self, path: Path) -> None:
        """Be paused while the file exists; runs until cancelled."""
        while True:
            if path.exists():  # noqa: ASYNC240 - one stat of a local file
                self.pause("file")
            else:
                self.resume("file")
            await asyncio.sleep(PAUSE_FILE_POLL_S)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Heed the signals while inside; in the main thread only."""
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGUSR1: partial(self.pause, "signal"),
            signal.SIGUSR2: partial(self.resume, "signal"),
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)
