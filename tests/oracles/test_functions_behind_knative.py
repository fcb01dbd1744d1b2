"""The functions behind Knative's own broker: every event once, whatever is sent twice, killed or refused."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.functions.conftest import FunctionProcess, StartFunction, event_headers, trade, trade_body
from trades.store import DeadLetter
from trades.stores.sqlite import SqliteStore

EVENTS = 120
IN_FLIGHT = 8
PATIENCE_S = 90
BATCH = "trade.batch.v1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def start_function(folder: Path) -> Iterator[StartFunction]:
    """Starts functions on the store of this test."""
    started: list[FunctionProcess] = []

    def start(target: str, *, ready: bool = True, **env: str) -> FunctionProcess:
        started.append(FunctionProcess(target, folder, **env))  # type: ignore[arg-type]
        if ready:
            started[-1].wait_until_ready()
        return started[-1]

    yield start
    for function in started:
        function.kill()


def read(folder: Path, target: str) -> int:
    """Trades stored, or trades counted."""
    store = SqliteStore(folder)
    try:
        if target == "store_trade":
            return store.read_stored_count()
        return sum(
            summary.trade_count for ticker in store.scan_tickers() if (summary := store.read_summary(ticker))
        )
    finally:
        store.close()


def letters(folder: Path) -> list[DeadLetter]:
    store = SqliteStore(folder)
    try:
        return store.read_dead_letters(100)
    finally:
        store.close()


Sent = tuple[dict[str, str], bytes]


def market(seed: int) -> tuple[list[Sent], int]:
    """Events, half of them batches, each one twice, in a random order; and how many trades they hold."""
    chance = random.Random(seed)
    events, trades = [], 0
    for number in range(EVENTS):
        rows = [
            trade(ticker=chance.choice(["ASPS", "HOT", "B-1"]), price=f"{number + 1}.25") for _ in range(3)
        ]
        if number % 2:
            events.append((event_headers(f"e{number}", BATCH), json.dumps({"trades": rows}).encode()))
            trades += len(rows)
        else:
            events.append((event_headers(f"e{number}"), json.dumps(rows[0]).encode()))
            trades += 1
    twice = events * 2
    chance.shuffle(twice)
    return twice, trades


async def send(ingress: str, events: list[Sent]) -> AsyncIterator[int]:
    """Some at once, each until it is taken; tells how many are through."""
    waiting = asyncio.Semaphore(IN_FLIGHT)

    async def one(client: aiohttp.ClientSession, headers: dict[str, str], body: bytes) -> None:
        async with waiting:
            for _ in range(100):
                try:
                    async with client.post(ingress, headers=headers, data=body) as answer:
                        if answer.status == 202:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)
        pytest.fail(f"the ingress did not take {headers['ce-id']}")

    async with aiohttp.ClientSession() as client:
        tasks = [asyncio.create_task(one(client, *event)) for event in events]
        for done, task in enumerate(asyncio.as_completed(tasks)):
            await task
            yield done


async def until(condition: Any) -> None:
    """Wait for what the broker does after its 202."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + PATIENCE_S
    while not await asyncio.to_thread(condition):
        assert loop.time() < end_s, "the broker has not delivered everything in time"
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("target", ["store_trade", "update_summary"])
async def test_every_event_once_though_the_function_is_killed(
    target: str, knlocal: Any, start_function: StartFunction, folder: Path
) -> None:
    sink = await asyncio.to_thread(start_function, "dead_letter")
    function: FunctionProcess = await asyncio.to_thread(start_function, target)
    events, trades = market(seed=7)
    settings = {"RETRY": "10", "BACKOFF": "PT0.1S", "TIMEOUT": "PT10S"}
    url = f"http://127.0.0.1:{function.port}"
    async with knlocal(SUBSCRIBER=url, DLS=f"http://127.0.0.1:{sink.port}", **settings) as ingress:
        async for done in send(ingress, events):
            if done in (EVENTS // 2, EVENTS):
                function.kill()
                port = function.port
                function = start_function(target, ready=False, PORT=str(port))
                function.port = port
        await until(lambda: read(folder, target) >= trades)
        await quiet(function)
    assert read(folder, target) == trades
    assert letters(folder) == []


async def quiet(function: FunctionProcess) -> None:
    """Wait until no delivery has come for two seconds, so that what is counted twice has been."""
    seen = -1.0
    while (now := await asyncio.to_thread(function.metric, "tradewind_handling_seconds_count")) != seen:
        seen = now
        await asyncio.sleep(2)
    assert seen > 0


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", "400"), (trade_body(price="-1"), "400"), (b"", "400"), (trade_body(price="99"), "422")],
)
async def test_what_cannot_be_handled_waits_with_its_reason(
    body: bytes, status: str, knlocal: Any, start_function: StartFunction, folder: Path
) -> None:
    """A refusal is not tried again, and does not hold up what comes after it."""
    sink = await asyncio.to_thread(start_function, "dead_letter")
    function = await asyncio.to_thread(start_function, "store_trade")
    function.post(trade_body(), event_headers("taken"))
    url = f"http://127.0.0.1:{function.port}"
    async with knlocal(SUBSCRIBER=url, DLS=f"http://127.0.0.1:{sink.port}", RETRY="10") as ingress:
        events = [(event_headers("taken"), body), (event_headers("good"), trade_body())]
        async for _ in send(ingress, events):
            pass
        await until(lambda: len(letters(folder)) == 1 and read(folder, "store_trade") == 2)
    (letter,) = letters(folder)
    assert (letter.attributes["id"], letter.data, letter.status) == ("taken", body, status)
    assert letter.reason
