"""What only the SQLite store has: files, forks, a log, a waiting room."""

import multiprocessing
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from writer import make_events

from trades.store import EventNote, StoredTrade, StoreMisconfigured, StoreUnavailable, TradeStore
from trades.stores.sqlite import SqliteStore, database, levels, raw_trades
from trades.stores.sqlite.database import Database
from trades.summary import tally_events
from trades.trade import SINGLE, Trade, TradeEvent


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store")
    yield store
    store.close()


# Files


def test_nothing_is_made_before_the_first_use(store: SqliteStore, tmp_path: Path) -> None:
    assert not (tmp_path / "store").exists()
    store.ping()
    names = {path.name for path in (tmp_path / "store").glob("*.db")}
    assert names == {"trades.db", "summaries.db", "dead_letters.db", "notes.db"}


def test_closing_leaves_the_database_files_alone(store: SqliteStore, tmp_path: Path) -> None:
    store.store_trades(make_events(1, 5))
    store.read_stored_count()
    store.close()
    assert {path.name for path in (tmp_path / "store").iterdir()} == {"trades.db"}


def test_a_file_that_is_no_database(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "trades.db").write_bytes(b"no database" * 1_000)
    for call in (store.ping, store.read_stored_count, lambda: store.store_trades(make_events(1, 1))):
        with pytest.raises(StoreMisconfigured, match="not an SQLite file: move it away"):
            call()


def test_a_database_of_another_program(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with sqlite3.connect(tmp_path / "store" / "trades.db") as other:
        other.execute("CREATE TABLE holidays (day)")
    other.close()
    for call in (store.read_stored_count, lambda: store.store_trades(make_events(1, 1))):
        with pytest.raises(StoreMisconfigured, match="belongs to another program"):
            call()


def test_a_file_of_another_version(store: SqliteStore, tmp_path: Path) -> None:
    store.store_trades(make_events(1, 1))
    store.close()
    with sqlite3.connect(tmp_path / "store" / "trades.db") as later:
        later.execute("PRAGMA user_version=99")
    later.close()
    for call in (store.read_stored_count, lambda: store.store_trades(make_events(1, 1))):
        with pytest.raises(StoreMisconfigured, match="layout 99"):
            call()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreMisconfigured, match="set STORE to a folder"):
        SqliteStore(tmp_path / "file" / "store").ping()


def test_a_file_that_another_process_holds(store: SqliteStore, tmp_path: Path) -> None:
    """Writers give up after their time-out; readers do not notice."""
    events = make_events(1, 2)
    store._trades_file._busy_timeout_ms = 50
    store.store_trades(events[:1])
    other = sqlite3.connect(tmp_path / "store" / "trades.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another process holds the file"):
        store.store_trades(events)
    assert store.read_stored_count() == 50
    other.execute("ROLLBACK")
    other.close()
    assert store.store_trades(events) == ["DUPLICATE", "STORED"]


def remove(folder: Path) -> None:
    for path in folder.glob("trades.db*"):
        path.unlink()


def replace(folder: Path) -> None:
    other = SqliteStore(folder.with_name("other"))
    other.store_trades(make_events(9, 1))
    other.close()
    remove(folder)
    (folder.with_name("other") / "trades.db").rename(folder / "trades.db")


@pytest.mark.parametrize("disturb", [remove, replace])
def test_a_file_removed_or_replaced_while_open(
    store: SqliteStore, tmp_path: Path, disturb: Callable[[Path], None]
) -> None:
    """Nothing is acknowledged into a file that nobody will find; later ones go into what is there."""
    events = make_events(1, 3)
    store.store_trades(events[:1])
    disturb(tmp_path / "store")
    with pytest.raises(StoreMisconfigured, match="removed or replaced while it was in use"):
        store.store_trades(events[1:2])
    assert store.store_trades(events[1:]) == ["STORED"] * 2
    assert store.read_stored_count() == 50 * (2 + (disturb is replace))


def test_a_reader_finds_that_its_file_was_removed(store: SqliteStore, tmp_path: Path) -> None:
    store.store_trades(make_events(1, 1))
    remove(tmp_path / "store")
    with pytest.raises(StoreMisconfigured, match="removed or replaced"):
        store.read_stored_count()
    assert store.read_stored_count() == 0


