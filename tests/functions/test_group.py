"""Group commit: who waits, who goes together, and that one bad event spoils nothing."""

import asyncio
import threading
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.group import GroupCommit, GroupLimits, Queue, Waiting
from trades.store import Outcome, StoreMisconfigured, StoreUnavailable

pytestmark = pytest.mark.usefixtures("_quiet_logs")


class Answered:
    """As much of a future as the queue looks at."""

    def __init__(self, is_done: bool) -> None:
        self._is_done = is_done

    def done(self) -> bool:
        return self._is_done


limits = st.builds(
    GroupLimits, max_events=st.integers(1, 5), max_weight=st.integers(1, 10), queue_max_events=st.just(1000)
)
entries = st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=40)


@given(limits, entries)
def test_groups_are_runs_within_the_limits(limits: GroupLimits, entries: list[tuple[int, bool]]) -> None:
    queue: Queue[int] = Queue(limits)
    for number, (weight, given_up) in enumerate(entries):
        queue.put(Waiting(number, weight, Answered(given_up)))  # type: ignore[arg-type]
    groups = []
    while group := queue.take():
        groups.append(group)
    assert len(queue) == 0
    taken = [waiting.item for group in groups for waiting in group]
    assert taken == [number for number, (_, given_up) in enumerate(entries) if not given_up]
    for group in groups:
        assert len(group) <= limits.max_events
        assert len(group) == 1 or sum(waiting.weight for waiting in group) <= limits.max_weight
    for group, following in pairwise(groups):
        is_full = len(group) == limits.max_events
        weight = sum(waiting.weight for waiting in group) + following[0].weight
        assert is_full or weight > limits.max_weight, "a group ended before it had to"


class FaultyApply:
    """Stores items; the poisonous crash their group, and the calls in `down` find no store."""

    def __init__(self, poison: set[int], down: set[int]) -> None:
        self.poison = poison
        self.down = down
        self.calls = 0
        self.stored: set[int] = set()
        self.sizes: list[int] = []
        self.running = 0
        self.most_running = 0
        self._lock = threading.Lock()

    def __call__(self, items: Sequence[int]) -> list[Outcome]:
        with self._lock:
            self.calls += 1
            self.running += 1
            self.most_running = max(self.running, self.most_running)
            self.sizes.append(len(items))
            call = self.calls
        try:
            if call in self.down:
                raise StoreUnavailable("down")
            if self.poison.intersection(items):
                raise ZeroDivisionError
            with self._lock:
                outcomes = [Outcome.DUPLICATE if item in self.stored else Outcome.STORED for item in items]
                self.stored.update(items)
            return outcomes
        finally:
            with self._lock:
                self.running -= 1


@settings(deadline=None)
@given(
    bursts=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    poison=st.sets(st.integers(0, 30), max_size=3),
    down=st.sets(st.integers(1, 10), max_size=3),
    workers=st.integers(1, 3),
    max_events=st.integers(1, 8),
)
def test_each_event_gets_the_outcome_that_is_true(
    bursts: list[int], poison: set[int], down: set[int], workers: int, max_events: int
) -> None:
    apply = FaultyApply(poison, down)

    async def run() -> list[Outcome]:
        group = GroupCommit(apply, GroupLimits(max_events, 1000, 1000), workers=workers)
        pending: list[asyncio.Task[Outcome]] = []
        for size in bursts:
            pending += [asyncio.create_task(group.submit(len(pending) + index)) for index in range(size)]
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*pending)
        group.close()
        return outcomes

    outcomes = asyncio.run(run())
    for item, outcome in enumerate(outcomes):
        assert (outcome is Outcome.STORED) == (item in apply.stored)
        assert outcome is Outcome.STORED or item in poison or down, "a good event failed for no reason"
    assert not poison & apply.stored
    assert max(apply.sizes) <= max_events
    assert apply.most_running <= workers


class HeldApply:
    """Waits until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.groups: list[list[str]] = []

    def __call__(self, items: Sequence[str]) -> list[Outcome]:
        self.groups.append(list(items))
        assert self.go.wait(30)
        return [Outcome.STORED] * len(items)


async def _submitted(group: GroupCommit[str], *items: str) -> list[asyncio.Task[Outcome]]:
    tasks = [asyncio.create_task(group.submit(item)) for item in items]
    await asyncio.sleep(0.01)
    return tasks


async def test_what_comes_during_a_commit_goes_together_into_the_next() -> None:
    apply = HeldApply()
    group = GroupCommit(apply, GroupLimits(8, 1000, 100))
    first = await _submitted(group, "a")
    others = await _submitted(group, "b", "c") + await _submitted(group, "d")
    apply.go.set()
    assert await asyncio.gather(*first, *others) == [Outcome.STORED] * 4
    assert apply.groups == [["a"], ["b", "c", "d"]]
    group.close()


async def test_a_full_queue_answers_at_once() -> None:
    apply = HeldApply()
    group = GroupCommit(apply, GroupLimits(8, 1000, 2))
    waiting = await _submitted(group, "under way") + await _submitted(group, "b", "c")
    assert await group.submit("too many") is Outcome.UNAVAILABLE
    apply.go.set()
    assert set(await asyncio.gather(*waiting)) == {Outcome.STORED}
    assert await group.submit("room again") is Outcome.STORED
    group.close()


async def test_an_event_given_up_while_it_waits_is_not_committed() -> None:
    apply = HeldApply()
    group = GroupCommit(apply, GroupLimits(1, 1000, 100))
    under_way, given_up, kept = await _submitted(group, "under way", "given up", "kept")
    given_up.cancel()
    under_way.cancel()
    await asyncio.sleep(0)
    apply.go.set()
    assert await kept is Outcome.STORED
    assert apply.groups == [["under way"], ["kept"]]
    group.close()


@pytest.mark.parametrize("wrong", [[], [Outcome.STORED] * 3])
async def test_a_wrong_number_of_outcomes_is_never_taken_for_done(wrong: list[Outcome]) -> None:
    group = GroupCommit(lambda _: wrong, GroupLimits(8, 1000, 100))
    tasks = await _submitted(group, "a", "b")
    assert await asyncio.gather(*tasks) == [Outcome.UNAVAILABLE] * 2
    group.close()


async def test_a_misconfigured_store_is_unavailable() -> None:
    def apply(_: Sequence[str]) -> list[Outcome]:
        raise StoreMisconfigured("no such namespace")

    group = GroupCommit(apply, GroupLimits(8, 1000, 100))
    assert await group.submit("a") is Outcome.UNAVAILABLE
    group.close()
