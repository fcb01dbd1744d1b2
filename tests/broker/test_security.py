"""The broker as someone sees it who means no good: over real sockets, with what no client sends."""

import asyncio
import gzip
import json
import re
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import uvicorn
from aiohttp import web

from eventing.attributes import MAX_CONTENT_TYPE_LENGTH
from eventing.bounded_http import MAX_FRAMING_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, BoundedProtocol
from eventing.broker.admin import MAX_FOLLOWERS
from eventing.broker.files import MAX_FILE_BYTES, ConfigError, read_map, read_yaml
from eventing.client import Client
from eventing.event import Event

if TYPE_CHECKING:
    from tests.broker.conftest import BrokerProcess, Call, Subscriber

PATIENCE_S = 20
SECRET = "c4n4ry"  # to be looked for where it must not be
EVENT = b"ce-specversion: 1.0\r\nce-id: %b\r\nce-source: /attacker\r\nce-type: t\r\n"

Ask = Callable[..., Awaitable[bytes]]


def request(
    *headers: bytes, body: bytes = b"", id_: bytes = b"1", host: bytes = b"127.0.0.1", framed: bool = True
) -> bytes:
    length = (b"content-length: %d\r\n" % len(body)) if framed else b""
    lines = b"".join(header + b"\r\n" for header in headers)
    return (
        b"POST /test/default HTTP/1.1\r\nhost: "
        + host
        + b"\r\n"
        + EVENT % id_
        + lines
        + length
        + b"\r\n"
        + body
    )


def chunked(*headers: bytes, body: bytes, id_: bytes = b"1") -> bytes:
    return request(*headers, b"transfer-encoding: chunked", body=body, id_=id_, framed=False)


async def talk(port: int, *pieces: bytes, until: bytes = b"\r\n\r\n") -> bytes:
    """What the server says until `until`, or until it closes or resets the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        async with asyncio.timeout(PATIENCE_S):
            return await listen(reader, until)
    finally:
        writer.close()


async def listen(reader: asyncio.StreamReader, until: bytes = b"no such end") -> bytes:
    """As `talk`; what has come before a reset counts, as the server may close while we write."""
    said = b""
    with suppress(ConnectionError):
        while until not in said and (more := await reader.read(65_536)):
            said += more
    return said


def status_of(said: bytes) -> int:
    return int(said.split(b" ", 2)[1]) if said else 0


@pytest.fixture
async def ask(broker: "BrokerProcess") -> Ask:
    await broker.start(broker.yaml())

    async def ask(*pieces: bytes, until: bytes = b"\r\n\r\n") -> bytes:
        return await talk(broker.port, *pieces, until=until)

    return ask


async def stored(broker: "BrokerProcess") -> list[dict[str, Any]]:
    return [entry["event"] for entry in (await broker.get("/-/events"))["events"]]


# What a request is


@pytest.mark.parametrize(
    "wire",
    [
        request(b"transfer-encoding: chunked", body=b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        request(b"content-length: 5", body=b"ab"),
        request(b"content-length: 2", body=b"ab"),
        request(b"transfer-encoding: chunked, identity", body=b"0\r\n\r\n", framed=False),
        request(b"transfer-encoding: xchunked", body=b"0\r\n\r\n", framed=False),
        request(b"x: a\r\n folded"),
        request(b"x: a\ny: b"),
        request(b"x : a"),
        request(b"content-length : 3", body=b"abc"),
        request(b"x: a\x00b"),
        request(b"x: a\rb"),
        chunked(body=b"5 \r\nabcde\r\n0\r\n\r\n"),
        chunked(body=b"-1\r\n\r\n0\r\n\r\n"),
    ],
)
async def test_what_two_servers_could_read_in_two_ways_is_refused(
    ask: Ask, broker: "BrokerProcess", wire: bytes
) -> None:
    said = await ask(wire, b"GET /smuggled HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", until=b"no such end")
    assert status_of(said) == 400
    assert len(re.findall(rb"HTTP/1\.1 \d", said)) == 1
    assert await stored(broker) == []


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"h2c, websocket"])
@pytest.mark.parametrize("pieces", [1, 2])
async def test_a_request_for_another_protocol_keeps_its_body(
    ask: Ask, broker: "BrokerProcess", protocol: bytes, pieces: int
) -> None:
    """Java's client asks for HTTP/2 in its first request. The parser has such a request end with its head."""
    upgrade = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: " + protocol, b"http2-settings: AAMAAABk")
    wire = request(b"content-type: application/json", *upgrade, body=b'{"a":1}')
    parts = (wire,) if pieces == 1 else (wire[:-4], wire[-4:])
    assert status_of(await ask(*parts)) == 202
    [event] = await stored(broker)
    assert event["data"] == {"a": 1}


