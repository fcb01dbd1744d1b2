"""What state a supervised process is in, and when one that died may start again. No I/O; times are arguments.

        started            answered                    stop asked        exited
(new) ──────────▶ STARTING ────────▶ READY ◀──▶ SILENT ──────────▶ STOPPING ─────▶ STOPPED
                     ▲  │ exited       │ exited    │ exited
                     │  ▼              ▼           ▼
                  RESTARTING ◀───────────────────────── too often, or never ready: FAILED
                                                        by itself with code 0: FINISHED
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

SILENT_AFTER_S = 10.0


class State(StrEnum):
    """One word for the screen."""

    STARTING = "starting"
    READY = "ready"
    SILENT = "not answering"  # alive, but no answer, or "not ready", for SILENT_AFTER_S
    RESTARTING = "restarting"  # it died, and waits for its next start
    STOPPING = "stopping"
    STOPPED = "stopped"
    FINISHED = "finished"  # it had done all it was asked to
    FAILED = "failed"  # it died too often, or before it was ready for the first time


@dataclass(frozen=True)
class RestartPolicy:
    """At most `max_deaths` in any `window_s` seconds; the wait doubles with each of them."""

    max_deaths: int = 10
    window_s: float = 60.0
    first_delay_s: float = 0.1
    longest_delay_s: float = 5.0


@dataclass
class Process:
    """One process over its lives. `needs_probe`: it is ready when it says so, else as soon as it runs."""

    name: str
    needs_probe: bool = True
    may_finish: bool = False
    policy: RestartPolicy = RestartPolicy()
    state: State = State.STARTING
    reason: str = ""  # why it is not ready, in words
    restarts: int = 0
    pid: int = 0
    _was_ready: bool = False
    _last_answer_s: float = 0.0
    _deaths_s: deque[float] = field(default_factory=deque)

    @property
    def alive(self) -> bool:
        return self.state in (State.STARTING, State.READY, State.SILENT, State.STOPPING)

    @property
    def is_ready(self) -> bool:
        return self.state in (State.READY, State.FINISHED)

    @property
    def over(self) -> bool:
        """Nothing more will happen to it."""
        return self.state in (State.STOPPED, State.FINISHED, State.FAILED)

    def started(self, pid: int, now_s: float) -> None:
        if self.state is State.RESTARTING:
            self.restarts += 1
        self.pid, self.reason, self._last_answer_s = pid, "", now_s
        self.state = State.STARTING
        if not self.needs_probe:
            self._ready()

    def probed(self, problem: str, now_s: float) -> None:
        """A readiness probe ended; `problem` is empty when the process said it is ready."""
        if self.state not in (State.STARTING, State.READY, State.SILENT):
            return
        if not problem:
            self._last_answer_s = now_s
            self._ready()
            return
        self.reason = problem
        if self.state is State.READY and now_s - self._last_answer_s >= SILENT_AFTER_S:
            self.state = State.SILENT

    def stopping(self) -> None:
        """We ask it to stop, or it need not start again."""
        if not self.over:
            self.state = State.STOPPING if self.alive else State.STOPPED

    def exited(self, code: int, now_s: float) -> float | None:
        """It ended: the seconds until it may start again, or None if it will not."""
        was_stopping, self.pid = self.state is State.STOPPING, 0
        self.reason = "" if was_stopping or code == 0 else describe_exit(code)
        if was_stopping or (self.may_finish and code == 0):
            self.state = State.STOPPED if was_stopping else State.FINISHED
            return None
        while self._deaths_s and now_s - self._deaths_s[0] > self.policy.window_s:
            self._deaths_s.popleft()
        self._deaths_s.append(now_s)
        deaths = len(self._deaths_s)
        if not self._was_ready or deaths > self.policy.max_deaths:
            self.state = State.FAILED
            self.reason = describe_exit(code) + (
                f", {deaths} times in {self.policy.window_s:g} s"
                if self._was_ready
                else " before it was ready"
            )
            return None
        self.state, self.reason = State.RESTARTING, describe_exit(code)
        return min(self.policy.first_delay_s * (1 << deaths - 1), self.policy.longest_delay_s)

    def _ready(self) -> None:
        self.state, self.reason, self._was_ready = State.READY, "", True


def describe_exit(code: int) -> str:
    """`exit code 3`, or `killed by SIGKILL` for the negative codes of `subprocess`."""
    if code >= 0:
        return f"exit code {code}"
    import signal

    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
