"""Prometheus beside a pipeline on this machine: `tradewind up --monitoring`.

It runs the rules of knative/components/monitoring, as a cluster does, and scrapes the processes of this
pipeline, by the same job and label names. It may die without harm to the rest.

Run as a module it is the process that holds Prometheus on its leash (`tradewind.laptop.leash`).
"""

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import yaml

from tradewind.laptop.child import Child
from tradewind.laptop.folder import DataFolder, LogFile, Run
from tradewind.laptop.leash import Leash
from tradewind.laptop.pipeline import explain
from tradewind.laptop.process import State
from tradewind.laptop.program import HOST, Program

RULES = Path(__file__).parents[2] / "knative" / "components" / "monitoring" / "rules.yml"
USUAL_PORT = 9090
SCRAPE_INTERVAL = "2s"
GRACE_S = 5.0
MISSING = (
    "There is no prometheus on PATH, so nothing is monitored: install it (Debian and Ubuntu: apt install"
    " prometheus) and begin again"
)


def find_prometheus() -> str | None:
    """The program, if it is on PATH."""
    return shutil.which("prometheus")


@dataclass(frozen=True)
class Monitoring:
    """Where Prometheus keeps its files, answers, and finds the generator."""

    executable: str
    folder: Path
    port: int
    generator_port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def ports(self) -> tuple[int, int]:
        return self.port, self.generator_port

    @property
    def generator_address(self) -> str:
        return f"{HOST}:{self.generator_port}"

    def write_targets(self, run: Run) -> None:
        """What to scrape now, in a file that Prometheus reads again when it changes."""
        targets = [_target("tradewind-generator", "generator", self.generator_address)]
        for name, process in run.processes.items():
            if process.url:
                job = "tradewind-broker" if name == "broker" else "tradewind-functions"
                targets.append(_target(job, name, urlsplit(process.url).netloc))
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / "targets.new"
        new.write_bytes(msgspec.json.encode(targets))
        new.replace(self.folder / "targets.json")

    @asynccontextmanager
    async def running(
        self, data: DataFolder, leash: Leash, say: Callable[[str], None]
    ) -> AsyncIterator[None]:
        """Prometheus runs while inside; how it ended before, if it did, is told."""

        def changed(child: Child) -> None:
            if child.process.state is State.FAILED:
                say(f"{explain(child)}\nThe rest goes on.")

        child = Child(self._program(), LogFile(data.logs / "prometheus.log"), leash, on_change=changed)
        life = asyncio.create_task(child.run())
        try:
            yield
        finally:
            await child.stop(GRACE_S)
            await life

    def _program(self) -> Program:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(make_config(self.folder), sort_keys=False))
        flags = {
            "config.file": config,
            "storage.tsdb.path": self.folder / "tsdb",
            "storage.tsdb.retention.time": "6h",
            "storage.tsdb.retention.size": "256MB",
            "web.listen-address": f"{HOST}:{self.port}",
            "log.level": "warn",
        }
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        return Program("prometheus", "tradewind.laptop.monitoring", (self.executable, *arguments), {})


def make_config(folder: Path, rules: Path = RULES) -> dict[str, object]:
    """Prometheus' configuration: our rules, and the targets of the files `targets*.json` in `folder`."""
    found = {"files": [str(folder / "targets*.json")], "refresh_interval": SCRAPE_INTERVAL}
    scrape = {"job_name": "tradewind", "file_sd_configs": [found]}
    return {
        "global": {"scrape_interval": SCRAPE_INTERVAL, "evaluation_interval": SCRAPE_INTERVAL},
        "rule_files": [str(rules)],
        "scrape_configs": [scrape | {"scrape_timeout": SCRAPE_INTERVAL}],
    }


def _target(job: str, service: str, address: str) -> dict[str, object]:
    return {"targets": [address], "labels": {"job": job, "service": service}}


def hold(command: list[str]) -> int:
    """Run a program that is not ours, hand on SIGTERM, and return its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the supervisor's command
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process.wait()


if __name__ == "__main__":
    sys.exit(hold(sys.argv[1:]))