def test_a_disk_without_a_write_ahead_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite says so in its answer only: a database in memory has none either."""
    monkeypatch.setattr(Database, "_connect", lambda *_, uri=False: sqlite3.connect(":memory:"))
    with pytest.raises(StoreMisconfigured, match="set STORE to a folder on a local disk"):
        SqliteStore(tmp_path).store_trades(make_events(1, 1))


def test_a_bug_in_a_statement_is_not_hidden_as_a_store_error(store: SqliteStore) -> None:
    with (
        pytest.raises(sqlite3.OperationalError, match="no such table"),
        store._trades_file.write() as connection,
    ):
        connection.execute("SELECT * FROM nowhere")
    assert store.store_trades(make_events(1, 1)) == ["STORED"]


def test_commits_are_synced_and_logged_ahead(store: SqliteStore) -> None:
    with store._trades_file.write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_readers_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(StoreMisconfigured, match="readonly"), store._trades_file.read() as connection:
        connection.execute("DELETE FROM events")


# The log


def test_the_log_is_bounded_while_readers_overlap(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that stays lets it grow; when it is gone, the next commits cut it."""
    monkeypatch.setattr(database, "CHECKPOINT_PAGES", 10)
    monkeypatch.setattr(database, "_MAX_LOG_BYTES", 200_000)
    monkeypatch.setattr(database, "_TRUNCATE_TIMEOUT_MS", 1)
    store._trades_file._truncate_at_bytes = 200_000
    log = tmp_path / "store" / "trades.db-wal"
    events = iter(make_events(1, 900))
    store.store_trades([next(events)])
    with store._trades_file.read() as connection:
        connection.execute("SELECT * FROM totals").fetchone()
        while log.stat().st_size < 1_000_000:
            store.store_trades([next(events)])
    for event in events:
        store.store_trades([event])
    assert log.stat().st_size <= 250_000


def test_a_checkpoint_that_fails_leaves_the_patience_for_the_lock(store: SqliteStore) -> None:
    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            return super().execute("SELECT * FROM nowhere" if "wal_checkpoint" in sql else sql, *values)

    file = store._trades_file
    file._connect = lambda name, uri=False: sqlite3.connect(  # type: ignore[method-assign]
        name, isolation_level=None, check_same_thread=False, uri=uri, timeout=5, factory=Failing
    )
    file._truncate_at_bytes = 0
    store.store_trades(make_events(1, 1))
    with file.write() as connection:
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (5_000,)


# Forks


def work_in_child(
    store: TradeStore, events: list[TradeEvent], result: "multiprocessing.Queue[object]"
) -> None:
    inherited = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.exists()]
    outcomes = store.store_trades(events)
    store.count_trades(events)
    result.put(([name for name in inherited if ".db" in name], outcomes, store.read_stored_count()))
    store.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_store_in_use_is_usable_on_both_sides_of_a_fork(store: SqliteStore) -> None:
    """And no open file is carried across, as SQLite's locks would not be."""
    context = multiprocessing.get_context("fork")
    events = make_events(1, 30)
    store.store_trades(events[:1])
    store.count_trades(events[:1])
    store.read_stored_count()
    for number in range(1, 29, 2):
        result = context.Queue()
        child = context.Process(target=work_in_child, args=(store, events[number : number + 1], result))
        child.start()
        assert store.store_trades(events[number + 1 : number + 2]) == ["STORED"]
        store.count_trades(events[number + 1 : number + 2])
        inherited, outcomes, _ = result.get(timeout=30)
        child.join()
        assert inherited == []
        assert outcomes == ["STORED"]
    assert store.read_stored_count() == 29 * 50
    for ticker, tally in tally_events(events[:29]).items():
        assert store.read_summary(ticker) == tally.summary


def test_a_fork_waits_for_threads_that_read_and_write(store: SqliteStore) -> None:
    events = make_events(1, 200)
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            store.read_stored_count()

    threads = [threading.Thread(target=read) for _ in range(3)]
    threads.append(threading.Thread(target=lambda: [store.store_trades([event]) for event in events[:150]]))
    for thread in threads:
        thread.start()
    for number in range(5):
        # As os.fork() does, without a fork: one in a process with threads is deprecated.
        database._before_fork()
        assert store._trades_file._writer is None, number
        assert store._trades_file._idle_readers == []
        database._after_fork()
    threads[-1].join()
    stop.set()
    for thread in threads:
        thread.join()
    assert store.store_trades(events) == ["DUPLICATE"] * 150 + ["STORED"] * 50