async def test_trailers_are_no_headers(ask: Ask, broker: "BrokerProcess") -> None:
    wire = chunked(b"trailer: ce-x", body=b"2\r\n{}\r\n0\r\nce-x: y\r\nce-id: other\r\n\r\n")
    assert status_of(await ask(wire)) == 202
    [event] = await stored(broker)
    assert event["id"] == "1"
    assert "x" not in event


async def test_a_compressed_body_is_refused(ask: Ask, broker: "BrokerProcess") -> None:
    wire = request(b"content-encoding: gzip", body=gzip.compress(b"{}"))
    assert status_of(await ask(wire)) == 415
    assert status_of(await ask(request(b"content-encoding: identity"))) == 202


# Sizes


@pytest.mark.parametrize(
    "wire",
    [
        b"GET /" + b"a" * MAX_HEAD_BYTES * 3,
        request()[:-2] + b"x: " + b"a" * MAX_HEAD_BYTES * 3,
        request()[:-2] + b"x: y\r\n" * MAX_HEAD_BYTES,
        request(*[b"x: y"] * (MAX_HEADERS + 1)),
        chunked(body=b"2\r\n{}\r\n0\r\n" + b"x: y\r\n" * MAX_FRAMING_BYTES),
        chunked(body=b"2\r\n{}\r\n0\r\nx: " + b"y" * 2 * MAX_FRAMING_BYTES),
        chunked(body=b"2;" + b"x" * 2 * MAX_FRAMING_BYTES),
    ],
    ids=["path", "header", "headers", "number", "trailers", "trailer", "extension"],
)
async def test_what_frames_a_body_is_bounded(ask: Ask, wire: bytes) -> None:
    """The connection is closed, and the rest is not read; the answer may be lost with it."""
    said = await ask(wire, until=b"no such end")
    assert status_of(said) in (0, 431)


async def test_large_events_pass_whatever_pieces_they_come_in(ask: Ask, broker: "BrokerProcess") -> None:
    for number, size in enumerate((100_000, 300_000, 400_000, 1_000_000, 4_000_000)):
        body = json.dumps({"a": "x" * size}).encode()
        said = await ask(request(b"content-type: application/json", body=body, id_=b"%d" % number))
        assert status_of(said) == 202, size
    tiny = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"a":"' + b"x" * 10_000 + b'"}')
    assert status_of(await ask(chunked(body=tiny + b"0\r\n\r\n", id_=b"tiny"))) == 202


async def test_two_requests_at_once_are_answered_in_order(ask: Ask, broker: "BrokerProcess") -> None:
    last = b"GET /-/nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    said = await ask(request(id_=b"1") + request(id_=b"2") + last, until=b"no such end")
    assert re.findall(rb"HTTP/1\.1 (\d+)", said) == [b"202", b"202", b"404"]
    assert {event["id"] for event in await stored(broker)} == {"1", "2"}


async def test_no_request_is_given_the_answer_of_another(ask: Ask, broker: "BrokerProcess") -> None:
    """What is wrong behind an event that is still being written must not be told as that event's refusal."""
    said = await ask(request(id_=b"1") + b"no request\r\n\r\n", until=b"no such end")
    assert re.findall(rb"HTTP/1\.1 (\d+)", said)[:1] in ([], [b"202"])


