"""From the ingress to the subscriber: filters, the retry table, dead letters, replies, order."""

import asyncio
import base64
import itertools
import json
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from tests.broker.conftest import BrokerProcess, Call, Subscriber


async def test_an_accepted_event_is_delivered_as_it_came(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    await broker.start(broker.yaml(broker.trigger_yaml("all", subscriber.url)))

    assert await broker.send("a%20b", "trade", b'{"price": "1.5"}', subject="ASPS", other="x") == 202
    await broker.until(lambda: subscriber.calls)

    [call] = subscriber.calls
    assert call.body == b'{"price": "1.5"}'
    expected = {
        "ce-id": "a%20b",
        "ce-type": "trade",
        "ce-source": "/tests",
        "ce-specversion": "1.0",
        "ce-subject": "ASPS",
        "ce-other": "x",
        "Content-Type": "application/json",
        "Prefer": "reply",
        "Kn-Namespace": "test",
    }
    assert {name: call.headers.get(name) for name in expected} == expected
    assert call.headers["ce-knativearrivaltime"].endswith("Z")
    assert "ce-knativebrokerttl" not in call.headers
    await broker.until(lambda: _settled(broker, "all"))
    assert (await broker.trigger("all"))["total"] == {"delivered": 1, "retried": 0, "dead_lettered": 0}


async def test_each_trigger_gets_what_its_filters_let_pass(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    await broker.start(
        broker.yaml(
            broker.trigger_yaml("a", f"{subscriber.url}/a", filters="[{exact: {type: a}}]"),
            broker.trigger_yaml(
                "p", f"{subscriber.url}/p", filters="[{prefix: {subject: AS}}, {not: {exact: {type: b}}}]"
            ),
            broker.trigger_yaml("all", f"{subscriber.url}/all"),
        )
    )

    for number, (type_, subject) in enumerate([("a", "ASPS"), ("b", "ASPS"), ("c", "X"), ("c", "AS")]):
        await broker.send(number, type_, subject=subject)
    await broker.until(lambda: len(subscriber.calls) == 4 + 1 + 2)

    assert subscriber.ids("/a") == ["0"]
    assert sorted(subscriber.ids("/p")) == ["0", "3"]
    assert sorted(subscriber.ids("/all")) == ["0", "1", "2", "3"]


async def test_a_trigger_may_ask_for_structured_mode(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    """`format` counts in the Trigger's own delivery, not for its dead letters (Knative's broker filter)."""
    text = broker.yaml(
        broker.trigger_yaml(
            "json",
            f"{subscriber.url}/json",
            delivery=f"{{format: json, deadLetterSink: {{uri: '{subscriber.url}/dead'}}}}",
        ),
        broker.trigger_yaml("binary", f"{subscriber.url}/binary"),
        delivery="{format: json}",
    )
    subscriber.answers["/json"] = lambda _: web.Response(status=400)
    await broker.start(text)
    await broker.send("1", "t", b'{"a": 1}', subject="s")
    await broker.until(lambda: len(subscriber.calls) == 3)

    calls = {call.path: call for call in subscriber.calls}
    headers = calls["/json"].headers
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["Prefer"] == "reply"
    assert not [name for name in headers if name.lower().startswith("ce-")]
    event = json.loads(calls["/json"].body)
    assert (event["id"], event["subject"], event["data"]) == ("1", "s", {"a": 1})
    for path in ("/binary", "/dead"):
        assert (calls[path].headers["ce-id"], calls[path].body) == ("1", b'{"a": 1}')


ATTEMPTS = [
    (200, b"", 1),
    (204, b"", 1),
    (200, b"OK", 4),
    (302, b"", 1),
    (400, b"", 1),
    (404, b"", 4),
    (408, b"", 4),
    (409, b"", 4),
    (413, b"", 1),
    (422, b"", 1),
    (429, b"", 4),
    (500, b"", 4),
    (503, b"", 4),
]


async def test_the_answer_decides_how_often_it_is_tried(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    sink = f"{{retry: 3, backoffDelay: PT0S, deadLetterSink: {{uri: '{subscriber.url}/sink'}}}}"
    triggers = []
    for number, (status, body, _) in enumerate(ATTEMPTS):
        subscriber.answers[f"/s{number}"] = lambda _, status=status, body=body: web.Response(
            status=status, body=body
        )
        triggers.append(broker.trigger_yaml(f"t{number}", f"{subscriber.url}/s{number}"))
    await broker.start(broker.yaml(*triggers, delivery=sink))

    await broker.send(1)
    for number in range(len(ATTEMPTS)):
        await broker.until(lambda number=number: _settled(broker, f"t{number}"))

    letters = {
        call.headers["ce-knativeerrordest"]: call.headers for call in subscriber.calls if call.path == "/sink"
    }
    for number, (status, body, attempts) in enumerate(ATTEMPTS):
        path = f"/s{number}"
        numbers = [call.headers.get("Delivery-Attempt") for call in subscriber.calls if call.path == path]
        assert (status, numbers) == (status, [None, "2", "3", "4"][:attempts])
        letter = letters.pop(subscriber.url + path, None)
        assert (letter is None) == (200 <= status <= 299 and not body)
        if letter is not None:
            assert letter["ce-knativeerrorcode"] == ("502" if status == 200 else str(status))
            assert base64.b64decode(letter["ce-knativeerrordata"]) == body
            assert "Prefer" not in letter
    assert letters == {}


async def test_nobody_there_and_no_answer_in_time_are_tried_again(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    slow = asyncio.Event()

    async def answer(call: "Call") -> web.Response:
        if not call.earlier:
            await slow.wait()
        return web.Response(status=202)

    subscriber.answer = answer
    delivery = "{retry: 3, backoffDelay: PT0S, timeout: PT0.2S}"
    await broker.start(
        broker.yaml(
            broker.trigger_yaml("slow", subscriber.url),
            broker.trigger_yaml("nobody", "http://127.0.0.1:1/"),
            delivery=delivery,
        )
    )
    await broker.send(1)
    await broker.until(lambda: _settled(broker, "slow"))
    await broker.until(lambda: _settled(broker, "nobody"))
    slow.set()

    assert [call.earlier for call in subscriber.calls] == [0, 1]
    [letter] = (await broker.get("/-/dead-letters"))["dead_letters"]
    reasons = {delivery["trigger"]: delivery for delivery in letter["deliveries"]}
    assert reasons["test/slow"]["state"] == "DELIVERED"
    assert reasons["test/nobody"]["state"] == "KEPT"
    assert reasons["test/nobody"]["attempts"] == 4
    assert reasons["test/nobody"]["error"]["knativeerrorcode"] == "500"


async def test_retry_after_is_honoured(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    times = []

    def answer(call: "Call") -> web.Response:
        times.append(asyncio.get_running_loop().time())
        again = {"Retry-After": "1"} if not call.earlier else {}
        return web.Response(status=202 if call.earlier else 503, headers=again)

    subscriber.answer = answer
    await broker.start(
        broker.yaml(broker.trigger_yaml("t", subscriber.url), delivery="{retry: 3, backoffDelay: PT0S}")
    )
    await broker.send(1)
    await broker.until(lambda: len(times) == 2)

    assert times[1] - times[0] >= 1


async def test_what_the_sink_refuses_is_kept_and_can_be_replayed_or_given_up(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    subscriber.answers["/s"] = lambda _: web.Response(status=422, text="price is missing")
    subscriber.answers["/sink"] = lambda _: web.Response(status=503)
    delivery = f"{{retry: 2, backoffDelay: PT0S, deadLetterSink: {{uri: '{subscriber.url}/sink'}}}}"
    await broker.start(broker.yaml(broker.trigger_yaml("t", f"{subscriber.url}/s"), delivery=delivery))
    for number in range(3):
        await broker.send(number)
    await broker.until(lambda: _settled(broker, "t"))

    assert len(subscriber.ids("/s")) == 3
    assert len(subscriber.ids("/sink")) == 9
    letters = (await broker.get("/-/dead-letters"))["dead_letters"]
    assert [letter["event"]["id"] for letter in letters] == ["0", "1", "2"]
    [reason] = letters[0]["deliveries"]
    assert base64.b64decode(reason["error"]["knativeerrordata"]) == b"price is missing"
    assert reason["error"]["knativeerrorcode"] == "422"
    assert reason["status"] == 503
    assert (await broker.trigger("t"))["kept"] == 3

    subscriber.answers.clear()
    assert await broker.change("POST", f"/-/dead-letters/{letters[0]['number']}/replay") == (
        200,
        {"replayed": 1},
    )
    assert await broker.change("DELETE", f"/-/dead-letters/{letters[1]['number']}") == (200, {"forgotten": 1})
    assert (await broker.change("POST", f"/-/dead-letters/{letters[1]['number']}/replay"))[0] == 404
    await broker.stop()
    await broker.start()
    assert await broker.change("POST", "/-/dead-letters/replay") == (200, {"replayed": 1})
    await broker.until(lambda: len(subscriber.ids("/s")) == 5)

    assert subscriber.ids("/s")[3:] == ["0", "2"]
    assert (await broker.get("/-/dead-letters"))["dead_letters"] == []
    await broker.until(lambda: _settled(broker, "t"))
    assert (await broker.trigger("t"))["kept"] == 0


async def test_a_reply_goes_into_the_broker(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    def answer(call: "Call") -> web.Response:
        headers = {"ce-specversion": "1.0", "ce-id": f"r{call.id}", "ce-source": "/reply", "ce-type": "size"}
        return web.Response(body=b'"WHALE"', headers=headers, content_type="application/json")

    subscriber.answers["/classify"] = answer
    await broker.start(
        broker.yaml(
            broker.trigger_yaml("classify", f"{subscriber.url}/classify", filters="[{exact: {type: t}}]"),
            broker.trigger_yaml("sizes", f"{subscriber.url}/sizes", filters="[{exact: {type: size}}]"),
        )
    )
    await broker.send(1)
    await broker.until(lambda: subscriber.ids("/sizes"))

    [reply] = [call for call in subscriber.calls if call.path == "/sizes"]
    assert (reply.id, reply.headers["ce-source"], reply.body) == ("r1", "/reply", b'"WHALE"')
    newest = (await broker.get("/-/events?limit=1"))["events"]
    assert newest[0]["hops"] == 254


async def test_replies_end_at_the_hop_limit(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    numbers = itertools.count()

    def answer(call: "Call") -> web.Response:
        headers = {"ce-specversion": "1.0", "ce-id": f"r{next(numbers)}", "ce-source": "/r", "ce-type": "t"}
        return web.Response(headers=headers)

    subscriber.answer = answer
    await broker.start(broker.yaml(broker.trigger_yaml("echo", subscriber.url)))
    assert await broker.send("first", knativebrokerttl="4") == 202
    await broker.until(lambda: _settled(broker, "echo"))

    assert len(subscriber.calls) == 3
    [letter] = (await broker.get("/-/dead-letters"))["dead_letters"]
    assert letter["hops"] == 1
    assert letter["deliveries"][0]["error"]["knativeerrorcode"] == "400"


async def test_a_stuck_subscriber_holds_up_nobody(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    stuck = asyncio.Event()

    async def never(_: "Call") -> web.Response:
        await stuck.wait()
        return web.Response(status=202)

    subscriber.answers["/stuck"] = never
    await broker.start(
        broker.yaml(
            broker.trigger_yaml("stuck", f"{subscriber.url}/stuck"),
            broker.trigger_yaml("ok", f"{subscriber.url}/ok"),
        ),
        "--parallelism",
        "5",
    )
    for number in range(200):
        assert await broker.send(number) == 202
    await broker.until(lambda: len(subscriber.ids("/ok")) == 200)

    standing = await broker.trigger("stuck")
    assert (standing["pending"], standing["in_flight"]) == (200, 5)
    stuck.set()
    await broker.until(lambda: _settled(broker, "stuck"))
    assert sorted(map(int, subscriber.ids("/stuck"))) == list(range(200))


async def test_retries_do_not_hold_up_the_ones_behind(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    subscriber.answer = lambda call: web.Response(status=503 if int(call.id) < 50 else 202)
    await broker.start(
        broker.yaml(
            broker.trigger_yaml("t", subscriber.url),
            delivery="{retry: 9, backoffPolicy: exponential, backoffDelay: PT1H}",
        ),
        "--parallelism",
        "2",
    )
    for number in range(100):
        await broker.send(number)
    await broker.until(lambda: len(subscriber.calls) == 100)

    await broker.until(lambda: _pending(broker, "t", 50))


async def test_ten_thousand_pending_are_delivered_from_disk_in_order(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    await broker.start(
        broker.yaml(
            broker.trigger_yaml("late", f"{subscriber.url}/late"),
            delivery="{retry: 50, backoffDelay: PT0.1S, backoffPolicy: linear}",
        ),
        "--parallelism",
        "1",
    )
    gate = asyncio.Event()

    async def wait(_: "Call") -> web.Response:
        await gate.wait()
        return web.Response(status=202)

    subscriber.answer = wait
    batch = [{"specversion": "1.0", "source": "/b", "type": "t"} for _ in range(1000)]
    for thousand in range(10):
        events = [event | {"id": str(thousand * 1000 + index)} for index, event in enumerate(batch)]
        status = await _post(broker, events)
        assert status == 202
    assert (await broker.trigger("late"))["pending"] == 10_000
    gate.set()
    await broker.until(lambda: _settled(broker, "late"))

    assert list(map(int, subscriber.ids("/late"))) == list(range(10_000))


async def test_order_by_subject_is_kept_through_retries(
    broker: "BrokerProcess", subscriber: "Subscriber"
) -> None:
    done: list[tuple[str, int]] = []

    async def answer(call: "Call") -> web.Response:
        await asyncio.sleep(0.001 * (int(call.id) % 5))
        if int(call.id) % 7 == 0 and call.earlier < 2:
            return web.Response(status=503)
        done.append((call.headers["ce-subject"], int(call.id)))
        return web.Response(status=202)

    subscriber.answer = answer
    notes = "{kafka.eventing.knative.dev/delivery.order: ordered}"
    await broker.start(broker.yaml(broker.trigger_yaml("t", subscriber.url, annotations=notes)))
    for number in range(200):
        await broker.send(number, subject=f"S{number % 4}")
    await broker.until(lambda: len(done) == 200)

    for subject in range(4):
        assert [number for name, number in done if name == f"S{subject}"] == list(range(subject, 200, 4))
    assert subscriber.most > 1


async def _settled(broker: "BrokerProcess", name: str) -> bool:
    return await _pending(broker, name, 0)


async def _pending(broker: "BrokerProcess", name: str, count: int) -> bool:
    standing = await broker.trigger(name)
    return standing["pending"] == count and standing["in_flight"] == 0


async def _post(broker: "BrokerProcess", events: list[dict[str, str]]) -> int:
    headers = {"content-type": "application/cloudevents-batch+json"}
    async with broker.session.post(f"{broker.url}/test/default", json=events, headers=headers) as answer:
        return answer.status
