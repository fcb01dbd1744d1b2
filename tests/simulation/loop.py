"""One thread at a time under a fake clock: what runs next, and when, follows from the times given alone.

Callbacks run in order of their time. A task is blocking code that runs in a thread of its own, because the
code under test is made of plain calls; it holds the baton while it runs, and hands it back where it pauses.
So one schedule is one order of steps, and the same times give the same schedule again.
"""

import heapq
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

MAX_STEPS = 200_000
_THREADS = ThreadPoolExecutor(256, thread_name_prefix="task")


class Crash(BaseException):
    """The task's process has ended at this point: no code of ours may catch it."""


class Task:
    """Blocking code, which the loop starts next and resumes after each pause."""

    def __init__(self, loop: "Loop", function: Callable[[], object]) -> None:
        self._loop = loop
        self._function = function
        self._go, self._back = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self._error: BaseException | None = None
        self.is_done = self._is_killed = False
        loop.tasks.append(self)
        _THREADS.submit(self._run)
        loop.after(0, self.resume)

    def resume(self) -> None:
        """Run it until its next pause, or its end. Raises what it raised, but not Crash."""
        if self.is_done:
            return
        self._loop.current = self
        self._go.release()
        self._back.acquire()
        self._loop.current = None
        if self._error is not None:
            raise self._error

    def kill(self) -> None:
        """End it where it pauses."""
        self._is_killed = True
        self.resume()

    def hand_back(self) -> None:
        """In the task's own thread."""
        self._back.release()
        self._go.acquire()
        if self._is_killed:
            raise Crash

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self._is_killed:
                self._function()
        except Crash:
            pass
        except BaseException as error:
            self._error = error
        self.is_done = True
        self._back.release()


class Loop:
    """The clock, what is to come, and the task that has the baton."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.steps = 0
        self.current: Task | None = None
        self.tasks: list[Task] = []
        self.story: list[tuple[object, ...]] = []
        self._coming: list[tuple[int, int, Callable[[], object]]] = []
        self._number = 0

    def after(self, ms: int, callback: Callable[[], object]) -> None:
        self._number += 1
        heapq.heappush(self._coming, (self.now_ms + ms, self._number, callback))

    def start(self, function: Callable[[], object]) -> Task:
        self.tasks = [task for task in self.tasks if not task.is_done]
        return Task(self, function)

    def close(self) -> None:
        """End the tasks that a failed run has left, so that their threads are free again."""
        for task in self.tasks:
            with suppress(Exception):
                task.kill()

    def tell(self, *what: object) -> None:
        """Note what happens, for `--story` and to compare two runs."""
        self.story.append((self.now_ms, *what))

    def pause(self, ms: int) -> None:
        """Let others run for this long. Outside of tasks, where nothing can be interleaved, does nothing."""
        task = self.current
        if task is None:
            return
        if not self._coming or self._coming[0][0] > self.now_ms + ms:
            self._step(self.now_ms + ms)  # it would be the next one anyway
        else:
            self.after(ms, task.resume)
            task.hand_back()

    def run(self) -> None:
        """Until nothing is to come. Raises what a callback or a task raises."""
        while self._coming:
            time_ms, _, callback = heapq.heappop(self._coming)
            self._step(time_ms)
            callback()

    def _step(self, time_ms: int) -> None:
        self.now_ms = time_ms
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise RuntimeError(f"still busy after {MAX_STEPS:,} steps: something never comes to an end")
