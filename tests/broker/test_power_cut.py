"""The broker's log on a disk that loses what was not synced: an event that was accepted is delivered."""

import os
import random
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from eventing.broker import log as log_module
from eventing.broker.log import Log, LogError
from eventing.broker.schema import Counts, DeliveryRow, State
from eventing.event import Event
from tests.faulty_disk import FaultyDisk

POWER_CUTS = int(os.environ.get("SQLITE_POWER_CUTS", "40"))
TRIGGERS = (1, 2)
GROUPS = 20

MakeDisk = Callable[[], FaultyDisk]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> MakeDisk:
    """Makes disks; a log that opens runs on the one made last."""
    monkeypatch.setattr(log_module, "FAILED_PAUSE_S", 0)

    def make() -> FaultyDisk:
        made = FaultyDisk(uuid.uuid4().hex)
        monkeypatch.setattr(sqlite3, "connect", lambda path, **_: made.connect(str(path)))
        return made

    return make


async def take_in(log: Log) -> set[int]:
    """Accept events in groups, and deliver each to the first trigger. The numbers that were accepted."""
    accepted = set[int]()
    for group in range(GROUPS):
        events = [Event({"id": f"{group}-{n}", "source": "/s", "type": "t"}, b"x" * 900) for n in range(3)]
        numbers = {log.append("b", 0, 255, event, TRIGGERS).seq for event in events}
        try:
            await log.synced()
        except LogError:
            continue
        accepted |= numbers
        for number in numbers:
            log.settle(DeliveryRow(number, TRIGGERS[0], State.DELIVERED, 1, 0), Counts(0, 0, 0, TRIGGERS[0]))
    return accepted


async def run_until_power_cut(
    disk: FaultyDisk, path: Path, after: Path, synchronous: str = "FULL"
) -> set[int]:
    """The numbers that were accepted; `after` is the folder as the disk has it."""
    log = Log(path)
    try:
        await log.open()
    except LogError:
        disk.cut_power(after, random.Random(8))
        return set()
    log._write_db.execute(f"PRAGMA synchronous = {synchronous}")
    log._write_db.execute("PRAGMA wal_autocheckpoint = 12")  # so that checkpoints are among what is cut short
    accepted = await take_in(log)
    disk.cut_power(after, random.Random(disk.steps))
    await log.close()
    return accepted


async def read_open(path: Path) -> tuple[list[set[int]], int]:
    """The events that wait for each trigger, as the log's next process sees them, and the next number."""
    log = Log(path)
    await log.open()
    waiting = [await log.reader.backlog(trigger, 0, 1_000, 1 << 20) for trigger in TRIGGERS]
    await log.close()
    return [{stored.seq for _, stored in found} for found in waiting], log.next_seq


async def test_what_was_accepted_outlives_a_power_cut(disk: MakeDisk, tmp_path: Path) -> None:
    """All writes fail from the n-th on, and of those before it only the synced ones are sure to remain."""
    rng = random.Random(6)
    whole = disk()
    assert len(await run_until_power_cut(whole, tmp_path / "whole.db", tmp_path / "whole")) == 3 * GROUPS
    cut_short = 0
    for number in range(POWER_CUTS):
        faulty, before, after = disk(), tmp_path / f"{number}.db", tmp_path / f"{number}"
        faulty.fails_at = range(rng.randrange(1, whole.steps + 1), 1_000_000)
        accepted = await run_until_power_cut(faulty, before, after)
        disk()
        (first, second), next_number = await read_open(after / before.name)
        assert accepted <= second, "nothing was delivered there"
        assert first <= second, "what was delivered may come again, nothing else"
        assert next_number > max(accepted, default=0), "no number is given twice"
        cut_short += 0 < len(accepted) < 3 * GROUPS
    assert cut_short > POWER_CUTS // 2


async def test_a_log_that_did_not_sync_would_be_caught(disk: MakeDisk, tmp_path: Path) -> None:
    """The power cut is a real one."""
    losses = 0
    for number in range(10):
        before, after = tmp_path / f"{number}.db", tmp_path / f"{number}"
        accepted = await run_until_power_cut(disk(), before, after, synchronous="OFF")
        disk()
        try:
            (_, second), _ = await read_open(after / before.name)
            losses += not accepted <= second
        except LogError:
            losses += 1
    assert losses
