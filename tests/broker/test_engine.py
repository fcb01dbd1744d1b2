"""The engine in this process, where the moments can be had at which a process is never caught."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from eventing.broker import server
from eventing.broker.admin import Admin
from eventing.broker.config import AddressMap, Config, load
from eventing.broker.dispatch import now_ms
from eventing.broker.engine import Engine, Limits, Outcome
from eventing.broker.history import History
from eventing.broker.log import Log, LogError
from eventing.broker.metrics import Metrics
from eventing.broker.web import Request
from eventing.client import Answer
from eventing.event import Event
from tests.broker.conftest import BrokerProcess

SCOPE = {"method": "GET", "headers": [], "query_string": b""}
TAKEN, FAILED, REFUSED = Answer(202), Answer(503), Answer(400)


def event(number: object, data: bytes = b"{}") -> Event:
    attributes = {"specversion": "1.0", "id": str(number), "source": "/s", "type": "t"}
    return Event({**attributes, "datacontenttype": "application/json"}, data)


def text_of(*names: str, delivery: str = "{retry: 0}") -> str:
    triggers = [BrokerProcess.trigger_yaml(name, f"http://here/{name}") for name in names]
    return BrokerProcess.yaml(*triggers, delivery=delivery)


def config_of(*names: str, delivery: str = "{retry: 0}") -> Config:
    documents = yaml.safe_load_all(text_of(*names, delivery=delivery))
    return load([("here", document) for document in documents], AddressMap({}), parallelism=8)


class Subscriber:
    """Answers as `answer` says, and knows what it has taken."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.calls = 0
        self.now_bytes = self.most_bytes = 0
        self.answer: Callable[[str], Awaitable[Answer]] = self.take

    @staticmethod
    async def take(_: str) -> Answer:
        return TAKEN

    async def post(self, url: str, event: Event, **_: Any) -> Answer:
        self.calls += 1
        self.now_bytes += len(event.data or b"")
        self.most_bytes = max(self.most_bytes, self.now_bytes)
        try:
            answer = await self.answer(event.id)
        finally:
            self.now_bytes -= len(event.data or b"")
        if answer is TAKEN:
            self.taken.append(f"{url.rpartition('/')[2]} {event.id}")
        return answer


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - of what the broker has no event
            await asyncio.sleep(0.005)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    opened = Log(tmp_path / "broker.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def subscriber() -> Subscriber:
    return Subscriber()


@pytest.fixture
async def engine(log: Log, subscriber: Subscriber) -> AsyncIterator[Engine]:
    made = Engine(log, subscriber.post, Limits(parallelism=8))
    yield made
    await made.stop(0.1)


async def accept(engine: Engine, *numbers: object) -> None:
    for number in numbers:
        assert await engine.accept("test/default", [event(number)]) is Outcome.STORED


async def never(_: str) -> Answer:
    await asyncio.sleep(3600)
    return TAKEN


async def test_a_change_that_meets_a_disk_in_trouble_changes_nothing(
    engine: Engine, log: Log, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    await engine.apply(config_of("a"))
    with monkeypatch.context() as patch:
        patch.setattr(log, "change", fail)
        with pytest.raises(sqlite3.OperationalError):
            await engine.apply(config_of("b"))
    await accept(engine, 1)
    await until(lambda: subscriber.taken == ["a 1"])

    await engine.apply(config_of("b"))
    await accept(engine, 2)
    await until(lambda: subscriber.taken == ["a 1", "b 2"])


async def test_a_change_that_could_not_be_applied_is_tried_again(
    engine: Engine, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(server, "RELOAD_S", 0.005)
    file = tmp_path / "broker.yaml"
    file.write_text(text_of("a"))
    source = server.Source(server.Settings((file,)))
    admin: Any = SimpleNamespace(config_error=None)
    watching = asyncio.create_task(server._watch(source, engine, admin))
    await until(lambda: list(engine.dispatchers) == ["test/a"])
    with monkeypatch.context() as patch:
        patch.setattr(log, "change", fail)
        file.write_text(text_of("longer"))
        await until(lambda: admin.config_error)
        assert "disk I/O error" in admin.config_error
        assert list(engine.dispatchers) == ["test/a"]
    await until(lambda: list(engine.dispatchers) == ["test/longer"])
    await until(lambda: admin.config_error is None)
    watching.cancel()


def test_a_file_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "broker.yaml"
    file.write_text(text_of("a"))
    source = server.Source(server.Settings((file,)))
    source.is_new()
    source.use()
    seen = []
    for text in (text_of("b")[:20], text_of("b")[:40], text_of("b"), "", ""):
        if text:
            file.write_text(text)
        seen.append(source.is_new())
    assert seen == [False, False, False, True, True]
    source.use()
    assert not source.is_new()


async def test_while_a_trigger_is_renamed_each_event_goes_to_one_of_both(
    engine: Engine, subscriber: Subscriber
) -> None:
    subscriber.answer = lambda number: never(number) if number == "slow" else subscriber.take(number)
    await engine.apply(config_of("store"))
    await accept(engine, "slow")
    await until(lambda: subscriber.calls)
    change = asyncio.create_task(engine.apply(config_of("store2")))
    await until(lambda: list(engine.dispatchers) == ["test/store2"])
    assert not change.done(), "it waits for what is in flight"
    await accept(engine, *range(5))
    await until(lambda: subscriber.taken == [f"store2 {number}" for number in range(5)])
    change.cancel()


async def test_a_broker_is_there_at_once_or_not_at_all(engine: Engine) -> None:
    change = asyncio.create_task(engine.apply(config_of("t")))
    outcomes = set()
    while not change.done():
        outcomes.add(await engine.accept("test/default", [event(1)]))
        await asyncio.sleep(0)
    assert outcomes <= {Outcome.NO_BROKER, Outcome.STORED}


async def test_dead_letters_kept_here_count_in_the_bound_on_bytes(log: Log, subscriber: Subscriber) -> None:
    async def refuse(_: str) -> Answer:
        return REFUSED

    engine = Engine(log, subscriber.post, Limits(backlog_bytes=2_500))
    subscriber.answer = refuse
    await engine.apply(config_of("t"))
    dispatcher, outcomes = engine.dispatchers["test/t"], []
    for number in range(4):
        outcomes.append(await engine.accept("test/default", [event(number, b"x" * 1_000)]))
        await until(lambda: not dispatcher.open)
    assert outcomes == [Outcome.STORED] * 3 + [Outcome.BACKLOG_FULL]

    history = History(engine)
    assert await history.forget_dead_letter(1) == 1
    subscriber.answer = subscriber.take
    await accept(engine, 4)
    assert await history.replay_dead_letters() == 2
    await until(lambda: not dispatcher.open)
    assert (dispatcher.kept, dispatcher.kept_bytes) == (0, 0)
    await engine.stop(0.1)


@contextmanager
def a_full_disk(log: Log) -> Iterator[None]:
    def fail(_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    write, log._write = log._write, fail  # type: ignore[method-assign]
    try:
        yield
    finally:
        log._write = write  # type: ignore[method-assign]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventing.broker.log.FAILED_PAUSE_S", 0.01)
    monkeypatch.setattr("eventing.broker.dispatch.BROKEN_PAUSE_MS", 10)


@pytest.mark.usefixtures("impatient")
async def test_while_the_file_cannot_be_written_what_gathers_is_bounded(
    engine: Engine, log: Log, subscriber: Subscriber
) -> None:
    gate = asyncio.Event()

    async def wait(_: str) -> Answer:
        await gate.wait()
        return FAILED

    subscriber.answer = wait
    await engine.apply(config_of("t", delivery="{retry: 1000000}"))
    await accept(engine, 1, 2, 3)
    total_bytes = log.total_bytes
    with a_full_disk(log):
        gate.set()
        calls = subscriber.calls
        await until(lambda: subscriber.calls > calls + 100)
        assert await engine.accept("test/default", [event(4)]) is Outcome.NOT_WRITTEN
        assert len(log._group.deliveries) <= 3, "of each delivery how it stands now, not each attempt"
        assert log.total_bytes == total_bytes
        history = History(engine)
        assert [one["number"] for one in (await history.events(0, 10, None))[0]] == [1, 2, 3]
        assert await history.dead_letters(0, 10) == []
        admin = Admin(engine, Metrics())
        ready = admin._probe(Request({**SCOPE, "path": "/readyz"}, b""))
        assert (ready.status, b"disk is full" in ready.body) == (503, True)
    await log.synced()
    assert not log.trouble
    subscriber.answer = subscriber.take
    await until(lambda: len(subscriber.taken) == 3)


@pytest.mark.usefixtures("impatient")
async def test_no_delivery_begins_when_too_many_cannot_be_noted(
    engine: Engine, log: Log, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventing.broker.log.MAX_UNWRITTEN_DELIVERIES", 3)
    gate = asyncio.Event()

    async def wait(_: str) -> Answer:
        await gate.wait()
        return TAKEN

    subscriber.answer = wait
    await engine.apply(config_of("t"))
    await accept(engine, *range(50))
    with a_full_disk(log):
        with pytest.raises(LogError):
            await log.synced()
        gate.set()
        await until(lambda: len(log._group.deliveries) >= 8)
        with pytest.raises(LogError):
            await log.synced()
        assert len(subscriber.taken) == 8, "those that were under way"
    await until(lambda: len(subscriber.taken) == 50)


async def test_what_an_administrator_asks_holds_up_no_delivery(
    engine: Engine, log: Log, subscriber: Subscriber
) -> None:
    async def fail_first(_: str) -> Answer:
        return TAKEN if subscriber.calls > 1 else FAILED

    subscriber.answer = fail_first
    await engine.apply(config_of("t", delivery="{retry: 1}"))
    gate = threading.Event()
    log.history_reader._db.create_function("wait", 0, lambda: gate.wait(30))
    asking = asyncio.create_task(log.history_reader.read("SELECT wait()"))
    await accept(engine, 1)  # the second attempt reads it again
    await until(lambda: subscriber.taken == ["t 1"])
    assert not asking.done()
    gate.set()
    await asking


async def test_an_event_is_on_disk_before_it_is_accepted(log: Log) -> None:
    """In WAL mode only FULL (2) syncs each commit; NORMAL, which is quicker, loses some with the power."""
    pragmas = ("journal_mode", "synchronous")
    found = await log.change(lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas])
    assert found == ["wal", 2]


async def test_a_replay_opens_nothing_for_a_trigger_that_was_taken_away(
    engine: Engine, log: Log, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes back while the replay is under way, with a dispatcher that has counted what is open."""
    monkeypatch.setattr("eventing.broker.history.STEP", 10)
    await engine.apply(config_of("t"))
    await accept(engine, *range(50))
    await until(lambda: len(subscriber.taken) == 50)
    replaying = asyncio.create_task(History(engine).replay("test/t", 1, 50))
    await asyncio.sleep(0)
    await engine.apply(config_of())
    await engine.apply(config_of("t"))
    count, _ = await replaying
    await until(lambda: len(subscriber.taken) == 50 + count)
    await log.synced()
    assert await log.read("SELECT count(*) FROM deliveries WHERE state = 0") == [(0,)]
    assert engine.dispatchers["test/t"].open == 0


async def test_what_was_never_tried_is_due_after_the_clock_was_set_back(
    engine: Engine, log: Log, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriber.answer = never
    await engine.apply(config_of("t"))
    with monkeypatch.context() as patch:
        patch.setattr("eventing.broker.engine.now_ms", lambda: now_ms() + 7_200_000)
        await accept(engine, 1, 2, 3)
    await engine.stop(0)
    later = Engine(log, (after := Subscriber()).post, Limits())
    await later.apply(config_of("t"))
    await until(lambda: len(after.taken) == 3)
    await later.stop(0.1)


async def test_who_follows_a_rare_type_does_not_look_at_the_others_again(engine: Engine) -> None:
    await engine.apply(config_of("t"))
    await accept(engine, *range(30))
    history = History(engine)
    assert await history.events(0, 10, "rare") == ([], 30)
    found, after = await history.events(0, 10, "t")
    assert ([one["number"] for one in found], after) == ([*range(1, 11)], 10)
    assert (await history.events(25, 10, None))[1] == 30


async def test_an_attached_trigger_whose_broker_is_gone_can_be_detached(engine: Engine) -> None:
    await engine.apply(config_of())
    await engine.attach(yaml.safe_load(BrokerProcess.trigger_yaml("late", "http://here/late")))
    await engine.apply(load([], AddressMap({})))
    assert not engine.dispatchers
    await engine.detach("test/late")
    await engine.apply(config_of())
    assert not engine.dispatchers
    with pytest.raises(KeyError):
        await engine.detach("test/late")


async def test_a_change_that_was_undone_is_no_error_any_more(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "RELOAD_S", 0.005)
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "broker.yaml").write_text(text_of("a"))
    source = server.Source(server.Settings((folder,)))
    admin: Any = SimpleNamespace(config_error=None)
    watching = asyncio.create_task(server._watch(source, engine, admin))
    await until(lambda: list(engine.dispatchers) == ["test/a"])
    (folder / "bad.yaml").write_text("a: [")
    await until(lambda: admin.config_error)
    (folder / "bad.yaml").unlink()
    await until(lambda: admin.config_error is None)
    watching.cancel()
