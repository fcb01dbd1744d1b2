"""Notes for the events view: bounded, off the way, harmless when lost."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from functions.answer import Answer, refusal
from functions.notes import MAX_NOTES_PER_WRITE, Notes
from trades.store import MAX_CUT_DATA_BYTES, EventNote

pytestmark = pytest.mark.usefixtures("_quiet_logs")


class Written:
    """Takes writes; they wait while `gate` is closed."""

    def __init__(self) -> None:
        self.writes: list[list[EventNote]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, notes: Sequence[EventNote]) -> None:
        assert self.gate.wait(30)
        self.writes.append(list(notes))

    async def wait_for(self, count: int) -> None:
        for _ in range(10_000):
            if len(self.writes) >= count:
                return
            await asyncio.sleep(0.001)
        raise AssertionError(f"only {len(self.writes)} writes")


def make(written: Written) -> Notes:
    return Notes("f", written, interval_s=0.001, clock=lambda: 12.5)


async def test_a_note_says_what_came_and_what_became_of_it() -> None:
    written = Written()
    make(written).add({"id": "1"}, b"abc", refusal("why"))
    await written.wait_for(1)
    assert written.writes == [[EventNote("f", 12_500, {"id": "1"}, b"abc", 3, "BAD_REQUEST", "why")]]


async def test_what_comes_during_a_write_goes_together_into_the_next() -> None:
    written = Written()
    notes = make(written)
    written.gate.clear()
    notes.add({}, b"0", Answer("DONE"))
    await asyncio.sleep(0.05)
    for number in range(1, 4):
        notes.add({}, b"%d" % number, Answer("DONE"))
    written.gate.set()
    await written.wait_for(2)
    assert [[note.data for note in write] for write in written.writes] == [[b"0"], [b"1", b"2", b"3"]]


async def test_memory_is_bounded_and_refusals_come_first() -> None:
    written = Written()
    notes = make(written)
    for _ in range(3 * MAX_NOTES_PER_WRITE):
        notes.add({}, b"", Answer("DONE"))
    notes.add({}, b"", refusal("seen"))
    await written.wait_for(1)
    (write,) = written.writes
    assert len(write) == MAX_NOTES_PER_WRITE
    assert write[-1].reason == "seen"


async def test_of_refusals_the_oldest_goes() -> None:
    written = Written()
    notes = make(written)
    for number in range(MAX_NOTES_PER_WRITE + 1):
        notes.add({}, b"", refusal(str(number)))
    await written.wait_for(1)
    (write,) = written.writes
    assert [note.reason for note in write] == [str(number + 1) for number in range(MAX_NOTES_PER_WRITE)]


async def test_those_done_go_first() -> None:
    written = Written()
    notes = make(written)
    notes.add({}, b"", refusal("first"))
    for _ in range(2 * MAX_NOTES_PER_WRITE):
        notes.add({}, b"", Answer("DONE"))
    notes.add({}, b"", refusal("last"))
    await written.wait_for(1)
    (write,) = written.writes
    assert len(write) == MAX_NOTES_PER_WRITE
    assert [note.reason for note in write if note.reason] == ["first", "last"]


async def test_a_note_is_cut() -> None:
    written = Written()
    attributes = {f"{number}" + "n" * 1000: "v" * 1000 for number in range(1000)}
    make(written).add(attributes, b"x" * 100_000, Answer("DONE"))
    await written.wait_for(1)
    ((note,),) = written.writes
    assert (len(note.data), note.data_size) == (MAX_CUT_DATA_BYTES, 100_000)
    assert sum(len(name) + len(value) for name, value in note.attributes.items()) <= 32 * 512


async def test_failing_writes_hurt_nobody() -> None:
    tried = threading.Event()

    def fail(_: Sequence[EventNote]) -> None:
        tried.set()
        raise RuntimeError("no store")

    notes = Notes("f", fail, interval_s=0.001)
    for _ in range(2):
        tried.clear()
        notes.add({}, b"", Answer("DONE"))
        assert await asyncio.to_thread(tried.wait, 30)
    notes.close()


async def test_closing_writes_what_is_left() -> None:
    written = Written()
    notes = Notes("f", written, interval_s=3600)
    notes.add({}, b"last", Answer("DONE"))
    notes.close()
    notes.close()
    assert [[note.data for note in write] for write in written.writes] == [[b"last"]]
