"""The whole pipeline as processes of this machine, the same as `tradewind up` runs, without its screen."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.measure import Usage, children, free_port, pid_listening, read_usage
from tradewind.laptop.folder import DataFolder
from tradewind.laptop.program import FUNCTIONS, Ports, Program, generator_program, server_programs
from tradewind.laptop.snapshot import Queue, queues_of

START_TIMEOUT_S = 60.0
POLL_S = 0.02


class Stack:
    """Servers that are ready, in a folder of their own; `start_generator` begins a run.

    `environment`: settings of all processes. `server_port`: where an Aerospike server of this machine
    listens, whose use is measured too.
    """

    def __init__(
        self, folder: Path, store: str, environment: Mapping[str, str], server_port: int | None = None
    ) -> None:
        self.folder = DataFolder(folder)
        self._store = store
        self._environment = environment
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._server_pid = pid_listening(server_port) if server_port else None

    def __enter__(self) -> Self:
        self._ports = Ports({name: free_port() for name in (*FUNCTIONS, "broker")})
        self.folder.logs.mkdir(parents=True)
        self.folder.attached_map.parent.mkdir(parents=True)
        self.folder.attached_map.touch()  # no functions of the user's own
        programs = server_programs(self.folder, self._store, self._ports)
        for program in programs:
            self._start(program)
        for program in programs:
            self._wait_until_ready(program)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The generator first, the broker last."""
        for name in ("generator", *FUNCTIONS, "broker"):
            if name in self._processes:
                self._processes[name].terminate()
                self._processes[name].wait(30)

    @property
    def query_url(self) -> str:
        return self._ports.url("query")

    @property
    def ingress_url(self) -> str:
        return self._ports.ingress_url

    def start_generator(self, settings: Mapping[str, str]) -> None:
        """Return as soon as it has made its first trade."""
        program = generator_program(self._ports, settings)
        process = self._start(program)
        log = self.folder.logs / "generator.log"
        while '"number": 0' not in log.read_text():
            if process.poll() is not None:
                raise SystemExit(f"the generator ended before it began:\n{log.read_text()}")
            time.sleep(POLL_S / 4)

    def stop_generator(self) -> int:
        """Return how many trades the broker has taken from it."""
        self._processes["generator"].terminate()
        while not self._progress().get("final"):
            time.sleep(POLL_S)
        return self.accepted_trades()

    def wait_until_done(self, trades: int, timeout_s: float) -> None:
        """Return when the broker has taken all trades and has no delivery left."""
        deadline_s = time.monotonic() + timeout_s
        while self.accepted_trades() < trades or any(queue.pending for queue in self.queues().values()):
            if time.monotonic() > deadline_s:
                raise SystemExit(f"not done in {timeout_s:g} s. See {self.folder.logs}")
            time.sleep(POLL_S)

    def accepted_trades(self) -> int:
        return int(self._progress().get("accepted_trades", 0))

    def _progress(self) -> dict[str, Any]:
        """What the generator said last."""
        lines = (self.folder.logs / "generator.out").read_bytes().splitlines()
        return dict(json.loads(lines[-1])) if lines else {}

    def queues(self) -> dict[str, Queue]:
        return queues_of(_get_json(self._ports.url("broker") + "/-/status"))

    def pids(self) -> dict[str, int]:
        """The processes with work to do."""
        names = ("generator", "broker", "store-trade", "update-summary")
        return {name: self._processes[name].pid for name in names if name in self._processes}

    def everyone(self) -> dict[str, list[int]]:
        """All processes by their names, with their children."""
        found = {name: process.pid for name, process in self._processes.items()}
        if self._server_pid:
            found["asd"] = self._server_pid
        return {name: [pid, *children(pid)] for name, pid in found.items()}

    def usage(self) -> dict[str, Usage]:
        """By process. One that has ended keeps its times, as it is not waited for before the end."""
        found = {name: self._usage_of(process.pid) for name, process in self._processes.items()}
        if self._server_pid:
            found["asd"] = read_usage(self._server_pid)
        return found

    def _usage_of(self, pid: int) -> Usage:
        """With its children: the query function's server has a worker process."""
        parts = [read_usage(part) for part in (pid, *children(pid))]
        return Usage(*(sum(figures) for figures in zip(*parts, strict=True)))

    def _start(self, program: Program) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "LOG_LEVEL": "info", **self._environment, **program.environment}
        with (
            (self.folder.logs / f"{program.name}.log").open("wb") as log,
            (self.folder.logs / f"{program.name}.out").open("wb") as out,
        ):
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", program.module, *program.arguments],
                env=environment,
                stdout=out,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self._processes[program.name] = process
        return process

    def _wait_until_ready(self, program: Program) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                urllib.request.urlopen(program.url + "/readyz", timeout=5).close()  # noqa: S310
            except (urllib.error.URLError, OSError) as error:
                if time.monotonic() > deadline_s or self._processes[program.name].poll() is not None:
                    log = (self.folder.logs / f"{program.name}.log").read_text()
                    raise SystemExit(f"{program.name} does not become ready ({error}):\n{log}") from None
                time.sleep(POLL_S)
            else:
                return


def _get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310
        return json.load(answer)
