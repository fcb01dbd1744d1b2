"""How functions start: by our command and by functions-framework's, with right and wrong settings."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.__main__ import listening_host
from functions.stores import _parse_hosts, open_store
from runtime.settings import AerospikeSettings, StoreSettings
from tests.functions.conftest import (
    REPOSITORY,
    FunctionProcess,
    StartFunction,
    event_headers,
    trade_body,
)
from trades.store import StoreMisconfigured
from trades.stores.aerospike import AerospikeStore, Names
from trades.stores.sqlite import SqliteStore

FRAMEWORK = [str(Path(sys.executable).with_name("functions-framework")), "--source", "functions/main.py"]


@pytest.fixture
def framework(tmp_path: Path) -> Iterator[FunctionProcess]:
    """`functions-framework --target store_trade`: gunicorn, which forks, and uvicorn in its worker."""
    folder = tmp_path / "store"
    function = FunctionProcess("store_trade", folder, [*FRAMEWORK, "--target", "store_trade"])
    yield function
    function.kill()


def test_the_frameworks_own_command(framework: FunctionProcess, tmp_path: Path) -> None:
    framework.wait_until_ready()
    assert framework.post(trade_body(ticker="FF"), event_headers()).status == 202
    assert framework.post(trade_body(ticker="FF", volume=0), event_headers("2")).status == 400
    framework.wait_for(lambda: verdicts(tmp_path) == {"STORED", "BAD_REQUEST"})
    assert framework.stop() == 0
    store = SqliteStore(tmp_path / "store")
    assert len(store.read_trades("FF", 10).trades) == 1
    store.close()


def verdicts(tmp_path: Path) -> set[str]:
    """Of the notes in the store."""
    store = SqliteStore(tmp_path / "store")
    notes = store.read_notes(10)
    store.close()
    return {note.verdict for note in notes}


@pytest.mark.parametrize("target", ["store_trade", "query"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_quietly(start_function: StartFunction, target: str, number: signal.Signals) -> None:
    function = start_function(target)
    function.send_signal(number)
    assert function.wait() == 0
    assert "Traceback" not in function.log


def test_query(start_function: StartFunction) -> None:
    query = start_function("query")
    store_trade = start_function("store_trade")
    assert store_trade.post(trade_body(ticker="Q"), event_headers()).status == 202
    reply = query.get("/v1/tickers/Q/trades")
    assert reply.status == 200
    assert b'"32.1000"' in reply.body
    reply = query.get("/v1/nothing")
    assert reply.status == 404
    assert reply.headers["content-type"] == "application/problem+json"


WRONG = {
    "no target": ({"FUNCTION_TARGET": ""}, "Set FUNCTION_TARGET to store_trade"),
    "no such target": ({"FUNCTION_TARGET": "nothing"}, "nothing"),
    "no such store": ({"STORE": "redis://x"}, "STORE=redis://x is no store: write sqlite:FOLDER"),
    "a bound of 0": ({"QUEUE_MAX_EVENTS": "0"}, "QUEUE_MAX_EVENTS=0"),
    "no port": ({"PORT": "http"}, "PORT=http"),
    "a port out of range": ({"PORT": "99999"}, "PORT=99999"),
    "no threads": ({"FUNCTION_TARGET": "query", "THREADS": "many"}, "THREADS=many"),
    "no log level": ({"LOG_LEVEL": "loud"}, "LOG_LEVEL=loud"),
    "no retention": ({"EVENT_RETENTION": "x"}, "EVENT_RETENTION=x"),
    "no timeout": ({"AEROSPIKE_TIMEOUT_MS": "x"}, "AEROSPIKE_TIMEOUT_MS=x"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings(name: str) -> None:
    env, words = WRONG[name]
    ended = subprocess.run(
        [sys.executable, "-m", "functions"],
        cwd=REPOSITORY,
        env=os.environ | {"FUNCTION_TARGET": "store_trade", "PORT": "0"} | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr or name == "no such target"  # the framework's own message


@pytest.mark.parametrize(
    ("env", "host"),
    [
        ({}, "127.0.0.1"),
        ({"K_SERVICE": "store-trade"}, "0.0.0.0"),
        ({"K_SERVICE": "x", "HOST": "::1"}, "::1"),
    ],
)
def test_where_it_listens(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], host: str) -> None:
    for name in ("HOST", "K_SERVICE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert listening_host() == host


# Stores


def test_open_store() -> None:
    store = open_store("sqlite:some/folder", StoreSettings(), AerospikeSettings())
    assert isinstance(store, SqliteStore)
    store.close()
    assert not Path("some/folder").exists(), "made at first use only"


NO_STORE = """
|sqlite|sqlite:|some/folder|aerospike:a:3000|aerospike://|aerospike://:3000|aerospike://a,
|aerospike://a:http|aerospike://a:0|aerospike://a:3000:1|aerospike://a:65536|aerospike://a/path
"""


@pytest.mark.parametrize("url", NO_STORE.replace("\n", "").split("|"))
def test_a_url_of_another_form(url: str) -> None:
    with pytest.raises(StoreMisconfigured, match=r"sqlite:FOLDER, or aerospike://HOST:PORT"):
        open_store(url, StoreSettings(), AerospikeSettings())


def test_aerospike_hosts() -> None:
    store = open_store("aerospike://a,b:4000,[::1]:3100", StoreSettings(), AerospikeSettings())
    assert type(store).__name__ == "AerospikeStore"
    assert _parse_hosts("aerospike://a,b:4000,[::1]:3100") == [("a", 3000), ("b", 4000), ("::1", 3100)]
    store.close()


def test_every_name_in_aerospike_is_a_setting() -> None:
    names = {name: f"my_{name}" for name in Names.__struct_fields__}
    settings = AerospikeSettings(**{f"aerospike_{name}": value for name, value in names.items()})
    store = open_store("aerospike://a", StoreSettings(), settings)
    assert isinstance(store, AerospikeStore)
    assert store._names == Names(**names)


# What is loaded

FOREIGN = ("flask", "werkzeug", "jinja2", "functions.query", "typer", "aiohttp", "aerospike", "yaml")

LOAD = """
import sys, types
for name in ("functions_framework", "functions_framework.aio"):
    module = sys.modules[name] = types.ModuleType(name)
    module.http = lambda function: function
sys.modules["functions_framework"].aio = sys.modules["functions_framework.aio"]
from functions import compose, main
compose.{target}()
print(*sys.modules)
"""


@pytest.mark.parametrize("target", ["store_trade", "update_summary", "dead_letter"])
def test_an_event_function_loads_nothing_of_the_others(target: str, tmp_path: Path) -> None:
    """A cold start pays for what is imported. functions-framework, which brings Flask, is left out here."""
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD.format(target=target)],
        env=os.environ | {"STORE": f"sqlite:{tmp_path}"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split()
    assert "functions.door" in loaded
    assert not [name for name in loaded for foreign in FOREIGN if f"{name}.".startswith(f"{foreign}.")]
