"""Real functions for tests: processes of `python -m functions` on free ports of 127.0.0.1."""

import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

REPOSITORY = Path(__file__).parents[2]
FAULTY_SOURCE = Path(__file__).with_name("faulty.py")
START_TIMEOUT_S = 60


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def detail(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        problem = json.loads(self.body)
        assert problem["status"] == self.status
        assert problem["title"]
        return str(problem["detail"])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class FunctionProcess:
    """One function, served by a process of its own."""

    def __init__(self, target: str, store_folder: Path, command: list[str] | None = None, **env: str) -> None:
        self.port = free_port()
        self.log_path = store_folder.parent / f"{target}-{self.port}.log"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("K_")}
        given = {"FUNCTION_TARGET": target, "PORT": str(self.port), "HOST": "127.0.0.1"}
        given |= {"STORE": f"sqlite:{store_folder}", "LOG_FORMAT": "json"} | env
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command or [sys.executable, "-m", "functions"], cwd=REPOSITORY, env=clean | given, stderr=log
            )

    def wait_until_ready(self) -> None:
        self.wait_for(lambda: self.get("/readyz").status == 200)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that asks this process; what goes wrong meanwhile counts as not yet."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self.log
            try:
                if condition():
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"waited for {START_TIMEOUT_S} s: {self.log}")

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, names, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Reply:
        return self.request("GET", path)

    def post(self, body: Any, headers: dict[str, str]) -> Reply:
        return self.request("POST", "/", body, headers)

    def metric(self, line_start: str) -> float:
        """The value of one metric line, 0 where there is none."""
        for line in self.get("/metrics").body.decode().splitlines():
            if line.startswith(line_start):
                return float(line.rpartition(" ")[2])
        return 0.0

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        return self._process.wait(START_TIMEOUT_S)

    def stop(self) -> int:
        """End it in the usual way; its exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def event_headers(id_: str = "e1", type_: str = "trade.executed.v1", **extra: str) -> dict[str, str]:
    """Headers of a binary-mode event."""
    attributes = {"specversion": "1.0", "id": id_, "source": "/tests", "type": type_} | extra
    return {f"ce-{name}": value for name, value in attributes.items()} | {"content-type": "application/json"}


def trade(**members: Any) -> dict[str, Any]:
    return {"ticker": "AACT-UN", "price": "32.1000", "volume": 100, "timestamp": 1_700_000_000_000} | members


def trade_body(**members: Any) -> bytes:
    return json.dumps(trade(**members)).encode()


StartFunction = Callable[..., FunctionProcess]


@pytest.fixture(scope="module")
def _quiet_logs() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("functions") / "store"


@pytest.fixture(scope="module")
def start_module_function(store_folder: Path) -> Iterator[StartFunction]:
    """Starts functions on the store of this test module; they live as long as the module's tests."""
    yield from _starter(store_folder)


@pytest.fixture
def start_function(tmp_path: Path) -> Iterator[StartFunction]:
    """Starts functions on a store of this test's own."""
    yield from _starter(tmp_path / "store")


def _starter(folder: Path) -> Iterator[StartFunction]:
    started: list[FunctionProcess] = []

    def start(target: str, *, ready: bool = True, **env: str) -> FunctionProcess:
        function = FunctionProcess(target, folder, **env)  # type: ignore[arg-type]
        started.append(function)
        if ready:
            function.wait_until_ready()
        return function

    yield start
    for function in started:
        function.kill()
