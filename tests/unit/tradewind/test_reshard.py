"""`tradewind reshard`: what it says; what it does is in tests/contract/test_reshard.py."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trades.store import Resharded, StoreUnavailable
from trades.stores.sqlite import SqliteStore
from tradewind.cli import app


def call(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["reshard", *arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(autouse=True)
def _made(store: SqliteStore) -> None:
    store.ping()


def test_a_store_without_shards_has_nothing_to_do(tmp_path: Path) -> None:
    where = ("--store", f"sqlite:{tmp_path}/store")
    assert "Nothing to do" in call("--to", "3", *where)
    assert json.loads(call("--to", "3", "--json", *where))["shards"] is None


def test_it_says_which_shards_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def reshard(self: SqliteStore, shard_count: int, count: object) -> Resharded:
        asked.append(shard_count)
        return Resharded([1, 2, 11], 1_234)

    monkeypatch.setattr(SqliteStore, "reshard", reshard)
    where = ("--store", f"sqlite:{tmp_path}/store")
    assert call("--to", "3", *where) == "3 shards: 1, 2, 11. 1,234 records folded away.\n"
    report = json.loads(call("--to", "3", "--json", *where))
    assert report == {"store": where[1], "shards": [1, 2, 11], "folded_records": 1_234}
    assert asked == [3, 3]


def test_what_broke_off_is_to_be_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reshard(*_: object) -> None:
        raise StoreUnavailable("the server is busy")

    monkeypatch.setattr(SqliteStore, "reshard", reshard)
    said = call("--to", "3", "--store", f"sqlite:{tmp_path}/store", code=2)
    assert "the server is busy" in said
    assert "Run it again" in said


@pytest.mark.parametrize("count", ["0", "-1", "1001", "x"])
def test_counts_that_are_none(count: str) -> None:
    call("--to", count, code=2)
