"""What keeps a function within bounds: bodies in hand, pings of the store, lines in the log."""

import asyncio
import threading
from collections.abc import Iterable

import pytest

from eventing.codec import BadEvent
from functions.intake import Disconnected, Intake, Overloaded
from functions.probes import Readiness
from functions.seldom import Seldom


class Wire:
    """An ASGI `receive` that hands out a body piece by piece, and counts how often it is asked."""

    def __init__(self, pieces: Iterable[bytes | None]) -> None:
        self._pieces = list(pieces)
        self.asked = 0

    async def __call__(self) -> dict[str, object]:
        piece = self._pieces[self.asked]
        self.asked += 1
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": self.asked < len(self._pieces)}


async def test_a_body_in_pieces() -> None:
    intake = Intake(10)
    with intake.open() as body:
        assert await body.read([], Wire([b"ab", b"", b"c"])) == b"abc"  # type: ignore[arg-type]
        assert intake.held_bytes == 3
    assert intake.held_bytes == 0


async def test_a_body_that_is_too_large_is_not_read_to_its_end() -> None:
    intake = Intake(10)
    wire = Wire([b"x" * 6] * 100)
    with intake.open() as body, pytest.raises(BadEvent, match="more than 10 bytes") as error:
        await body.read([], wire)  # type: ignore[arg-type]
    assert (error.value.status, wire.asked, intake.held_bytes) == (413, 2, 0)


async def test_a_declared_length_is_believed_when_it_is_too_large() -> None:
    wire = Wire([b""])
    with Intake(10).open() as body, pytest.raises(BadEvent):
        await body.read([("content-length", "11")], wire)  # type: ignore[arg-type]
    assert wire.asked == 0


async def test_all_bodies_together_are_bounded() -> None:
    intake = Intake(1000)
    intake.max_held_bytes = 1500
    with intake.open() as first:
        await first.read([], Wire([b"x" * 1000]))  # type: ignore[arg-type]
        with intake.open() as second, pytest.raises(Overloaded):
            await second.read([], Wire([b"x" * 501]))  # type: ignore[arg-type]
        with intake.open() as third:
            await third.read([], Wire([b"x" * 500]))  # type: ignore[arg-type]
    assert intake.held_bytes == 0


async def test_a_sender_that_goes_away() -> None:
    with Intake(10).open() as body, pytest.raises(Disconnected):
        await body.read([], Wire([b"x", None]))  # type: ignore[arg-type]


async def test_the_store_is_asked_once_a_second_by_one_at_a_time() -> None:
    now_s = 0.0
    pings = 0
    gate = threading.Event()

    def ping() -> None:
        nonlocal pings
        pings += 1
        assert gate.wait(30)
        if pings > 1:
            raise RuntimeError("gone")

    readiness = Readiness(ping, clock=lambda: now_s)
    asked = [asyncio.create_task(readiness.reason()) for _ in range(5)]
    await asyncio.sleep(0.01)
    gate.set()
    assert await asyncio.gather(*asked) == [""] * 5
    now_s = 0.9
    assert await readiness.reason() == ""
    assert pings == 1
    now_s = 1.1
    assert await readiness.reason() == "gone"
    assert pings == 2
    readiness.close()


async def test_a_store_that_hangs_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.probes.PING_TIMEOUT_S", 0.01)
    gate = threading.Event()
    readiness = Readiness(lambda: gate.wait(30) and None)
    assert await readiness.reason() == "the store does not answer"
    gate.set()
    readiness.close()


def test_seldom() -> None:
    now_s = 100.0
    seldom = Seldom(times=2, interval_s=10, clock=lambda: now_s)
    assert [seldom.may() for _ in range(4)] == [True, True, False, False]
    now_s = 109.9
    assert not seldom.may()
    now_s = 110.0
    assert [seldom.may() for _ in range(3)] == [True, True, False]
