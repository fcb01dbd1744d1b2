"""What `tradewind verify` says of events; what it finds is in tests/contract/test_verify.py."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trades.stores.sqlite import SqliteStore
from trades.trade import Trade, TradeEvent
from tradewind import verify
from tradewind.cli import app
from tradewind.laptop.folder import Run
from tradewind.options import is_store_of

Fill = Callable[[Sequence[TradeEvent]], None]
Batch = Callable[..., TradeEvent]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setattr(verify, "idle_or_quiet", lambda store, data: lambda: True)
    where = ("--store", f"sqlite:{tmp_path / 'store'}", "--data", str(tmp_path / "none"))

    def run(*arguments: str, code: int) -> str:
        result = CliRunner().invoke(app, ["verify", *arguments, *where])
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_nothing_to_say(store: SqliteStore, fill: Fill, make_batch: Batch, call: Callable[..., str]) -> None:
    fill([make_batch("e1", Trade("A", 10_000, 1, 1))])
    assert call(code=0).count("\n") == 1
    report = json.loads(call("--json", code=0))
    nothing = {"count": 0, "tickers": {}, "events": []}
    assert [report[name] for name in verify.EVENT_FAULTS] == [nothing] * 4
    assert (report["events_not_judged"], report["trades_not_kept"], report["dead_letters"]) == (0, 0, 0)


def test_events_by_ticker(
    store: SqliteStore, fill: Fill, make_batch: Batch, call: Callable[..., str]
) -> None:
    """A claim whose trades never were there, and trades that were never counted, though all sums agree."""
    fill([make_batch("e1", Trade("A", 10_000, 1, 1))])
    for number in range(120):
        store.store_trades([make_batch(f"u{number:03}", Trade("A", 10_000, 1, 1), Trade("B", 1, 1, 1))])
    store.count_trades([make_batch("orphan", Trade("C", 1, 1, 1))])
    said = call(code=1)
    assert (
        "120 events with raw trades and no claim: not counted, or the claim was lost (A 120, B 120):" in said
    )
    assert "(A 120, B 120):\n  /test u000\n" in said
    assert "  and 20 more\n" in said
    assert "1 event counted, without any of the raw trades:\n  (key " in said
    report = json.loads(call("--json", code=1))
    assert report["trades_without_claims"]["count"] == 120
    assert len(report["trades_without_claims"]["events"]) == 100
    assert report["claims_without_trades"]["count"] == 1


def test_of_many_that_differ_some_are_shown_and_the_cure(
    store: SqliteStore, make_batch: Batch, call: Callable[..., str], tmp_path: Path
) -> None:
    store.store_trades([make_batch("e", *(Trade(f"T{number:02}", 1, 1, 1) for number in range(53)))])
    lines = call(code=1).splitlines()
    assert lines[49] == "T49: 1 trade stored, none counted"
    assert lines[50] == "and 3 more (--json lists all)"
    assert "docs/operations.md" in lines[-1]
    where = f"--data {tmp_path / 'none'} --store sqlite:{tmp_path / 'store'}"
    assert f"`tradewind repair {where}`" in lines[-1]
    assert len(json.loads(call("--json", code=1))["differences"]) == 53


def test_dead_letters_are_a_reason_only_where_something_differs(
    store: SqliteStore, make_batch: Batch, call: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteStore, "count_dead_letters", lambda self: 14)
    store.ping()
    assert "14 dead letters wait: `tradewind dlq list`.\n" in call(code=0)
    store.store_trades([make_batch("e", Trade("A", 1, 1, 1))])
    assert "14 dead letters wait, which may be why: `tradewind dlq list`.\n" in call(code=1)
    monkeypatch.setattr(SqliteStore, "count_dead_letters", lambda self: 1)
    said = call(code=1)
    assert "1 dead letter waits, which may be why" in said
    assert "1 trade of 1 ticker in sqlite:" in said
    assert ": 1 differs.\n" in said


def test_where_trades_expire_no_repair_is_promised(
    tmp_path: Path, make_batch: Batch, call: Callable[..., str]
) -> None:
    store = SqliteStore(tmp_path / "store", trade_retention_s=60)
    store.store_trades([make_batch("e", Trade("A", 1, 1, 1))])
    store.close()
    said = call(code=1)
    assert "docs/operations.md" in said
    assert "repair" not in said


def test_what_could_not_be_judged_is_not_fine(
    store: SqliteStore, make_batch: Batch, call: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "idle_or_quiet", lambda store, data: lambda: False)
    monkeypatch.setattr("tradewind.checks.tickers.PAUSE_S", 0)
    store.store_trades([make_batch("u", Trade("A", 10_000, 1, 1))])
    assert "1 event not judged: " in call(code=1)


def test_trades_that_are_kept_for_a_while(
    tmp_path: Path, make_batch: Batch, call: Callable[..., str]
) -> None:
    store = SqliteStore(tmp_path / "store", trade_retention_s=60)
    event = make_batch("e1", Trade("A", 10_000, 1, 1))
    store.store_trades([event])
    store.count_trades([event, make_batch("e2", Trade("A", 10_000, 1, 1))])
    store.close()
    assert "1 more trade counted, and let go since by TRADE_RETENTION" in call(code=0)
    assert json.loads(call("--json", code=0))["trades_not_kept"] == 1


def test_the_store_of_the_pipeline_by_another_spelling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then its broker is asked whether something is on its way."""
    run = Run(1, 1, str(tmp_path), f"sqlite:{tmp_path / 'store'}", "", "", "")
    (tmp_path / "link").symlink_to(tmp_path / "store")
    monkeypatch.chdir(tmp_path)
    spellings = ("sqlite:store", "sqlite:./store/", f"sqlite:{tmp_path}/link/../store", "sqlite:link")
    for same in (None, "", run.store, *spellings):
        assert is_store_of(run, same), same
    for other in ("sqlite:store2", "sqlite:", "aerospike://store"):
        assert not is_store_of(run, other), other
    there = Run(1, 1, str(tmp_path), "aerospike://h:3000", "", "", "")
    assert is_store_of(there, "aerospike://h:3000/")
    assert not is_store_of(there, "aerospike://h:3001")
