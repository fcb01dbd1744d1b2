"""What the stores tell an observer of: calls, errors by name, what is in doubt, what is sent again."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aerospike import exception
from aerospike_helpers.batch.records import Write

from trades.observer import StoreObserver
from trades.store import StoreMisconfigured, StoreUnavailable
from trades.stores.aerospike import cluster as cluster_module
from trades.stores.aerospike.cluster import Cluster, ClusterOptions
from trades.stores.aerospike.errors import DEVICE_OVERLOAD, EXISTS, KEY_BUSY, OK
from trades.stores.sqlite import SqliteStore


class Told(StoreObserver):
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failures: list[tuple[str, int, int]] = []
        self.retries: list[int] = []

    def called(self, call: str, seconds: float) -> None:
        assert seconds >= 0
        self.calls.append(call)

    def failed(self, error: str, times: int, in_doubt: int) -> None:
        self.failures.append((error, times, in_doubt))

    def retried(self, records: int) -> None:
        self.retries.append(records)


class ScriptedCluster(Cluster):
    """Each batch call answers with the next results; an exception is raised."""

    def __init__(self, observer: StoreObserver, *answers: Any) -> None:
        super().__init__(ClusterOptions((("nowhere", 3000),)), observer)
        self._answers = list(answers)

    def _connect(self) -> Any:
        def batch_write(records: Any, _policy: object) -> None:
            answer = self._answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            for record, (result, in_doubt) in zip(records.batch_records, answer, strict=True):
                record.result, record.in_doubt = result, in_doubt

        return SimpleNamespace(batch_write=batch_write)


def writes(count: int) -> list[Write]:
    return [Write(("test", "trades", str(number)), []) for number in range(count)]


def test_aerospike_records_that_are_busy_and_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module.time, "sleep", lambda _: None)
    told = Told()
    first = [(OK, False), (EXISTS, False), (KEY_BUSY, False), (DEVICE_OVERLOAD, True)]
    ScriptedCluster(told, first, [(OK, False), (OK, False)]).write(writes(4))
    assert told.calls == ["batch_write", "batch_write"]
    assert told.failures == [("KEY_BUSY", 1, 0), ("DEVICE_OVERLOAD", 1, 1)]
    assert told.retries == [2]


def test_aerospike_gives_up_on_what_stays_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module.time, "sleep", lambda _: None)
    told = Told()
    records = writes(1)
    ScriptedCluster(told, *[[(KEY_BUSY, False)]] * 4).write(records)
    assert records[0].result == KEY_BUSY
    assert told.retries == [1, 1, 1]
    assert told.failures == [("KEY_BUSY", 1, 0)] * 4


def test_an_aerospike_call_that_fails_whole() -> None:
    told = Told()
    error = exception.TimeoutError(9, "timed out")
    error.in_doubt = True
    with pytest.raises(StoreUnavailable):
        ScriptedCluster(told, error).write(writes(1))
    assert told.failures == [("TIMEOUT", 1, 1)]
    assert told.calls == ["batch_write"]


def test_sqlite(tmp_path: Path) -> None:
    told = Told()
    store = SqliteStore(tmp_path, observer=told)
    store.ping()
    assert set(told.calls) == {"read", "write"}
    assert not told.failures
    store.close()
    path = tmp_path / "trades.db"
    path.write_bytes(b"this is no database of ours" * 100)
    with pytest.raises(StoreMisconfigured, match="not an SQLite file"):
        store.store_trades([])
    assert told.failures[-1][0] == "NOTADB"
