"""The schedule alone: nothing is lost or doubled, order and bounds hold, whatever comes in whatever order."""

import random
from bisect import insort
from collections import deque

import pytest

from eventing.broker.schedule import Item, Schedule
from eventing.broker.schema import Stored
from eventing.event import Event

SIZE = 100
EVENT = Event({"id": "1"}, None)


def item(seq: int, key: str | None = None) -> Item:
    return Item(seq, seq, SIZE, key, Stored(seq, "b", seq, 255, EVENT, SIZE))


class Disk:
    """The backlog as the log would give it: what is settled, and what is accepted, shows a little later."""

    def __init__(self, schedule: Schedule, keys: int) -> None:
        self.schedule, self.keys = schedule, keys
        self.open: list[int] = []
        self.settled: list[int] = []  # and not on disk yet
        self.accepted: deque[int] = deque()  # and not offered yet
        self.head = 0
        self.found: list[int] | None = None  # by the read that is under way
        self.read_to = 0

    def key(self, seq: int) -> str | None:
        return f"k{seq % self.keys}" if self.keys else None

    def accept(self) -> None:
        self.head += 1
        self.open.append(self.head)
        self.accepted.append(self.head)

    def offer(self) -> None:
        if self.accepted:
            seq = self.accepted.popleft()
            self.schedule.offer(item(seq, self.key(seq)))

    def commit(self) -> None:
        self.open = [seq for seq in self.open if seq not in self.settled]
        self.settled.clear()

    def reopen(self, seq: int) -> None:
        """What a replay does: its change is written after all that was settled before."""
        self.commit()
        insort(self.open, seq)
        self.schedule.rewind(seq, seq)

    def begin_read(self, limit: int) -> None:
        after = self.schedule.read_after()
        if after is not None:
            head = self.schedule.head
            self.schedule.begin_read()
            if self.schedule.is_set_back:
                self.commit()
            self.found = [seq for seq in self.open if seq > after][:limit]
            self.read_to = self.found[-1] if self.found else head

    def end_read(self, now_ms: int) -> None:
        if self.found is not None:
            found = [(0, item(seq, self.key(seq))) for seq in self.found]
            self.found = None
            self.schedule.fill(found, self.read_to, now_ms)


ENDING = ("offer", "begin", "end", "take", "done", "commit", "wait")
STEPS = ("accept", "accept", "accept", "offer", "offer", *ENDING, "retry", "reopen")


@pytest.mark.parametrize("seed", range(200))
def test_each_item_is_taken_until_it_is_done_and_the_bounds_hold(seed: int) -> None:
    rng = random.Random(seed)
    keys, steps = rng.randrange(4), rng.choices(STEPS, k=300)
    schedule = Schedule(window=4, window_bytes=5 * SIZE, max_held=8)
    disk = Disk(schedule, keys)
    now_ms, flying, done, reopened = 0, list[Item](), list[int](), list[int]()

    def finish(again: bool) -> None:
        one = flying.pop(rng.randrange(len(flying)))
        if again:
            schedule.retry(one, now_ms + 10)
        else:
            schedule.done(one)
            disk.settled.append(one.seq)
            done.append(one.seq)

    for step in [*steps, *ENDING * 400]:
        match step:
            case "accept":
                disk.accept()
            case "offer":
                disk.offer()
            case "begin":
                disk.begin_read(3)
            case "end":
                disk.end_read(now_ms)
            case "commit":
                disk.commit()
            case "reopen":
                settled = sorted(set(done) - set(reopened))
                if settled:
                    reopened.append(rng.choice(settled))
                    disk.reopen(reopened[-1])
            case "take" if (taken := schedule.take(now_ms)) is not None:
                assert taken.seq not in [one.seq for one in flying], "in flight twice"
                if keys:
                    assert taken.key not in [one.key for one in flying], "overtaken within its key"
                flying.append(taken)
            case "done" | "retry" if flying:
                finish(step == "retry")
            case "wait":
                now_ms += 7
        assert len(schedule.held) <= 8 + 3
        assert schedule.held_bytes <= 5 * SIZE + 3 * SIZE
        assert schedule.flying_bytes == len(flying) * SIZE <= 5 * SIZE
    assert sorted(done) == sorted([*range(1, disk.head + 1), *reopened])
    assert (schedule.held, schedule.held_bytes, disk.open) == ({}, 0, [])
    for key in range(keys):
        first = [seq for seq in dict.fromkeys(done) if seq % keys == key]
        assert first == [seq for seq in range(1, disk.head + 1) if seq % keys == key]


def test_an_item_that_waits_does_not_hold_up_the_ones_behind() -> None:
    schedule = Schedule()
    for seq in (1, 2):
        schedule.offer(item(seq))
    first = schedule.take(0)
    assert first is not None
    schedule.retry(first, 1_000)
    second = schedule.take(0)

    assert second is not None
    assert second.seq == 2
    assert schedule.take(999) is None
    assert schedule.next_due_ms() == 1_000
    assert schedule.take(1_000) is first
    assert first.stored is None, "an event that waits is not kept in memory"


def test_new_events_stay_on_disk_while_older_ones_are_there() -> None:
    schedule = Schedule(cursor=0, head=5)
    schedule.offer(item(6))

    assert schedule.take(0) is None
    assert schedule.read_after() == 0
    schedule.fill([(0, item(seq)) for seq in range(1, 7)], 6, 0)
    assert schedule.read_after() is None
    assert [schedule.take(0).seq for _ in range(6)] == [1, 2, 3, 4, 5, 6]  # type: ignore[union-attr]


def test_a_rewind_reads_again_but_takes_nothing_that_is_held() -> None:
    schedule = Schedule()
    for seq in (1, 2, 3):
        schedule.offer(item(seq))
    for _ in range(2):
        schedule.done(schedule.take(0))  # type: ignore[arg-type]
    schedule.rewind(1, 2)

    assert schedule.read_after() == 0
    schedule.fill([(0, item(seq)) for seq in (1, 3)], 3, 0)
    assert [schedule.take(0).seq for _ in range(2)] == [3, 1]  # type: ignore[union-attr]
    assert schedule.take(0) is None


def test_what_is_delivered_again_is_bounded_in_bytes_too() -> None:
    schedule = Schedule(window_bytes=2 * SIZE)
    for seq in (1, 2):
        schedule.offer(item(seq))
    for _ in range(2):
        schedule.retry(schedule.take(0), 10)  # type: ignore[arg-type]
    schedule.offer(large := Item(3, 3, 50 * SIZE))

    again = [schedule.take(10) for _ in range(3)]
    assert [one and one.seq for one in again] == [1, 2, None]
    for one in again[:2]:
        schedule.done(one)  # type: ignore[arg-type]
    assert schedule.take(10) is large, "one larger than the bound goes alone"
    assert schedule.take(10) is None