def test_threads_may_fork_at_once(store: SqliteStore, tmp_path: Path) -> None:
    stores = [store, *(SqliteStore(tmp_path / f"{number}") for number in range(3))]
    for each in stores:
        each.ping()
    gate = threading.Barrier(3)

    def fork_often() -> None:
        gate.wait()
        for _ in range(200):
            database._before_fork()
            database._after_fork()

    def make_stores() -> None:
        gate.wait()
        for _ in range(200):
            SqliteStore(tmp_path / "more")

    work = [fork_often, fork_often, make_stores]
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)
    assert store.store_trades(make_events(1, 1)) == ["STORED"]


# The waiting room


def make_singles(count: int) -> list[TradeEvent]:
    events = []
    for number in range(count):
        trades = [Trade("A.COM", 320_000, 1, number * 37 % 1_000)]
        events.append(TradeEvent.of("/singles", f"s{number}", trades, is_batch=False))
    return events


def waiting_events(store: SqliteStore) -> int:
    with store._trades_file.read() as connection:
        count: int = connection.execute("SELECT count(*) FROM waiting").fetchone()[0]
        assert (count,) == connection.execute("SELECT waiting_events FROM totals").fetchone()
        return count


@pytest.mark.parametrize(("trades", "events"), [(100, 2_000), (32_000, 7), (1, 1)])
def test_the_waiting_room_is_bounded_by_trades_and_by_events(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, trades: int, events: int
) -> None:
    monkeypatch.setattr(raw_trades, "MAX_WAITING_TRADES", trades)
    monkeypatch.setattr(raw_trades, "MAX_WAITING_EVENTS", events)
    singles = make_singles(250)
    rng = random.Random(1)
    remaining = list(singles)
    while remaining:
        size = rng.randrange(1, 9)
        store.store_trades(remaining[:size])
        del remaining[:size]
        assert waiting_events(store) < min(trades, events) + 8
    expected = Counter(StoredTrade(event.trades[0], "/singles", event.id, SINGLE) for event in singles)
    assert Counter(store.scan_trades()) == expected
    assert Counter(store.read_trades("A.COM", 1_000).trades) == expected


def test_people_see_all_trades(store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The view `all_trades`, as someone with the sqlite3 shell would read it: waiting and sorted ones."""
    monkeypatch.setattr(raw_trades, "MAX_WAITING_TRADES", 120)
    events = make_events(1, 7)
    for event in events:
        store.store_trades([event])
    assert 0 < waiting_events(store) < 7
    shell = sqlite3.connect(tmp_path / "store" / "trades.db")
    rows = shell.execute(
        "SELECT ticker, price_ticks, volume, time_ms, source, event_id, place FROM all_trades"
    ).fetchall()
    shell.close()
    assert Counter(rows) == Counter(
        (*trade, event.source, event.id, place)
        for event in events
        for place, trade in enumerate(event.trades)
    )


# Price levels


def young_levels(store: SqliteStore) -> int:
    with store._summaries_file.read() as connection:
        (count,) = connection.execute("SELECT count(*) FROM young_levels").fetchone()
        (most,) = connection.execute("SELECT most_young_levels FROM totals").fetchone()
        assert count <= most
        return int(count)


def count_runs(store: SqliteStore) -> int:
    with store._summaries_file.read() as connection:
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


def test_young_levels_are_bounded_and_add_up_with_the_runs(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels, "MAX_YOUNG_LEVELS", 300)
    events = make_events(1, 60)
    for event in events:
        store.count_trades([event])
        assert young_levels(store) < 300 + len(event.trades)
    assert count_runs(store) > 5
    tallies = tally_events(events)
    for ticker, tally in tallies.items():
        assert store.read_levels(ticker) == tally.levels
    shell = sqlite3.connect(tmp_path / "store" / "summaries.db")
    rows = shell.execute(
        "SELECT ticker, price_ticks, trade_count, volume, latest_time_ms FROM levels"
    ).fetchall()
    shell.close()
    assert sorted(rows) == sorted(
        (ticker, price, level.trade_count, level.volume, level.latest_time_ms)
        for ticker, tally in tallies.items()
        for price, level in tally.levels.items()
    )


def test_few_prices_never_make_a_run(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A market of few prices adds to the same levels for ever: those stay in one table."""
    monkeypatch.setattr(levels, "MAX_YOUNG_LEVELS", 100)
    for event in make_singles(300):
        store.count_trades([event])
    assert young_levels(store) == 1
    assert count_runs(store) == 0


# Threads


def test_notes_from_many_threads(store: SqliteStore) -> None:
    def add(number: int) -> None:
        for step in range(30):
            store.add_notes([EventNote(f"f{number}", step, {}, b"", 0, "STORED", "")])

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.read_notes(1_000)) == 240
