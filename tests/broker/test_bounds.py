"""What the door says when too much comes at once: the door alone, so that nothing depends on time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventing.broker import ingress
from eventing.broker.config import AddressMap, load
from eventing.broker.engine import Engine, Limits
from eventing.broker.ingress import Ingress
from eventing.broker.log import Log
from eventing.broker.web import Problem
from eventing.client import Answer
from tests.broker.conftest import BrokerProcess

HEADERS = [(b"ce-specversion", b"1.0"), (b"ce-id", b"1"), (b"ce-source", b"/s"), (b"ce-type", b"t")]


async def never(*_: Any, **__: Any) -> Answer:
    raise AssertionError("there is no trigger to deliver to")


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    opened = Log(tmp_path / "broker.db")
    await opened.open()
    yield opened
    await opened.close()


async def door(log: Log, limits: Limits, **bounds: int) -> Ingress:
    engine = Engine(log, never, limits)
    await engine.apply(load([("here", yaml.safe_load(BrokerProcess.yaml()))], AddressMap({})))
    return Ingress(engine, **bounds)


async def post(door: Ingress, *pieces: bytes, after: asyncio.Event | None = None) -> tuple[int, str | None]:
    """Status and Retry-After that an event gets whose body comes in pieces, the last one `after` this."""
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces[:-1]]
    sent: list[Any] = []

    async def receive() -> Any:
        if waiting:
            return waiting.pop(0)
        if after:
            await after.wait()
        return {"type": "http.request", "body": pieces[-1]}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/test/default", "headers": HEADERS}
    try:
        await door(scope, receive, send)
    except Problem as problem:
        return problem.status, problem.headers.get("retry-after")
    return sent[0]["status"], None


BUSY = (503, "1")
TAKEN = (202, None)


@pytest.mark.parametrize("limits", [Limits(waiting_events=2), Limits(waiting_bytes=250)])
async def test_too_much_waits_to_be_written(log: Log, limits: Limits) -> None:
    """What gathers while a group is written is bounded in events, and in bytes (here over 125 an event)."""
    busy = await door(log, limits)
    assert await asyncio.gather(*(post(busy, b"x" * 50) for _ in range(5))) == [TAKEN] * 2 + [BUSY] * 3
    assert await post(busy, b"x") == TAKEN


async def test_bodies_that_are_being_read_have_a_bound_together(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingress, "MAX_READING_BYTES", 1_000)
    bounded = await door(log, Limits(), max_body_bytes=900)
    rest = asyncio.Event()
    slow = asyncio.create_task(post(bounded, b"x" * 700, b"x" * 100, after=rest))
    await asyncio.sleep(0)  # the first piece is read
    assert await post(bounded, b"x" * 301) == BUSY
    assert await post(bounded, b"x" * 300) == TAKEN

    rest.set()
    assert await slow == TAKEN
    assert await post(bounded, b"x" * 900) == TAKEN, "all the room was given back"


async def test_a_body_that_is_refused_gives_its_room_back(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress, "MAX_READING_BYTES", 1_000)
    bounded = await door(log, Limits(), max_body_bytes=900)
    for _ in range(3):
        assert (await post(bounded, b"x" * 800, b"x" * 200))[0] == 413
    assert await post(bounded, b"x" * 900) == TAKEN
