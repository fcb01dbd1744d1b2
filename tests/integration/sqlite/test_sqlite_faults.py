"""SQLite, killed and deprived of its disk: what was acknowledged is there, and nothing is there twice."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import apsw
import pytest
from writer import make_events

from tests.faulty_disk import FaultyDisk
from trades.store import Outcome, StoreError, StoreUnavailable, TradeStore
from trades.stores.sqlite import SqliteStore, database, levels, raw_trades
from trades.stores.sqlite.database import Database
from trades.summary import tally_events
from trades.trade import TradeEvent

KILLS = int(os.environ.get("SQLITE_KILLS", "6"))
POWER_CUTS = int(os.environ.get("SQLITE_POWER_CUTS", "40"))
EVENTS = 400  # of 50 trades


def check_all_is_there_once(store: TradeStore, events: Sequence[TradeEvent]) -> None:
    """The store holds exactly these events: raw trades, summaries and price levels."""
    found = Counter((stored.event_id, stored.place, stored.trade) for stored in store.scan_trades())
    assert found == Counter((e.id, n, trade) for e in events for n, trade in enumerate(e.trades))
    assert store.read_stored_count() == sum(len(event.trades) for event in events)
    tallies = tally_events(events)
    assert sorted(store.scan_tickers()) == sorted(tallies)
    for ticker, tally in tallies.items():
        assert store.read_summary(ticker) == tally.summary
        assert store.read_levels(ticker) == tally.levels


def check_what_is_there(
    store: TradeStore, events: Sequence[TradeEvent], stored: set[str], counted: set[str]
) -> None:
    """All that was acknowledged is there, and what is there is whole events."""
    found = Counter(row.event_id for row in store.scan_trades())
    assert stored <= found.keys()
    sizes = {event.id: len(event.trades) for event in events}
    assert all(count == sizes[id_] for id_, count in found.items())
    acknowledged = [event for event in events if event.id in counted]
    # Counting again what was acknowledged changes nothing; what was not may or may not be in.
    assert set(store.count_trades(acknowledged)) <= {Outcome.DUPLICATE}
    counts = [summary.trade_count for summary in store.read_changed_summaries(0).summaries.values()]
    assert sum(counts) % len(events[0].trades) == 0


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that new runs and checkpoints are among what is interrupted."""
    monkeypatch.setattr(raw_trades, "MAX_WAITING_TRADES", 30)
    monkeypatch.setattr(levels, "MAX_YOUNG_LEVELS", 30)
    monkeypatch.setattr(database, "CHECKPOINT_PAGES", 12)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, small_limits: None) -> Iterator[Callable[[], FaultyDisk]]:
    """Makes disks; the store runs on the one made last."""

    def make() -> FaultyDisk:
        made = FaultyDisk(uuid.uuid4().hex)
        monkeypatch.setattr(Database, "_connect", lambda _, name, uri=False: made.connect(name))
        return made

    yield make
    monkeypatch.undo()


# Processes killed


@pytest.mark.timeout(600)
def test_a_writer_killed_at_random_moments(tmp_path: Path) -> None:
    rng = random.Random(1)
    events = make_events(1, EVENTS)
    command = [sys.executable, str(Path(__file__).with_name("writer.py"))]
    kills = 0
    while kills < KILLS:
        folder = tmp_path / f"{kills}"
        acknowledged: dict[str, set[str]] = {"stored": set(), "counted": set()}
        is_done = False
        while not is_done:
            process = subprocess.Popen(
                [*command, str(folder), "1", str(EVENTS)], stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            first = process.stdout.readline()
            if kills < KILLS:
                time.sleep(rng.uniform(0, 0.15))
                process.send_signal(signal.SIGKILL)
                kills += 1
            for line in [first, *process.stdout]:
                verb, *ids = line.split()
                if verb == "end":
                    is_done = True
                elif line.endswith("\n"):
                    acknowledged[verb].update(ids)
            process.stdout.close()
            process.wait()
            store = SqliteStore(folder)
            check_what_is_there(store, events, acknowledged["stored"], acknowledged["counted"])
            store.close()
        store = SqliteStore(folder)
        check_all_is_there_once(store, events)
        store.close()


# Disks that fail


def work_through(store: TradeStore, events: Sequence[TradeEvent]) -> tuple[set[str], set[str], int]:
    """Store and count in small groups until one fails; what was acknowledged, and how many failed."""
    done: dict[Outcome, set[str]] = {Outcome.STORED: set(), Outcome.COUNTED: set()}
    failures = 0
    for start in range(0, len(events), 3):
        group = events[start : start + 3]
        for write in (store.store_trades, store.count_trades):
            try:
                outcomes = write(group)
            except StoreUnavailable:
                failures += 1
                continue
            for event, outcome in zip(group, outcomes, strict=True):
                if outcome is Outcome.DUPLICATE:
                    outcome = Outcome.STORED if write == store.store_trades else Outcome.COUNTED
                done[outcome].add(event.id)
    return done[Outcome.STORED], done[Outcome.COUNTED], failures


def count_steps(
    make_disk: Callable[[], FaultyDisk], folder: Path, events: Sequence[TradeEvent], retention_s: int = 0
) -> int:
    disk = make_disk()
    store = SqliteStore(folder, trade_retention_s=retention_s)
    assert work_through(store, events)[2] == 0
    check_all_is_there_once(store, events)
    store.close()
    return disk.steps


@pytest.mark.parametrize("retention_s", [0, 3_600])
@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError])
def test_the_nth_write_fails_once_for_all_n(
    disk: Callable[[], FaultyDisk], tmp_path: Path, error: type[apsw.Error], retention_s: int
) -> None:
    """Whatever fails, doing it again gets everything in, once."""
    events = make_events(2, 12, trades_per_event=5)
    steps = count_steps(disk, tmp_path / "whole", events, retention_s)
    assert steps > 50
    failures = 0
    for n in range(1, steps + 1):
        faulty = disk()
        faulty.fails_at, faulty.error = range(n, n + 1), error
        store = SqliteStore(tmp_path / f"{n}", trade_retention_s=retention_s)
        failures += work_through(store, events)[2]
        assert work_through(store, events)[2] == 0
        check_all_is_there_once(store, events)
        store.close()
    assert failures > steps // 4  # the rest were checkpoints, after the commit


