"""A broker in a process of its own, and a subscriber that answers as it is told."""

import asyncio
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

READY_S = 60
PATIENCE_S = 90  # of a noisy machine; pytest ends a test after 120


@dataclass
class Call:
    """One request as the subscriber saw it; `earlier`: how many had this event id before."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    earlier: int
    id: str


Answerer = Callable[[Call], "web.Response | Awaitable[web.Response]"]


def accepted(_: Call) -> web.Response:
    return web.Response(status=202)


@dataclass
class Subscriber:
    """An HTTP server; `answers[path]` (or `answer`) makes the answer to a call."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    answers: dict[str, Answerer] = field(default_factory=dict)
    answer: Answerer = accepted
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    now: int = 0
    most: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        structured = request.content_type == "application/cloudevents+json"
        number = json.loads(body)["id"] if structured else request.headers["ce-id"]
        earlier = self.seen[request.path, number]
        self.seen[request.path, number] += 1
        call = Call(request.path, request.headers.copy(), body, earlier, number)
        self.calls.append(call)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            made = self.answers.get(request.path, self.answer)(call)
            return made if isinstance(made, web.Response) else await made
        finally:
            self.now -= 1

    def ids(self, path: str = "/") -> list[str]:
        return [call.id for call in self.calls if call.path == path]


@pytest.fixture
async def subscriber() -> AsyncIterator[Subscriber]:
    found = Subscriber()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{tail:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class BrokerProcess:
    """`python -m eventing.broker` on a folder of its own; started again, it has the same data."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession) -> None:
        self.folder, self.session = folder, session
        self.port = free_port()
        self.file = folder / "broker.yaml"
        self.data = folder / "data" / "broker.db"
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, text: str | None = None, *flags: str) -> None:
        if text is not None:
            self.file.write_text(text)
        arguments = ["-m", "eventing.broker", "-f", str(self.file), "--port", str(self.port), *flags]
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                "--data",
                str(self.data),
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONWARNINGS": "error"},
            )
        async with asyncio.timeout(READY_S):
            while True:
                try:
                    if (await self.get("/readyz"))["ready"]:
                        return
                except aiohttp.ClientError:
                    assert self.process.returncode is None, self.output()
                    await asyncio.sleep(0.02)

    def output(self) -> str:
        return (self.folder / "log").read_text()

    async def stop(self) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), READY_S)

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def send(
        self,
        number: str | int,
        type_: str = "t",
        data: bytes = b"{}",
        path: str = "/test/default",
        **extensions: str,
    ) -> int:
        """POST one event in binary mode; the status of the answer."""
        headers = {"ce-specversion": "1.0", "ce-source": "/tests", "ce-type": type_, "ce-id": str(number)}
        headers |= {"content-type": "application/json"} | {
            f"ce-{name}": text for name, text in extensions.items()
        }
        async with self.session.post(self.url + path, data=data, headers=headers) as answer:
            body = await answer.read()
            assert bool(body) == (answer.status != 202)
            return answer.status

    async def get(self, path: str) -> Any:
        async with self.session.get(self.url + path) as answer:
            assert answer.status in (200, 503), await answer.text()
            return await answer.json()

    async def change(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        async with self.session.request(
            method, self.url + path, json={} if body is None else body, headers=headers
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    @staticmethod
    def yaml(
        *triggers: str, delivery: str = "{retry: 3, backoffPolicy: exponential, backoffDelay: PT0.1S}"
    ) -> str:
        """A Broker test/default and Triggers."""
        head = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker"}
        metadata = {"name": "default", "namespace": "test"}
        spec = {"delivery": yaml.safe_load(delivery)}
        return "---\n".join([yaml.safe_dump(head | {"metadata": metadata, "spec": spec}), *triggers])

    @staticmethod
    def trigger_yaml(
        name: str, uri: str, *, filters: str = "[]", delivery: str = "", annotations: str = "{}"
    ) -> str:
        return f"""
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: {name}, namespace: test, annotations: {annotations}}}
spec:
  broker: default
  filters: {filters}
  subscriber: {{uri: "{uri}"}}
  {"delivery: " + delivery if delivery else ""}
"""

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until a condition (which may be async) holds."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                result = condition()
                if await result if asyncio.iscoroutine(result) else result:
                    return
                await asyncio.sleep(0.02)

    async def trigger(self, name: str) -> Any:
        """How a trigger stands."""
        triggers = (await self.get("/-/status"))["triggers"]
        return next(trigger for trigger in triggers if trigger["name"] == f"test/{name}")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def broker(tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[BrokerProcess]:
    process = BrokerProcess(tmp_path, session)
    yield process
    if process.process is not None and process.process.returncode is None:
        await process.kill()
    if process.process is not None:
        assert "Traceback" not in process.output(), process.output()
