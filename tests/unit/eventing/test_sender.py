"""The sender over real HTTP: what becomes an answer, what is sent again, and how long it waits."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from eventing.client import Answer
from eventing.codec import decode, encode_binary
from eventing.delivery import Verdict
from eventing.event import Event
from eventing.sender import Sender, jitter_ms

EVENT = Event(
    {"specversion": "1.0", "id": "1 é", "source": "/s", "type": "t", "datacontenttype": "application/json"},
    b"{}",
)
CLOSED = "http://127.0.0.1:9/"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Subscriber:
    """Answers with the prepared responses, the last one again and again, and keeps what came."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[Handler] = []
        self.events: list[list[Event]] = []
        self.headers: list[dict[str, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.events.append(decode(request.headers.items(), await request.read()))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)


def status(code: int, text: str = "", **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=code, body=text.encode() or None, headers=named)

    return answer


async def reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


@pytest.fixture
async def subscriber() -> AsyncIterator[Subscriber]:
    subscriber = Subscriber()
    app = web.Application(client_max_size=16 << 20)
    app.router.add_post("/", subscriber.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    subscriber.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield subscriber
    await runner.cleanup()


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    async with Sender(timeout_ms=5000, rng=random.Random(1)) as sender:
        yield sender


async def test_an_event_arrives_as_it_was(sender: Sender, subscriber: Subscriber) -> None:
    subscriber.answers = [status(202)]
    answer = await sender.post(subscriber.url, EVENT, headers={"prefer": "reply"})
    assert (answer.status, answer.body, answer.error, answer.verdict()) == (202, b"", "", Verdict.DONE)
    assert subscriber.events == [[EVENT]]
    assert subscriber.headers[0]["prefer"] == "reply"


async def test_no_type_is_invented_for_data_without_one(sender: Sender, subscriber: Subscriber) -> None:
    subscriber.answers = [status(202)]
    event = Event({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}, b"\x00")
    await sender.post(subscriber.url, event)
    assert subscriber.events == [[event]]


async def test_a_large_event_arrives_whole(sender: Sender, subscriber: Subscriber) -> None:
    subscriber.answers = [status(202)]
    event = Event(EVENT.attributes, b'"' + b"x" * (2 << 20) + b'"')
    assert (await sender.post(subscriber.url, event)).status == 202
    assert subscriber.events == [[event]]


async def test_connections_are_kept(sender: Sender, subscriber: Subscriber) -> None:
    peers = set()

    async def remember(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(status=202)

    subscriber.answers = [remember]
    for _ in range(5):
        await sender.post(subscriber.url, EVENT)
    assert len(peers) == 1


@pytest.mark.parametrize("url", [CLOSED, "http://[", "nonsense", "http://host.invalid/"])
async def test_network_trouble_is_an_answer(sender: Sender, url: str) -> None:
    answer = await sender.post(url, EVENT)
    assert answer.status is None
    assert answer.error
    assert answer.verdict() is Verdict.RETRY


async def test_resets_and_timeouts_are_answers(sender: Sender, subscriber: Subscriber) -> None:
    subscriber.answers = [reset, hang]
    assert (await sender.post(subscriber.url, EVENT)).status is None
    answer = await sender.post(subscriber.url, EVENT, timeout_ms=50)
    assert (answer.status, answer.error) == (None, "no answer within 50 ms")


async def test_redirects_are_answers(sender: Sender, subscriber: Subscriber) -> None:
    subscriber.answers = [status(307, location="/elsewhere")]
    answer = await sender.post(subscriber.url, EVENT)
    assert (answer.status, answer.verdict()) == (307, Verdict.DEAD_LETTER)


async def test_long_answers_are_cut(subscriber: Subscriber) -> None:
    subscriber.answers = [status(400, "x" * 1_000_000)]
    async with Sender(max_answer_bytes=1000) as sender:
        answer = await sender.post(subscriber.url, EVENT)
        assert (answer.status, answer.body) == (400, b"x" * 1000)
        assert (await sender.post(subscriber.url, EVENT)).status == 400


async def test_a_reply_is_read(sender: Sender, subscriber: Subscriber) -> None:
    headers, body = encode_binary(EVENT)

    async def reply(_: web.Request) -> web.StreamResponse:
        return web.Response(status=200, headers=headers, body=body)

    subscriber.answers = [
        reply,
        status(200, "OK"),
        status(200, "[]", content_type="application/cloudevents-batch+json"),
    ]
    answer = await sender.post(subscriber.url, EVENT)
    assert (answer.reply(), answer.verdict()) == (EVENT, Verdict.DONE)
    for _ in range(2):
        answer = await sender.post(subscriber.url, EVENT)
        assert (answer.reply(), answer.verdict()) == (None, Verdict.RETRY)


async def test_send_tries_again_with_the_same_event_until_it_is_done(
    sender: Sender, subscriber: Subscriber
) -> None:
    subscriber.answers = [status(503), reset, status(429), status(200, "OK"), status(202)]
    answer = await sender.send(subscriber.url, EVENT, backoff_ms=1)
    assert answer.status == 202
    assert subscriber.events == [[EVENT]] * 5


async def test_send_stops_at_a_verdict_and_after_its_attempts(sender: Sender, subscriber: Subscriber) -> None:
    subscriber.answers = [status(400)]
    assert (await sender.send(subscriber.url, EVENT, backoff_ms=1)).status == 400
    assert len(subscriber.events) == 1
    subscriber.answers = [status(503)]
    assert (await sender.send(subscriber.url, EVENT, attempts=3, backoff_ms=1)).status == 503
    assert len(subscriber.events) == 1 + 3


async def test_send_sends_several_events_as_one_batch(sender: Sender, subscriber: Subscriber) -> None:
    subscriber.answers = [status(503), status(202)]
    events = [EVENT, EVENT.with_attributes(id="2")]
    assert (await sender.send(subscriber.url, events, backoff_ms=1)).status == 202
    assert subscriber.events == [events, events]


async def test_send_waits_for_retry_after_within_its_bounds(
    sender: Sender, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    subscriber.answers = [
        status(503, retry_after="2"),
        status(503, retry_after="900"),
        status(503),
        status(202),
    ]
    monkeypatch.setattr("eventing.sender.asyncio.sleep", note)
    await sender.send(subscriber.url, EVENT, backoff_ms=100, backoff_max_ms=5000)
    assert 2 <= waits[0] <= 2.1
    assert 5 <= waits[1] <= 5.2
    assert 0 <= waits[2] <= 0.4


async def test_send_gives_up_when_the_next_wait_would_pass_the_deadline(
    sender: Sender, subscriber: Subscriber
) -> None:
    subscriber.answers = [status(503, retry_after="5")]
    assert (await sender.send(subscriber.url, EVENT, deadline_ms=2000)).status == 503
    assert len(subscriber.events) == 1


async def test_a_sender_must_be_open() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await Sender().post(CLOSED, EVENT)


@given(st.integers(0, 10**6), st.integers(1, 10_000), st.integers(1, 100_000), st.integers())
def test_jitter_is_part_of_a_bounded_back_off(attempt: int, backoff_ms: int, max_ms: int, seed: int) -> None:
    wait_ms = jitter_ms(attempt, backoff_ms, max_ms, random.Random(seed))
    assert 0 <= wait_ms <= min(max_ms, backoff_ms * 2 ** min(attempt, 40))


def test_answers_are_values() -> None:
    assert Answer(202) == Answer(202, {}, b"", "")
