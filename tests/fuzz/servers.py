"""The servers that are fuzzed, and what must hold of their answers."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

from tests.fuzz.inputs import Case
from tests.fuzz.reads import make_read

ANSWER_S = 20.0
UNASKED_S = 0.15  # an incomplete request may be left without an answer
START_S = 60.0
# 501 and 505 are HTTP's own words for what a server does not speak.
STATUSES = {200, 201, 202, 304, 400, 401, 403, 404, 405, 413, 414, 415, 422, 429, 431, 501, 502, 503, 505}
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_OWN = Path(__file__).parents[1] / "functions" / "own_functions.py"
_BROKER = """
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default, namespace: test}
spec: {delivery: {retry: 0}}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: all, namespace: test}
spec: {broker: default, subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: store}}}
"""
_GOOD = (
    b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
    b"ce-specversion: 1.0\r\nce-id: g\r\nce-source: /g\r\nce-type: g\r\n\r\n"
)


class Defect(AssertionError):
    """A server did what it must not."""


class Server:
    """A process on a port of 127.0.0.1; events go to `path`."""

    def __init__(
        self,
        name: str,
        path: str,
        module: str,
        folder: Path,
        arguments: list[str],
        make: Callable[[Random], Case] | None = None,
        **env: str,
    ) -> None:
        """`make`: how its requests are made; None: events, in all forms."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.name, self.path, self.make = name, path, make
        self.log = folder / f"{name}.log"
        given = {"PORT": str(self.port), "BROKER_PORT": str(self.port), "HOST": "127.0.0.1"} | env
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], env=os.environ | given, stdout=log, stderr=log
            )

    def wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            try:
                if self.talk(Case((b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",), whole=True)) == 200:
                    return
            except (OSError, Defect):
                time.sleep(0.05)
        raise Defect(f"{self.name} does not start: {self.log.read_text()}")

    def talk(self, case: Case) -> int | None:
        """The status of the first answer; None: there was none, and none was due. Raises Defect."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S) as connection:
            try:
                for number, piece in enumerate(case.pieces):
                    if number:
                        time.sleep(0.002)
                    connection.sendall(piece)
                connection.settimeout(ANSWER_S if case.whole else UNASKED_S)
                answer = connection.recv(65_536)
            except TimeoutError:
                if case.whole:
                    raise Defect(f"{self.name}: no answer within {ANSWER_S:g} s") from None
                return None
            except OSError:  # it closed the connection on a request that it would not read to the end
                return None
        return self._status(case, answer)

    def _status(self, case: Case, answer: bytes) -> int | None:
        if not answer:
            if case.whole and sum(map(len, case.pieces)) < 60_000:
                raise Defect(f"{self.name}: closed the connection without an answer")
            return None
        found = _STATUS.match(answer)
        status = int(found[1]) if found else 0
        if status not in STATUSES:
            raise Defect(f"{self.name}: answered {answer[:300]!r}")
        return status

    def check(self) -> None:
        """It lives, takes a good event, and has not failed. Raises Defect."""
        if self.process.poll() is not None:
            raise Defect(f"{self.name} ended: {self.log.read_text()[-2_000:]}")
        status = self.talk(Case((_GOOD % self.path.encode(),), whole=True))
        if status not in (200, 202, 400, 405):  # 400: it is no trade; 405: the query takes no events there
            raise Defect(f"{self.name}: answered a good event with {status}")
        text = self.log.read_text(errors="replace")
        if "Traceback" in text:
            raise Defect(f"{self.name} failed: {text[text.index('Traceback') :][:3_000]}")


@contextmanager
def running(folder: Path) -> Iterator[list[Server]]:
    """The broker, a function of ours that it delivers to, one of a user's own, and the query."""
    config = folder / "broker.yaml"
    config.write_text(_BROKER)
    store = {"STORE": f"sqlite:{folder / 'store'}", "LOG_FORMAT": "json"}
    own = {"FUNCTION_TARGET": "echo", "FUNCTION_SOURCE": str(_OWN)}
    with ExitStack() as stack:
        function = Server("store_trade", "/", "functions", folder, [], FUNCTION_TARGET="store_trade", **store)
        stack.callback(_end, function)
        echo = Server("echo", "/", "functions", folder, [], **own, **store)
        stack.callback(_end, echo)
        place = ["--map", f"store=http://127.0.0.1:{function.port}", "--data", str(folder / "broker.db")]
        broker = Server("broker", "/test/default", "eventing.broker", folder, ["-f", str(config), *place])
        stack.callback(_end, broker)
        sink = {"K_SINK": f"http://127.0.0.1:{broker.port}/test/default"}
        query = Server(
            "query", "/", "functions", folder, [], make_read, FUNCTION_TARGET="query", **sink, **store
        )
        stack.callback(_end, query)
        servers = [broker, function, echo, query]
        for server in servers:
            server.wait_until_ready()
        yield servers


def _end(server: Server) -> None:
    server.process.terminate()
    try:
        server.process.wait(30)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
        raise Defect(f"{server.name} did not stop") from None
