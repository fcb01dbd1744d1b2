"""`tradewind up` in a process of its own: started, killed, started again on the same folder, stopped."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.chaos.schedule import SUPERVISOR
from tests.chaos.victims import find_marked, find_process
from tradewind.client import Unreachable, ask

TRADEWIND = (sys.executable, "-m", "tradewind.cli")
READY_WITHIN_S = 120.0
IDLE_WITHIN_S = 600.0
GONE_WITHIN_S = 60.0
POLL_S = 0.1


class PipelineBroke(AssertionError):
    """It did not do what it should while it ran; the message has its output."""


class Pipeline:
    """One data folder and the processes on it. `arguments`: of `tradewind up`."""

    def __init__(self, data: Path, arguments: list[str], environment: dict[str, str]) -> None:
        self.data = data
        self.output = data.with_suffix(".out")
        self.starts = 0
        self._mark = f"CHAOS_RUN={uuid.uuid4().hex}"
        self._environment = {**os.environ, **environment, **dict([self._mark.split("=")])}
        query_port, broker_port = free_ports(2)
        self.query_url = f"http://127.0.0.1:{query_port}"
        self.broker_url = f"http://127.0.0.1:{broker_port}"
        self.arguments = [*arguments, "--port", str(query_port), "--broker-port", str(broker_port)]
        self._process: subprocess.Popen[bytes] | None = None

    # Its life

    async def start(self, *more: str) -> None:
        """Return when all of it is ready."""
        self.starts += 1
        with self.output.open("ab") as output:
            before = output.tell()
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it takes milliseconds
                [*TRADEWIND, "up", "--data", str(self.data), *self.arguments, *more],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        await self._until(lambda: b" sent " in self._said(before), READY_WITHIN_S, "everything is ready")

    async def restart_if_killed(self) -> bool:
        """Start it again if its supervisor was killed, once nothing is left of it."""
        if self._process is None or self._process.poll() is None:
            return False
        if self._process.returncode != -signal.SIGKILL:
            raise PipelineBroke(f"the supervisor ended by itself:\n{self.tail()}")
        await self.until_gone()
        await self.start()
        return True

    async def stop(self) -> None:
        """End it as a user would, and return when nothing is left of it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        code = await asyncio.to_thread(self._process.wait, IDLE_WITHIN_S)
        if code:
            raise PipelineBroke(f"`tradewind up` ended with exit code {code}:\n{self.tail()}")
        await self.until_gone()

    def kill(self) -> None:
        """End it however it is, with all that belongs to it."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pid in find_marked(self._mark):
            os.kill(pid, signal.SIGKILL)

    async def until_gone(self) -> None:
        """Return when no process of it is left. Raises PipelineBroke if one stays."""
        end_s = time.monotonic() + GONE_WITHIN_S
        while left := find_marked(self._mark):
            if time.monotonic() > end_s:
                raise PipelineBroke(f"still there after the end: {left}")
            await asyncio.sleep(POLL_S)

    # What is asked of it

    def find(self, name: str) -> int | None:
        """The process of that name."""
        if name == SUPERVISOR:
            return self._process.pid if self._process and self._process.poll() is None else None
        return find_process(self.data, name)

    def status(self) -> dict[str, Any] | None:
        """What the broker says, if it does."""
        try:
            answer = ask(self.broker_url + "/-/status")
        except Unreachable:
            return None
        return dict(answer.json) if answer.status == 200 else None

    async def until_idle(self) -> int:
        """Return at a moment when the broker had nothing to deliver: the number of its last event."""
        last = 0

        async def look() -> bool:
            nonlocal last
            status = await asyncio.to_thread(self.status)
            last = status["last_event"] if status else 0
            return status is not None and not pending(status)

        await self._until(look, IDLE_WITHIN_S, "the broker has nothing left to deliver")
        return last

    def replay(self, first: int) -> None:
        """Have the broker deliver again, to both functions, what it took from number `first` on."""
        for function in ("store-trade", "update-summary"):
            body = json.dumps({"trigger": f"tradewind/{function}", "from": first}).encode()
            headers = {"content-type": "application/json"}
            answer = ask(self.broker_url + "/-/replay", method="POST", headers=headers, body=body)
            if answer.status != 200:
                raise PipelineBroke(f"the broker does not replay: {answer.reason}")

    def command(self, *arguments: str) -> tuple[int, Any]:
        """Exit code and JSON of a `tradewind` command on this folder; text where it is no JSON."""
        done = subprocess.run(
            [*TRADEWIND, *arguments, "--json", "--data", str(self.data)],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment,
        )
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            return done.returncode, done.stdout + done.stderr

    def tail(self) -> str:
        """The end of what it printed."""
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-60:])

    def _said(self, since: int) -> bytes:
        with self.output.open("rb") as output:
            output.seek(since)
            return output.read()

    async def _until(
        self, condition: Callable[[], bool] | Callable[[], Awaitable[bool]], within_s: float, what: str
    ) -> None:
        assert self._process is not None
        end_s = time.monotonic() + within_s
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            if self._process.poll() is not None:
                raise PipelineBroke(f"it ended before {what}:\n{self.tail()}")
            if time.monotonic() > end_s:
                raise PipelineBroke(f"not within {within_s:g} s: {what}\n{self.tail()}")
            await asyncio.sleep(POLL_S)


def free_ports(count: int) -> list[int]:
    """Below those that systems give to outgoing connections: free again each time that it starts."""
    found: list[int] = []
    for port in range(20_000 + os.getpid() % 5_000 * 2, 32_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free port")


def pending(status: dict[str, Any]) -> int:
    """Deliveries to be made, or made and refused by everybody."""
    return sum(row["pending"] + row["kept"] for row in status["triggers"])
