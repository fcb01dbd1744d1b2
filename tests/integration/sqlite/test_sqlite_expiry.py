"""Raw trades that are kept for a while only: removed in steps, as new ones come, and told of by verify."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from trades.stores.sqlite import SqliteStore, expiry, raw_trades
from trades.trade import Trade, TradeEvent
from tradewind.checks.repairs import CannotRepair, repair_store
from tradewind.checks.tickers import Checker

DAY_S = 86_400


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time, in seconds; small runs and steps, so that a test has many of them."""
    now_s = [1_760_000_000]
    monkeypatch.setattr(raw_trades.time, "time", lambda: float(now_s[0]))
    monkeypatch.setattr(raw_trades, "MAX_WAITING_TRADES", 40)
    monkeypatch.setattr(expiry, "STEP_ROWS", 3)
    monkeypatch.setattr(raw_trades, "STEP_ROWS", 3)
    return now_s


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store", trade_retention_s=DAY_S)
    yield opened
    opened.close()


def make_event(number: int, ticker: str = "A") -> TradeEvent:
    trades = [Trade(ticker, 10_000 + place, 1, number) for place in range(10)]
    return TradeEvent.of("/test", str(number), trades, is_batch=True)


def store_and_count(store: SqliteStore, numbers: range, ticker: str = "A") -> None:
    for number in numbers:
        store.store_trades([make_event(number, ticker)])
        store.count_trades([make_event(number, ticker)])


def stored_events(store: SqliteStore) -> set[int]:
    """Each of them whole."""
    counts = Counter(int(stored.event_id) for stored in store.scan_trades())
    assert set(counts.values()) <= {10}
    return set(counts)


def test_old_runs_go_and_young_ones_stay(store: SqliteStore, clock: list[int]) -> None:
    store_and_count(store, range(20))
    clock[0] += DAY_S // 2
    store_and_count(store, range(20, 40))
    assert store.read_stored_count() == 400
    clock[0] += DAY_S // 2 + 1
    store_and_count(store, range(40, 60))
    left = stored_events(store)
    assert left >= set(range(20, 60))
    assert len(left) <= 45, "of the oldest, only what waited then may be left"
    assert store.read_stored_count() == 10 * len(left)
    assert len(store.read_trades("A", 1_000).trades) == 10 * len(left)


def test_a_commit_removes_a_few_at_a_time(store: SqliteStore, clock: list[int]) -> None:
    store_and_count(store, range(60))
    clock[0] += DAY_S + 1
    before = store.read_stored_count()
    store.store_trades([make_event(100)])
    assert before + 10 - store.read_stored_count() == 3 + 2 * 10


def test_an_event_whose_trades_are_gone_is_known(store: SqliteStore, clock: list[int]) -> None:
    store_and_count(store, range(20))
    clock[0] += DAY_S + 1
    store_and_count(store, range(20, 40))
    assert 0 not in stored_events(store)
    assert store.store_trades([make_event(0)]) == ["DUPLICATE"]
    assert store.count_trades([make_event(0)]) == ["DUPLICATE"]


def test_verify_says_how_much_is_beyond_and_reports_no_difference(
    store: SqliteStore, clock: list[int]
) -> None:
    store_and_count(store, range(20))
    store_and_count(store, range(100, 120), "GONE")
    clock[0] += DAY_S + 1
    store_and_count(store, range(20, 60))
    stored = store.read_stored_count()
    checker = Checker(store)
    found = checker.scan()
    assert (found.trades, found.suspects) == (stored, [])
    assert found.not_kept == 800 - stored > 0
    events = checker.events.judge(lambda: True)
    assert events.claims_without_trades.count == events.trades_without_claims.count == 0


def test_what_is_stored_and_not_counted_is_still_a_difference(store: SqliteStore, clock: list[int]) -> None:
    store_and_count(store, range(20))
    clock[0] += DAY_S + 1
    store_and_count(store, range(20, 40))
    store.store_trades([make_event(99, "LATE")])
    checker = Checker(store)
    [judgement] = checker.judge(checker.scan().suspects, lambda: True)
    assert [found.ticker for found in judgement.confirmed] == ["LATE"]
    assert checker.events.judge(lambda: True).trades_without_claims.tickers == {"LATE": 1}


def test_repair_leaves_such_a_store_alone(store: SqliteStore, clock: list[int]) -> None:
    store_and_count(store, range(5))
    with pytest.raises(CannotRepair, match="TRADE_RETENTION"):
        repair_store(store, lambda: True)


def test_trades_from_before_it_was_set_count_as_young(tmp_path: Path, clock: list[int]) -> None:
    folder = tmp_path / "old"
    without = SqliteStore(folder)
    store_and_count(without, range(20))
    clock[0] += 10 * DAY_S
    store_and_count(without, range(20, 40))
    without.close()
    assert without.read_expiry() == (False, False)
    store = SqliteStore(folder, trade_retention_s=DAY_S)
    store_and_count(store, range(40, 50))
    assert store.read_stored_count() == 500
    assert store.read_expiry() == (False, True)
    clock[0] += DAY_S + 1
    store_and_count(store, range(50, 90))
    assert not stored_events(store) & set(range(30))
    store.close()
    without.close()
    for connection in [sqlite3.connect(folder / "trades.db")]:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