def test_a_disk_that_is_full_from_the_nth_write_on_until_there_is_room_again(
    disk: Callable[[], FaultyDisk], tmp_path: Path
) -> None:
    events = make_events(3, 12, trades_per_event=5)
    steps = count_steps(disk, tmp_path / "whole", events)
    for n in range(1, steps + 1, 3):
        faulty = disk()
        faulty.fails_at, faulty.error = range(n, 1_000_000), apsw.FullError
        store = SqliteStore(tmp_path / f"{n}")
        stored, counted, _ = work_through(store, events)
        faulty.fails_at = range(0)
        check_what_is_there(store, events, stored, counted)
        assert work_through(store, events)[2] == 0
        check_all_is_there_once(store, events)
        store.close()


@pytest.mark.timeout(600)
def test_a_power_cut_that_loses_what_was_not_synced(disk: Callable[[], FaultyDisk], tmp_path: Path) -> None:
    """All writes fail from the n-th on, and of those before it only the synced ones are sure to remain."""
    rng = random.Random(4)
    events = make_events(4, 12, trades_per_event=5)
    steps = count_steps(disk, tmp_path / "whole", events)
    for number in range(POWER_CUTS):
        faulty = disk()
        n = rng.randrange(1, steps + 1)
        faulty.fails_at = range(n, 1_000_000)
        store = SqliteStore(tmp_path / f"{number}")
        stored, counted, _ = work_through(store, events)
        faulty.cut_power(tmp_path / f"{number}-after", rng)
        store.close()
        disk()
        again = SqliteStore(tmp_path / f"{number}-after")
        check_what_is_there(again, events, stored, counted)
        assert work_through(again, events)[2] == 0
        check_all_is_there_once(again, events)
        again.close()


def test_a_store_that_did_not_sync_would_be_caught(disk: Callable[[], FaultyDisk], tmp_path: Path) -> None:
    """The power cut is a real one: with synchronous=OFF it loses acknowledged events."""
    rng = random.Random(5)
    events = make_events(5, 12, trades_per_event=5)
    losses = 0
    for number in range(10):
        faulty = disk()
        store = SqliteStore(tmp_path / f"{number}")
        store._trades_file._synchronous = "OFF"
        stored, _, _ = work_through(store, events)
        faulty.cut_power(tmp_path / f"{number}-after", rng)
        store.close()
        disk()
        again = SqliteStore(tmp_path / f"{number}-after")
        try:
            losses += not stored <= {row.event_id for row in again.scan_trades()}
        except StoreError:
            losses += 1
        again.close()
    assert losses > 0


def is_stored(store: TradeStore, event: TradeEvent) -> bool:
    with suppress(StoreUnavailable):
        return store.store_trades([event]) == ["STORED"]
    return False


def test_a_file_that_may_not_grow(small_limits: None, tmp_path: Path) -> None:
    """The standard library's SQLite, at its own limit of pages: nothing half done, and it goes on later."""
    events = make_events(6, 200)
    store = SqliteStore(tmp_path)
    store.ping()
    with store._trades_file.write() as connection:
        connection.execute("PRAGMA max_page_count=40")
    stored = list(itertools.takewhile(lambda event: is_stored(store, event), events))
    assert 0 < len(stored) < len(events)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        store.store_trades(events[len(stored) :])
    assert store.read_stored_count() == 50 * len(stored)
    with store._trades_file.write() as connection:
        connection.execute("PRAGMA max_page_count=1000000")
    outcomes = Counter(store.store_trades(events))
    assert outcomes == {"DUPLICATE": len(stored), "STORED": len(events) - len(stored)}
    store.count_trades(events)
    check_all_is_there_once(store, events)
    store.close()
