"""Which signals stop a run, and which of them hurry."""

import asyncio
import os
import signal

import pytest

from tradewind.laptop.stops import Stops


async def told(*numbers: signal.Signals) -> tuple[bool, bool]:
    """Whether it was asked to stop, and asked again, after these signals."""
    with Stops().heeded() as stops:
        for number in numbers:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.05)
        return stops.asked.is_set(), stops.again.is_set()


@pytest.mark.parametrize(
    ("numbers", "asked", "again"),
    [
        ([], False, False),
        ([signal.SIGINT], True, False),
        ([signal.SIGTERM, signal.SIGINT], True, True),
        ([signal.SIGHUP], True, False),
        ([signal.SIGHUP, signal.SIGHUP], True, False),
        ([signal.SIGHUP, signal.SIGINT], True, True),
    ],
)
async def test_a_second_wish_is_not_to_wait(numbers: list[signal.Signals], asked: bool, again: bool) -> None:
    assert await told(*numbers) == (asked, again)


async def test_under_nohup_a_closed_terminal_stops_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert await told(signal.SIGHUP) == (False, False)
    finally:
        signal.signal(signal.SIGHUP, before)