@pytest.mark.parametrize("filler", [b" ", b"\t", b";a=b", b";", b"\\"])
async def test_a_content_type_costs_no_more_than_its_length(ask: Ask, filler: bytes) -> None:
    """A pattern that goes back and forth over blanks took a minute for 100 KB of them: here it times out."""
    for length in (MAX_CONTENT_TYPE_LENGTH - 60, 100_000):
        evil = b"content-type: application/cloudevents" + filler * (length // len(filler)) + b'"'
        assert status_of(await ask(request(evil))) == 400


# Time


async def accept(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    body = b"x" * 8_000_000 if scope["path"] == "/large" else b""
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    """Answers before the body is there."""
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class Hasty(BoundedProtocol):
    request_timeout_s = 0.1


@pytest.fixture(params=[accept], ids=lambda app: app.__name__)
async def hasty(request: pytest.FixtureRequest) -> AsyncIterator[uvicorn.Server]:
    """A server with little patience, in this process."""
    config = uvicorn.Config(
        request.param,
        port=0,
        http=Hasty,
        lifespan="off",
        ws="none",
        timeout_keep_alive=60,
        limit_concurrency=20,
    )
    server = uvicorn.Server(config)
    server.capture_signals = suppress  # type: ignore[method-assign,assignment]
    running = asyncio.create_task(server.serve())
    await wait_until(lambda: server.started)
    yield server
    server.should_exit = server.force_exit = True
    await running


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for knows no events
            await asyncio.sleep(0.01)


def port_of(server: uvicorn.Server) -> int:
    return int(server.servers[0].sockets[0].getsockname()[1])


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"", 0),
        (b"\r\n\r\n", 0),
        (b"G", 408),
        (b"POST / HTTP/1.1\r\nhost: localhost\r\nx: ", 408),
        (b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nhalf", 408),
        (b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1;", 408),
    ],
    ids=["nothing", "blank lines", "a letter", "half a head", "half a body", "half a chunk"],
)
async def test_a_request_that_does_not_go_on_is_ended(
    hasty: uvicorn.Server, start: bytes, status: int
) -> None:
    assert status_of(await talk(port_of(hasty), start, until=b"no such end")) == status


@pytest.mark.parametrize("tail", [b"", b"x" * 60_000], ids=["alone", "and more"])
async def test_it_is_no_proxy(hasty: uvicorn.Server, tail: bytes) -> None:
    connect = b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n"
    said = await talk(port_of(hasty), connect + tail, until=b"no such end")
    assert status_of(said) == 501
    assert said.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("piece", [b"\r\n", b"x: y\r\n"], ids=["blank lines", "headers"])
async def test_a_request_that_goes_on_without_end_is_ended(hasty: uvicorn.Server, piece: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(hasty))
    writer.write(b"" if piece == b"\r\n" else b"GET / HTTP/1.1\r\nhost: localhost\r\n")
    ended = asyncio.create_task(listen(reader))
    async with asyncio.timeout(PATIENCE_S):
        while not ended.done():
            writer.write(piece)
            await asyncio.sleep(0.02)
    writer.close()


@pytest.mark.parametrize("hasty", [refuse], indirect=True, ids=["refuse"])
async def test_a_body_that_trickles_after_its_answer_is_ended(hasty: uvicorn.Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(hasty))
    writer.write(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n")
    ended = asyncio.create_task(listen(reader))
    async with asyncio.timeout(PATIENCE_S):
        while not ended.done():
            writer.write(b"x")
            await asyncio.sleep(0.02)
    assert ended.result().count(b"HTTP/1.1") == 1  # no second answer to one request
    writer.close()


async def test_an_answer_that_nobody_reads_is_given_up(hasty: uvicorn.Server) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(hasty), limit=1024)
    writer.write(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n")
    await wait_until(lambda: bool(hasty.server_state.connections))
    await wait_until(lambda: not hasty.server_state.connections)
    writer.close()


async def test_a_connection_that_is_kept_is_not_ended_between_requests(hasty: uvicorn.Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(hasty))
    for _ in range(3):
        writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        async with asyncio.timeout(PATIENCE_S):
            assert status_of(await reader.readuntil(b"\r\n\r\n")) == 200
        await asyncio.sleep(3 * Hasty.request_timeout_s)
    writer.close()


async def test_connections_are_bounded(hasty: uvicorn.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hasty, "request_timeout_s", 60.0)
    writers = [(await asyncio.open_connection("127.0.0.1", port_of(hasty)))[1] for _ in range(120)]
    said = await talk(port_of(hasty), b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", until=b"no such end")
    assert status_of(said) in (0, 503)
    assert len(hasty.server_state.connections) < 100
    for writer in writers:
        writer.close()
    await wait_until(lambda: not hasty.server_state.connections)
    assert status_of(await talk(port_of(hasty), b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")) == 200


# Other sites


STATE = [("POST", "/test/default"), ("POST", "/-/triggers"), ("POST", "/-/dead-letters/replay")]
STATE += [("POST", "/-/replay"), ("DELETE", "/-/dead-letters/1"), ("DELETE", "/-/triggers/test/t")]
READS = [("GET", f"/-/{name}") for name in ("status", "events", "events?follow=1", "dead-letters", "dump")]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8081"])
async def test_a_foreign_name_that_leads_here(ask: Ask, broker: "BrokerProcess", host: str) -> None:
    """DNS rebinding: to the browser this is the attacker's own site, and any header may be sent."""
    for method, path in [*STATE, *READS, ("GET", "/metrics")]:
        wire = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\n"
        wire += "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        said = await ask(wire.encode(), until=b"no such end")
        assert status_of(said) == 403, path
        assert b"evil" not in said
    assert await stored(broker) == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_sites_page_may_not_even_ask(ask: Ask, broker: "BrokerProcess", site: str) -> None:
    for method, path in [*STATE[1:], *READS]:
        headers = {"Sec-Fetch-Site": site, "Content-Type": "application/json"}
        async with broker.session.request(method, broker.url + path, headers=headers, data=b"{}") as answer:
            assert answer.status == 403, path


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_what_a_form_can_send_changes_nothing(
    ask: Ask, broker: "BrokerProcess", media_type: str
) -> None:
    """A page may post this anywhere without asking; for another type or a ce- header it has to ask first."""
    event = json.dumps({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"})
    for method, path in STATE:
        if method == "POST":
            headers = {"Content-Type": media_type, "Host": f"localhost:{broker.port}"}
            async with broker.session.post(broker.url + path, headers=headers, data=event) as answer:
                assert answer.status in (400, 403, 415), path
                assert "Access-Control-Allow-Origin" not in answer.headers
    async with broker.session.options(f"{broker.url}/test/default") as answer:
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert await stored(broker) == []


async def test_a_host_that_was_allowed(broker: "BrokerProcess") -> None:
    await broker.start(broker.yaml(), "--allow-host", "broker.example")
    for host, status in (("broker.example", 202), ("broker.example:80", 202), ("other.example", 403)):
        assert status_of(await talk(broker.port, request(host=host.encode()))) == status


# Answers


async def test_answers_tell_nothing_of_headers_and_cannot_be_pages(ask: Ask, broker: "BrokerProcess") -> None:
    headers = dict.fromkeys(("Cookie", "X-Any", "Authorization", "Referer", "User-Agent"), SECRET)
    asked = [
        ("GET", f"/{SECRET}"),
        ("GET", f"/-/{SECRET}"),
        ("PUT", f"/-/events/{SECRET}"),
        ("TRACE", "/metrics"),
    ]
    asked += [("POST", f"/{SECRET}/x/y"), ("POST", "/-/triggers"), ("GET", "/-/dump?format=" + SECRET)]
    asked += [
        ("GET", "/-/status"),
        ("GET", "/-/events"),
        ("GET", "/metrics"),
        ("GET", "/-/events?type=" + SECRET),
    ]
    for method, path in asked:
        async with broker.session.request(method, broker.url + path, headers=headers) as answer:
            body = await answer.text()
            assert SECRET not in body + str(answer.headers), path
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'"), path
            assert "html" not in answer.headers["Content-Type"]
            assert answer.status < 500


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE"])
async def test_probes_are_read_only(ask: Ask, broker: "BrokerProcess", method: str) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        async with broker.session.request(method, broker.url + path) as answer:
            assert answer.status == 405


async def test_followers_are_bounded(ask: Ask, broker: "BrokerProcess") -> None:
    wire = b"GET /-/events?follow=1 HTTP/1.1\r\nhost: localhost\r\n\r\n"
    opened = [await asyncio.open_connection("127.0.0.1", broker.port) for _ in range(MAX_FOLLOWERS)]
    for reader, writer in opened:
        writer.write(wire)
        await reader.readuntil(b"\r\n\r\n")
    assert status_of(await ask(wire)) == 503
    for _, writer in opened:
        writer.close()

    async def is_open_again() -> bool:
        return status_of(await ask(wire)) == 200

    await broker.until(is_open_again)


# Events that carry something


async def test_attributes_go_out_as_plain_headers(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    """Nothing in an attribute makes a header of its own, wherever it came from."""
    await broker.start(broker.yaml(broker.trigger_yaml("t", subscriber.url)))
    text = 'a"b %0d%0a ü\u2028 host: evil'
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "x": text, "subject": text}
    content_type = "application/cloudevents+json"
    async with broker.session.post(
        broker.url + "/test/default", data=json.dumps(event), headers={"Content-Type": content_type}
    ) as answer:
        assert answer.status == 202
    await broker.until(lambda: subscriber.calls)
    headers = subscriber.calls[0].headers
    assert headers["ce-x"].isascii()
    assert headers["host"] == subscriber.url.removeprefix("http://")
    assert "%250d%250a" in headers["ce-x"].lower()


@pytest.mark.parametrize("evil", ["a\r\nce-y: b", "a\nb", "a\x00b", "\x1b[2J"])
async def test_attributes_with_control_characters_are_refused(
    ask: Ask, broker: "BrokerProcess", evil: str
) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
    for name in ("x", "id", "source", "type", "subject", "datacontenttype", "dataschema"):
        body = json.dumps(event | {name: evil}).encode()
        wire = request(b"content-type: application/cloudevents+json", body=body)
        assert status_of(await ask(wire)) == 400, name
    assert status_of(await ask(request(b"ce-x: a%0d%0ace-y: b"))) == 400
    assert await stored(broker) == []


async def test_a_reply_cannot_inject_either(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    def reply(call: "Call") -> web.Response:
        headers = {"ce-specversion": "1.0", "ce-id": "r", "ce-source": "/r", "ce-type": "r"}
        return web.Response(headers=headers | {"ce-x": "a%0d%0aHost: evil"})

    subscriber.answers["/replies"] = reply
    trigger = broker.trigger_yaml(
        "t", subscriber.url + "/replies", filters="[{exact: {type: t}}]", delivery="{retry: 0}"
    )
    await broker.start(broker.yaml(trigger, broker.trigger_yaml("all", subscriber.url + "/all")))
    assert await broker.send(1) == 202

    async def is_given_up() -> bool:
        return bool((await broker.trigger("t"))["dead_lettered"])

    await broker.until(is_given_up)
    assert subscriber.ids("/all") == ["1"]


async def test_redirects_are_not_followed(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    """A subscriber may not send the broker elsewhere: to what only this machine can reach."""
    for status in (301, 302, 303, 307, 308):
        to = {"Location": f"{subscriber.url}/elsewhere"}
        subscriber.answers[f"/{status}"] = lambda _, status=status, to=to: web.Response(
            status=status, headers=to
        )  # type: ignore[misc]
    triggers = [
        broker.trigger_yaml(f"t{status}", f"{subscriber.url}/{status}", delivery="{retry: 0}")
        for status in (301, 302, 303, 307, 308)
    ]
    await broker.start(broker.yaml(*triggers))
    assert await broker.send(1) == 202

    async def are_given_up() -> bool:
        return all(trigger["dead_lettered"] for trigger in (await broker.get("/-/status"))["triggers"])

    await broker.until(are_given_up)
    assert "/elsewhere" not in {call.path for call in subscriber.calls}


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nx: ", b"y" * 60_000),
        (b"HTTP/1.1 200 ", b"y" * 60_000),
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 10_000),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"y" * 60_000),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ", b"y" * 60_000),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2_000),
    ],
    ids=["header", "status", "headers", "chunk", "trailer", "hints"],
)
async def test_an_answer_without_end_is_given_up(start: bytes, piece: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        with suppress(ConnectionError):
            while True:
                writer.write(piece)
                await writer.drain()
        writer.close()

    client = Client(max_answer_bytes=1_000_000)
    event = Event({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"})
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server, asyncio.timeout(PATIENCE_S):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        answered = await client.post(url, event, timeout_ms=600_000, headers={})
    assert answered.status is None
    assert "too l" in answered.error
    await client.close()


# Configuration


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "kind: Other\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        bomb(30),
        "kind: Other\na: &a [*a]\n",
        "kind: " + "[" * 10_000,
        "kind: Other\nwhen: 2026-99-99\n",
        "kind: !!python/object/apply:os.system [id]\n",
        "kind: Other\n" + "# " + "x" * MAX_FILE_BYTES,
        "\x00",
    ],
    ids=["bomb", "recursive", "deep", "no date", "object", "large", "control"],
)
def test_yaml_that_is_no_good(tmp_path: Path, text: str) -> None:
    file = tmp_path / "evil.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"evil\.yaml"):
        read_yaml(file)


def test_aliases_within_reason(tmp_path: Path) -> None:
    file = tmp_path / "good.yaml"
    file.write_text("kind: Other\na: &a {b: c}\nd: [*a, *a]\n")
    assert read_yaml(file) == [{"kind": "Other", "a": {"b": "c"}, "d": [{"b": "c"}, {"b": "c"}]}]


def test_a_map_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "evil.map"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"evil\.map"):
        read_map(file)


async def test_a_bad_file_does_not_end_hot_reload(broker: "BrokerProcess", subscriber: "Subscriber") -> None:
    await broker.start(broker.yaml())

    async def status(name: str) -> Any:
        return (await broker.get("/-/status"))[name]

    for evil in (bomb(30), "kind: Other\nwhen: 2026-99-99\n", "[" * 10_000):
        broker.file.write_text(evil)
        await broker.until(lambda: status("config_error"))
        broker.file.write_text(broker.yaml(broker.trigger_yaml("t", subscriber.url)))

        async def is_read_again() -> bool:
            return await status("config_error") is None

        await broker.until(is_read_again)
    assert await broker.send(1) == 202
    await broker.until(lambda: subscriber.calls)


# Logs and files


@pytest.mark.parametrize("form", ["json", "text"])
async def test_the_log_has_a_line_a_delivery_and_no_payload(
    broker: "BrokerProcess", subscriber: "Subscriber", form: str
) -> None:
    subscriber.answers["/bad"] = lambda _: web.Response(status=400, text=SECRET)
    triggers = [broker.trigger_yaml(name, f"{subscriber.url}/{name}") for name in ("good", "bad")]
    await broker.start(broker.yaml(*triggers), "--log-level", "debug", "--log-format", form)
    trace = "0af7651916cd43dd8448eb211c80319c"
    data = json.dumps({SECRET: SECRET}).encode()
    more = {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "note": SECRET}
    assert await broker.send("e-1", data=data, **more) == 202
    bad = {"Authorization": SECRET, "Cookie": SECRET, "Content-Type": "application/json"}
    async with broker.session.post(broker.url + f"/-/{SECRET}", data=SECRET, headers=bad) as answer:
        assert answer.status >= 400
    await talk(broker.port, b"GET /%0aforged HTTP/1.1\r\nhost: localhost\r\n\r\n")

    async def are_settled() -> bool:
        found = {trigger["name"]: trigger for trigger in (await broker.get("/-/status"))["triggers"]}
        return bool(found["test/good"]["delivered"] and found["test/bad"]["dead_lettered"])

    await broker.until(are_settled)
    assert await broker.stop() == 0
    log = broker.output()
    assert SECRET not in log
    lines = [line for line in log.splitlines() if "delivery" in line and "e-1" in line]
    assert len(lines) == 2
    assert all(trace in line for line in lines)
    if form == "json":
        entries = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        [entry] = [entry for entry in entries if entry.get("trigger") == "test/bad"]
        assert (entry["event"], entry["level"], entry["status"]) == ("delivery", "debug", 400)
        assert (entry["id"], entry["source"], entry["trace_id"]) == ("e-1", "/tests", trace)


async def test_the_file_is_its_users_alone(ask: Ask, broker: "BrokerProcess") -> None:
    assert await broker.send(1) == 202
    for path in (broker.data, *broker.data.parent.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


async def test_it_goes_on_under_all_of_this(ask: Ask, broker: "BrokerProcess") -> None:
    """Idle connections, half requests and refused ones beside it: a good event is still taken."""
    held = [await asyncio.open_connection("127.0.0.1", broker.port) for _ in range(150)]
    for _, writer in held[::2]:
        writer.write(request()[:-10])
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_S):
        headers = {"ce-specversion": "1.0", "ce-id": "good", "ce-source": "/s", "ce-type": "t"}
        async with session.post(broker.url + "/test/default", headers=headers) as answer:
            assert answer.status == 202
    for _, writer in held:
        writer.close()
