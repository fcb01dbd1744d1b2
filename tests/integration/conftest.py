"""`tradewind up` as a process, on ports and in a folder of its own."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

TRADEWIND = (sys.executable, "-m", "tradewind.cli")
DEADLINE_S = 60.0


def free_port() -> int:
    """Below the ports that systems give to outgoing connections, where nothing else of ours looks for one."""
    for port in range(20_000 + os.getpid() % 5_000 * 2, 32_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def run(*arguments: str, data: Path, within: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """`within`: a command that runs another one, somewhere."""
    return subprocess.run(
        [*within, *TRADEWIND, *arguments, "--data", str(data)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def own_terminal() -> None:
    """In the process that is to begin: standard output is its controlling terminal."""
    os.setsid()
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Up:
    """A running `tradewind up`; its output goes to a file, as it would be read afterwards.

    `output`: a terminal, which is its own then, or a pipe, in place of the file.
    """

    def __init__(
        self, data: Path, *arguments: str, within: Sequence[str] = (), output: int | None = None
    ) -> None:
        self.data = data
        self.port = free_port()
        self._output = data.with_suffix(".out")
        ports = ("--port", str(self.port))
        with self._output.open("w") as file:
            self.process = subprocess.Popen(
                [*within, *TRADEWIND, "up", "--data", str(data), *ports, *arguments],
                stdout=file if output is None else output,
                stderr=subprocess.STDOUT,
                preexec_fn=own_terminal if output is not None and os.isatty(output) else None,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def run(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        return found

    def pid(self, name: str) -> int:
        return int(self.run["processes"][name]["pid"])

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert self.process.poll() is None, f"it ended before {what}:\n{self.output}"
            assert time.monotonic() < deadline_s, f"not within {DEADLINE_S} s: {what}\n{self.output}"
            time.sleep(0.05)

    def until_counted(self, more: int = 1) -> None:
        """Until trades were counted, that many more than now."""
        before = self.counted
        self.until(lambda: self.counted >= before + more, f"{more} more trades counted")

    @property
    def counted(self) -> int:
        from tradewind.client import Unreachable, ask

        try:
            answer = ask(f"http://127.0.0.1:{self.port}/v1/totals")
        except Unreachable:
            return 0
        return int(answer.json["trades_counted"]) if answer.status == 200 else 0

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def totals(self) -> dict[str, int]:
        """The table at the end."""
        rows = re.findall(
            r"^(sent|accepted|stored|counted|duplicates|retried|dead letters) +([\d,]+)",
            self.output,
            re.MULTILINE,
        )
        return {name: int(value.replace(",", "")) for name, value in rows}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """`start("--for", "5s")`: in a folder that stays the same within a test. Whatever still runs is ended."""
    started: list[Up] = []

    def make(*arguments: str, output: int | None = None) -> Up:
        started.append(Up(tmp_path / "data", *arguments, output=output))
        return started[-1]

    yield make
    for up in started:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()
