"""The broker as a process: its door, its limits, restarts, kills, reloads, attaching, administration."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml
from aiohttp import web

if TYPE_CHECKING:
    from tests.broker.conftest import BrokerProcess, Call, Subscriber

KILLS = int(os.environ.get("BROKER_KILLS", "4"))


async def test_the_answers_at_the_door(broker: "BrokerProcess") -> None:
    await broker.start(broker.yaml(), "--max-body", "1000")
    good = {"ce-specversion": "1.0", "ce-source": "/s", "ce-type": "t", "ce-id": "1"}
    structured = {"specversion": "1.0", "source": "/s", "type": "t", "id": "1"}
    event_type, batch_type = (
        {"content-type": f"application/cloudevents{kind}+json"} for kind in ("", "-batch")
    )

    async def ask(method: str, path: str, headers: dict[str, str], body: Any = b"") -> int:
        async with broker.session.request(method, broker.url + path, headers=headers, data=body) as answer:
            await answer.read()
            return answer.status

    async def pieces() -> Any:
        for _ in range(4):
            yield b"x" * 300

    path = "/test/default"
    asked = [
        (202, "POST", path, good, b""),
        (202, "POST", path + "/", good, b""),
        (202, "POST", path, event_type, json.dumps(structured)),
        (202, "POST", path, batch_type, json.dumps([structured, structured])),
        (200, "OPTIONS", path, {}, b""),
        (405, "GET", path, {}, b""),
        (405, "PUT", path, good, b""),
        (404, "POST", "/", good, b""),
        (400, "POST", "/test", good, b""),
        (400, "POST", "/test/default/more", good, b""),
        (404, "POST", "/test/other", good, b""),
        (404, "POST", "/other/default", good, b""),
        (400, "POST", path, {}, b"{}"),
        (400, "POST", path, good | {"ce-id": ""}, b""),
        (400, "POST", path, good | {"ce-specversion": "7"}, b""),
        (400, "POST", path, good | {"ce-time": "yesterday"}, b""),
        (400, "POST", path, good | {"ce-Bad-Name": "x"}, b""),
        (400, "POST", path, good | {"ce-knativebrokerttl": "1"}, b""),
        (400, "POST", path, good | {"ce-knativebrokerttl": "-3"}, b""),
        (202, "POST", path, good | {"ce-knativebrokerttl": "2147483647"}, b""),
        (202, "POST", path, good | {"ce-knativebrokerttl": "99999999999999999999"}, b""),
        (202, "POST", path, good | {"ce-knativebrokerttl": "many"}, b""),
        (400, "POST", path, event_type, b"{"),
        (415, "POST", path, {"content-type": "application/cloudevents+avro"}, b"x"),
        (413, "POST", path, good, b"x" * 1001),
        (413, "POST", path, good, pieces()),
        (202, "POST", path, good, b"x" * 1000),
    ]
    assert [(await ask(*rest), *rest[:2]) for _, *rest in asked] == [
        (want, *rest[:2]) for want, *rest in asked
    ]
    assert (await broker.get("/-/status"))["accepted"] == 9


async def test_a_full_backlog_is_told_to_those_who_would_add_to_it(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    gate = asyncio.Event()

    async def wait(_: "Call") -> web.Response:
        await gate.wait()
        return web.Response(status=202)

    subscriber.answer = wait
    text = broker.yaml(broker.trigger_yaml("t", subscriber.url, filters="[{exact: {type: t}}]"))
    await broker.start(text, "--backlog-events", "10")
    assert [await broker.send(number) for number in range(12)] == [202] * 10 + [429] * 2
    assert await broker.send("x", "another") == 202
    headers = {"ce-specversion": "1.0", "ce-source": "/s", "ce-type": "t", "ce-id": "1"}
    async with broker.session.post(f"{broker.url}/test/default", headers=headers) as answer:
        assert answer.headers["Retry-After"] == "5"

    gate.set()
    await broker.until(lambda: _settled(broker, "t"))
    assert await broker.send("again") == 202
    assert (await broker.get("/-/status"))["refused"]["BACKLOG_FULL"] == 3


async def test_a_restart_goes_on_where_it_stopped(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    subscriber.answer = lambda _: web.Response(status=503)
    text = broker.yaml(
        broker.trigger_yaml("t", subscriber.url),
        delivery="{retry: 30, backoffDelay: PT0.1S, backoffPolicy: linear}",
    )
    await broker.start(text)
    for number in range(40):
        await broker.send(number)
    await broker.until(lambda: len(subscriber.calls) > 60)
    assert await broker.stop() == 0
    subscriber.answer = lambda _: web.Response(status=202)
    before = len(subscriber.calls)
    await broker.start()
    assert await broker.send("new") == 202
    await broker.until(lambda: _settled(broker, "t"))

    assert sorted(call.id for call in subscriber.calls[before:]) == sorted([*map(str, range(40)), "new"])
    numbers = [call.headers.get("Delivery-Attempt") for call in subscriber.calls[before:] if call.id != "new"]
    assert None not in numbers, "the attempts before the restart count"
    standing = await broker.trigger("t")
    assert standing["total"]["delivered"] == 41
    assert standing["delivered"] == 41


@pytest.mark.parametrize("seed", range(KILLS))
async def test_sigkill_loses_nothing_that_was_accepted(
    broker: "BrokerProcess", subscriber: "Subscriber", seed: int
) -> None:
    """BROKER_KILLS=50 for more moments."""
    rng = random.Random(seed)
    subscriber.answer = lambda _: web.Response(status=rng.choice((202, 202, 202, 503)))
    text = broker.yaml(
        broker.trigger_yaml("a", f"{subscriber.url}/a"),
        broker.trigger_yaml("b", f"{subscriber.url}/b"),
        delivery="{retry: 50, backoffDelay: PT0.1S}",
    )
    await broker.start(text)
    accepted: list[str] = []

    async def produce(name: str) -> None:
        for number in range(100_000):
            try:
                if await broker.send(f"{name}-{number}") == 202:
                    accepted.append(f"{name}-{number}")
            except aiohttp.ClientError:
                return

    producers = [asyncio.create_task(produce(str(name))) for name in range(8)]
    await asyncio.sleep(rng.uniform(0.05, 0.7))
    await broker.kill()
    await asyncio.gather(*producers)
    await broker.start()
    await broker.until(lambda: _settled(broker, "a"))
    await broker.until(lambda: _settled(broker, "b"))

    assert accepted
    assert set(accepted) <= set(subscriber.ids("/a"))
    assert set(accepted) <= set(subscriber.ids("/b"))
    assert (await broker.get("/-/dead-letters"))["dead_letters"] == []


async def test_sigterm_waits_for_what_is_in_flight(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    gate = asyncio.Event()

    async def wait(_: "Call") -> web.Response:
        await gate.wait()
        return web.Response(status=202)

    subscriber.answer = wait
    await broker.start(broker.yaml(broker.trigger_yaml("t", subscriber.url)))
    await broker.send(1)
    await broker.until(lambda: subscriber.calls)
    assert broker.process is not None
    broker.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.2)
    assert broker.process.returncode is None
    gate.set()
    assert await broker.stop() == 0
    await broker.start()
    assert (await broker.trigger("t"))["total"]["delivered"] == 1
    assert len(subscriber.calls) == 1


async def test_changed_files_are_read_again_and_broken_ones_are_not_used(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    await broker.start(broker.yaml(broker.trigger_yaml("a", f"{subscriber.url}/a")))
    await broker.send(1)

    broker.file.write_text(broker.yaml(broker.trigger_yaml("b", f"{subscriber.url}/b")))
    await broker.until(lambda: _runs(broker, "test/b"))
    await broker.send(2)
    await broker.until(lambda: subscriber.ids("/b"))

    broker.file.write_text(broker.yaml(broker.trigger_yaml("c", "not a url")))
    await broker.until(lambda: _config_error(broker))
    assert "Trigger test/c" in (await broker.get("/-/status"))["config_error"]
    await broker.send(3)
    await broker.until(lambda: len(subscriber.ids("/b")) == 2)

    broker.file.write_text(broker.yaml(broker.trigger_yaml("a", f"{subscriber.url}/moved")))
    await broker.until(lambda: _runs(broker, "test/a"))
    await broker.send(4)
    await broker.until(lambda: subscriber.ids("/moved"))
    assert (await broker.get("/-/status"))["config_error"] is None
    assert (subscriber.ids("/a"), subscriber.ids("/b"), subscriber.ids("/moved")) == (
        ["1"],
        ["2", "3"],
        ["4"],
    )


async def test_attach_and_detach(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    await broker.start(broker.yaml(broker.trigger_yaml("file", f"{subscriber.url}/file")))
    trigger = yaml.safe_load(
        broker.trigger_yaml("extra", f"{subscriber.url}/extra", filters="[{exact: {type: t}}]")
    )
    status, described = await broker.change("POST", "/-/triggers", trigger)
    assert (status, described["name"], described["attached"]) == (201, "test/extra", True)
    await broker.send(1)
    await broker.send(2, "other")
    await broker.until(lambda: subscriber.ids("/extra"))

    await broker.stop()
    await broker.start()
    await broker.send(3)
    await broker.until(lambda: len(subscriber.ids("/extra")) == 2)
    assert (await broker.change("DELETE", "/-/triggers/test/extra"))[0] == 200
    await broker.send(4)
    await broker.until(lambda: len(subscriber.ids("/file")) == 4)
    assert subscriber.ids("/extra") == ["1", "3"]

    assert (await broker.change("DELETE", "/-/triggers/test/extra"))[0] == 404
    assert (await broker.change("DELETE", "/-/triggers/test/file"))[0] == 409
    wrong = trigger | {"spec": trigger["spec"] | {"filter": {}, "fliters": []}}
    status, problem = await broker.change("POST", "/-/triggers", wrong)
    assert status == 422
    assert "unknown field fliters" in problem["detail"]


async def test_what_a_detached_trigger_has_not_had_waits_for_it(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    await broker.start(broker.yaml(delivery="{retry: 9, backoffDelay: PT1H, backoffPolicy: exponential}"))
    trigger = yaml.safe_load(broker.trigger_yaml("t", "http://127.0.0.1:1/"))
    await broker.change("POST", "/-/triggers", trigger)
    await broker.send(1)
    await broker.change("DELETE", "/-/triggers/test/t")
    assert (await broker.get("/-/status"))["parked"] == {"test/t": 1}

    trigger["spec"]["subscriber"]["uri"] = subscriber.url
    trigger["spec"]["delivery"] = {"retry": 0}
    await broker.change("POST", "/-/triggers", trigger)
    assert (await broker.get("/-/status"))["parked"] == {}
    assert (await broker.trigger("t"))["pending"] == 1


async def test_retained_events_can_be_looked_at_and_replayed_to_a_new_trigger(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    await broker.start(broker.yaml(broker.trigger_yaml("t", f"{subscriber.url}/t")))
    for number in range(20):
        await broker.send(
            number, "even" if number % 2 == 0 else "odd", b"\xff" if number == 4 else b'{"n": 1}'
        )
    await broker.until(lambda: _settled(broker, "t"))

    page = (await broker.get("/-/events?after=3&limit=3&type=even"))["events"]
    assert [event["event"]["id"] for event in page] == ["4", "6", "8"]
    assert page[0]["event"]["data_base64"] == "/w=="
    assert page[1]["event"]["data"] == {"n": 1}
    [delivery] = page[0]["deliveries"]
    assert (delivery["trigger"], delivery["state"], delivery["attempts"], delivery["status"]) == (
        "test/t",
        "DELIVERED",
        1,
        202,
    )
    assert [event["number"] for event in (await broker.get("/-/events?limit=2"))["events"]] == [20, 19]

    trigger = yaml.safe_load(
        broker.trigger_yaml("late", f"{subscriber.url}/late", filters="[{exact: {type: even}}]")
    )
    await broker.change("POST", "/-/triggers", trigger)
    assert await broker.change("POST", "/-/replay", {"trigger": "test/late", "from": 5}) == (
        200,
        {"replayed": 8, "to": 20},
    )
    await broker.until(lambda: _settled(broker, "late"))
    assert subscriber.ids("/late") == [str(number) for number in range(4, 20, 2)]
    assert (await broker.change("POST", "/-/replay", {"trigger": "test/none"}))[0] == 404
    assert (await broker.change("POST", "/-/replay", {"trigger": "test/late", "from": 10**18}))[0] == 400


async def test_follow_shows_events_as_they_come(broker: "BrokerProcess") -> None:
    await broker.start(broker.yaml())
    await broker.send("before")
    async with broker.session.get(f"{broker.url}/-/events?follow=1") as answer:
        await broker.send("one")
        await broker.send("two")
        seen = [json.loads(await answer.content.readline())["event"]["id"] for _ in range(2)]
        assert await broker.stop() == 0
    assert seen == ["one", "two"]


async def test_other_sites_can_change_nothing(broker: "BrokerProcess") -> None:
    await broker.start(broker.yaml())
    own = f"http://127.0.0.1:{broker.port}"

    assert (await broker.change("POST", "/-/dead-letters/replay", Origin=own))[0] == 200
    assert (await broker.change("POST", "/-/dead-letters/replay", Origin="http://evil.example"))[0] == 403
    assert (await broker.change("DELETE", "/-/dead-letters/1", Origin="null"))[0] == 403
    assert (await broker.change("POST", "/-/dead-letters/replay", Host="evil.example"))[0] == 403
    for host in ("evil.example", "[::", "127.0.0.1.evil.example"):
        async with broker.session.get(f"{own}/-/events", headers={"Host": host}) as answer:
            assert answer.status == 403
    assert (await broker.change("POST", f"/-/dead-letters/{10**30}/replay"))[0] == 404
    assert (await broker.change("POST", "/-/triggers", [[]]))[0] == 400
    headers = {"content-type": "application/json"}
    async with broker.session.post(f"{own}/-/replay", data='{"a":' * 5000, headers=headers) as answer:
        assert answer.status == 400
    async with broker.session.post(f"{own}/-/dead-letters/replay", data="{}") as answer:
        assert answer.status == 415


async def test_the_dump_can_be_run_again(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    text = broker.yaml(
        broker.trigger_yaml("one", subscriber.url, filters="[{exact: {type: a, subject: b}}]"),
        broker.trigger_yaml("two", subscriber.url, filters="[{prefix: {type: a}}]", delivery="{retry: 1}"),
    )
    await broker.start(text)
    triggers = await broker.get("/-/triggers")
    async with broker.session.get(f"{broker.url}/-/dump") as answer:
        dumped = await answer.text()
    async with broker.session.get(f"{broker.url}/-/dump?format=kn") as answer:
        commands = (await answer.text()).splitlines()
    await broker.stop()
    await broker.start(dumped)

    assert await broker.get("/-/triggers") == triggers
    assert commands[0].startswith(
        "kn broker create default --namespace test --retry 3 --backoff-policy exponential"
    )
    assert commands[1] == (
        "kn trigger create one --namespace test --broker default --filter type=a --filter subject=b "
        f"--sink {subscriber.url}"
    )
    note, apply, *two, end = commands[2:]
    assert note == "# kn has no flag for filters, delivery.retry of Trigger test/two"
    assert (apply, end) == ("kubectl apply --namespace test -f - <<'EOF'", "EOF")
    assert yaml.safe_load("\n".join(two)) == list(yaml.safe_load_all(dumped))[2]


async def test_old_events_go_and_open_ones_stay(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    subscriber.answers["/odd"] = lambda _: web.Response(status=503)
    text = broker.yaml(
        broker.trigger_yaml("all", f"{subscriber.url}/all"),
        broker.trigger_yaml("odd", f"{subscriber.url}/odd", filters="[{exact: {type: odd}}]"),
        delivery="{retry: 9, backoffDelay: PT1H, backoffPolicy: exponential}",
    )
    await broker.start(text, "--retain-events", "10")
    for number in range(60):
        await broker.send(number, "odd" if number == 7 else "t")

    async def swept() -> bool:
        numbers = [event["number"] for event in (await broker.get("/-/events?after=0&limit=1000"))["events"]]
        return numbers == [8, *range(51, 61)]

    await broker.until(swept)
    metrics = await (await broker.session.get(f"{broker.url}/metrics")).text()
    assert 'broker_trigger_backlog_events{trigger="test/odd"} 1.0' in metrics


async def test_what_cannot_be_written_is_not_accepted(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    await broker.start(broker.yaml(broker.trigger_yaml("t", subscriber.url)))
    assert await broker.send(1) == 202
    await broker.until(lambda: _settled(broker, "t"))
    with contextlib.closing(sqlite3.connect(broker.data, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await broker.send(2) == 503
        other.execute("ROLLBACK")
    assert await broker.send(3) == 202
    await broker.until(lambda: _settled(broker, "t"))

    assert subscriber.ids() == ["1", "3"]
    assert broker.output().count("the broker takes no events") == 1


async def test_two_brokers_cannot_have_one_file(broker: "BrokerProcess") -> None:
    await broker.start(broker.yaml())
    second = type(broker)(broker.folder, broker.session)
    second.file.write_text(broker.yaml())
    with pytest.raises(AssertionError, match="in use by another broker"):
        await second.start()


async def _settled(broker: "BrokerProcess", name: str) -> bool:
    standing = await broker.trigger(name)
    return standing["pending"] == 0 and standing["in_flight"] == 0


async def _runs(broker: "BrokerProcess", name: str) -> bool:
    return [trigger["name"] for trigger in (await broker.get("/-/status"))["triggers"]] == [name]


async def _config_error(broker: "BrokerProcess") -> bool:
    return (await broker.get("/-/status"))["config_error"] is not None
