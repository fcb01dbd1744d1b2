"""What becomes of an event after each answer of its subscriber: Knative's own code, our broker, our table.

Both brokers stand in front of a subscriber that answers as each event asks, with a dead-letter sink behind.
"""

import asyncio
import base64
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from eventing.delivery import Verdict, delay_ms, error_attributes, parse_delivery, verdict
from tests.broker.conftest import BrokerProcess

NO_ANSWER = ("close", "reset", "hang")
REPLIES = ("200-text", "202-text", "200-event", "200-half-event")
STATUSES = [str(status) for status in range(100, 600)]

Run = Callable[..., AbstractAsyncContextManager[str]]


class Peer:
    """A subscriber and a dead-letter sink on raw sockets. The extension `answer` asks for the answer."""

    def __init__(self) -> None:
        self.attempts: dict[str, list[float]] = {}
        self.dead: dict[str, dict[str, str]] = {}
        self._servers: list[asyncio.Server] = []
        self.subscriber = self.sink = ""

    async def start(self) -> None:
        for handler in (self._subscribe, self._bury):
            self._servers.append(await asyncio.start_server(handler, "127.0.0.1", 0))
        self.subscriber, self.sink = (
            f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/" for server in self._servers
        )

    def close(self) -> None:
        for server in self._servers:
            server.close()

    async def quiet(self, events: int) -> None:
        """Return when every event has come and nothing has changed for a second and a half."""
        seen, since = (0, 0), time.monotonic()
        while len(self.attempts) < events or time.monotonic() - since < 1.5:
            await asyncio.sleep(0.05)
            now = (sum(map(len, self.attempts.values())), len(self.dead))
            if now != seen:
                seen, since = now, time.monotonic()

    async def _subscribe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = await _request(reader)
        answer = headers["ce-answer"]
        self.attempts.setdefault(answer, []).append(time.monotonic())
        if answer == "reset":
            linger = struct.pack("ii", 1, 0)  # close sends RST
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        elif answer == "hang":
            await reader.read()
        elif answer != "close":
            writer.write(_answer(answer))
        writer.close()

    async def _bury(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = await _request(reader)
        self.dead[headers["ce-answer"]] = headers
        writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()


async def _request(reader: asyncio.StreamReader) -> dict[str, str]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    await reader.readexactly(int(headers.get("content-length", "0")))
    return headers


def _answer(answer: str) -> bytes:
    status, _, kind = answer.partition("-")
    head = f"HTTP/1.1 {status} Text\r\nconnection: close\r\n"
    if kind.endswith("event"):
        head += "ce-specversion: 1.0\r\nce-type: reply\r\nce-source: /r\r\n"
        head += "ce-time: never\r\n" if "half" in kind else "ce-id: 1\r\n"
    if kind == "long":
        body = "x" * 1000
    elif not kind:
        body = "" if status.startswith(("1", "2")) or status == "304" else f"because {status}"
    else:
        body = "text"
    if not status.startswith("1") and status not in ("204", "304"):
        head += f"content-length: {len(body)}\r\n"
    return f"{head}\r\n{body}".encode()


@pytest.fixture
async def theirs() -> AsyncIterator[Peer]:
    """Behind Knative's broker."""
    peer = Peer()
    await peer.start()
    yield peer
    peer.close()


@pytest.fixture
async def ours() -> AsyncIterator[Peer]:
    """Behind our broker."""
    peer = Peer()
    await peer.start()
    yield peer
    peer.close()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Any]:
    """Our broker, started and set as `knlocal` is: `async with broker(SUBSCRIBER=url, ...) as ingress`."""

    @asynccontextmanager
    async def run(**settings: str) -> AsyncIterator[str]:
        delivery = {
            "retry": int(settings["RETRY"]),
            "backoffDelay": settings["BACKOFF"],
            "backoffPolicy": settings.get("POLICY", "exponential"),
            "timeout": settings.get("TIMEOUT"),
            "deadLetterSink": {"uri": settings["DLS"]},
        }
        filters = json.dumps([{"exact": {"type": settings["TYPE"]}}])
        trigger = BrokerProcess.trigger_yaml("t", settings["SUBSCRIBER"], filters=filters)
        async with aiohttp.ClientSession() as session:
            process = BrokerProcess(tmp_path, session)
            await process.start(BrokerProcess.yaml(trigger, delivery=json.dumps(delivery)))
            try:
                yield process.url + "/test/default"
            finally:
                await process.stop()

    return run


async def deliver(run: Run, peer: Peer, answers: list[str], **settings: str) -> None:
    """Send an event for each answer, and wait until the broker has done with all."""
    async with (
        run(SUBSCRIBER=peer.subscriber, DLS=peer.sink, TYPE="asked", **settings) as ingress,
        aiohttp.ClientSession() as client,
    ):
        context = {"ce-specversion": "1.0", "ce-type": "asked", "ce-source": "/s"}
        for answer in answers:
            async with client.post(
                ingress, headers=context | {"ce-id": answer, "ce-answer": answer}
            ) as response:
                assert response.status == 202
        await peer.quiet(len(answers))


def expected(answer: str) -> Verdict:
    """Our verdict. A status below 200 other than 101 announces an answer that then does not come."""
    status, _, kind = answer.partition("-")
    if not is_answered(answer):
        return verdict(None, b"", is_event=False)
    return verdict(int(status), kind.encode(), is_event=kind == "event")


def seen(peer: Peer, answer: str, retry: int) -> Verdict:
    outcome = (len(peer.attempts[answer]), answer in peer.dead)
    return {(1, False): Verdict.DONE, (1, True): Verdict.DEAD_LETTER, (retry + 1, True): Verdict.RETRY}[
        outcome
    ]


async def test_verdicts_agree(knlocal: Run, broker: Run, theirs: Peer, ours: Peer) -> None:
    answers = [*NO_ANSWER, *REPLIES, *STATUSES]
    settings = {"RETRY": "2", "BACKOFF": "PT0S", "TIMEOUT": "PT1S"}
    await asyncio.gather(
        deliver(knlocal, theirs, answers, **settings), deliver(broker, ours, answers, **settings)
    )
    table = {answer: expected(answer) for answer in answers}
    assert {answer: seen(theirs, answer, retry=2) for answer in answers} == table
    assert {answer: seen(ours, answer, retry=2) for answer in answers} == table
    for answer, headers in theirs.dead.items():
        check_dead_letter(theirs, answer, headers)
        check_our_dead_letter(ours, answer, headers)


def check_dead_letter(peer: Peer, answer: str, headers: dict[str, str]) -> None:
    """Knative's dead letter is what our table makes of the answer."""
    if not is_answered(answer):
        assert headers["ce-knativeerrorcode"] == error_attributes("", None, b"")["knativeerrorcode"]
        return
    made = made_of(peer, answer)
    assert headers["ce-knativeerrorcode"] == made["knativeerrorcode"]
    if has_body(answer):
        # On a cluster the filter's own report is unpacked into the attributes; here it has another address.
        report = json.loads(base64.b64decode(headers["ce-knativeerrordata"]))
        assert report == {
            "errdestination": made["knativeerrordest"],
            "errresponsebody": made["knativeerrordata"],
        }


def check_our_dead_letter(peer: Peer, answer: str, theirs: dict[str, str]) -> None:
    """Ours has the code that Knative's has, and the table's destination and data."""
    headers = peer.dead[answer]
    assert headers["ce-knativeerrorcode"] == theirs["ce-knativeerrorcode"]
    assert headers["ce-knativeerrordest"] == peer.subscriber
    if is_answered(answer) and has_body(answer):
        assert headers["ce-knativeerrordata"] == made_of(peer, answer)["knativeerrordata"]
    sent = ("ce-id", "ce-source", "ce-type", "ce-specversion", "ce-answer")
    assert [headers[name] for name in sent] == [theirs[name] for name in sent]


def is_answered(answer: str) -> bool:
    status = answer.partition("-")[0]
    return answer not in NO_ANSWER and (not status.startswith("1") or status == "101")


def has_body(answer: str) -> bool:
    """Whether the answer is one that fails for its status and says why."""
    return answer.partition("-")[0] not in ("101", "304") and not answer.startswith("2")


def made_of(peer: Peer, answer: str) -> dict[str, str]:
    status = answer.partition("-")[0]
    return error_attributes(peer.subscriber, int(status), f"because {status}".encode())


@pytest.mark.parametrize("policy", ["linear", "exponential"])
@pytest.mark.parametrize("retry", [0, 1, 4])
async def test_retries_and_back_off_agree(
    knlocal: Run, broker: Run, theirs: Peer, ours: Peer, retry: int, policy: str
) -> None:
    settings = {"RETRY": str(retry), "BACKOFF": "PT0.1S", "POLICY": policy}
    await asyncio.gather(
        deliver(knlocal, theirs, ["503"], **settings), deliver(broker, ours, ["503"], **settings)
    )
    delivery = parse_delivery({"retry": retry, "backoffPolicy": policy, "backoffDelay": "PT0.1S"})
    for peer in (theirs, ours):
        times = peer.attempts["503"]
        assert len(times) == retry + 1
        for attempt, (before, after) in enumerate(pairwise(times)):
            assert (after - before) * 1000 >= delay_ms(delivery, attempt) - 1


@pytest.mark.parametrize("patience_s", [1, 20])
async def test_a_producer_that_gives_up_ends_the_delivery(
    knlocal: Run, theirs: Peer, patience_s: float
) -> None:
    """Why the generator of knative/base waits so long: on an in-memory channel nobody else has the event."""
    settings = {"RETRY": "3", "BACKOFF": "PT0.5S", "SYNC": "1"}  # 3.5 s in all
    headers = {"ce-specversion": "1.0", "ce-type": "asked", "ce-source": "/s", "ce-id": "1"}
    is_patient = patience_s > 3.5
    async with (
        knlocal(SUBSCRIBER=theirs.subscriber, DLS=theirs.sink, TYPE="asked", **settings) as ingress,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(patience_s)) as client,
    ):
        try:
            async with client.post(ingress, headers=headers | {"ce-answer": "503"}) as response:
                assert (response.status, is_patient) == (202, True)
        except TimeoutError:
            assert not is_patient
        await asyncio.sleep(5)  # longer than all that would still come
    assert (len(theirs.attempts["503"]) == 4, "503" in theirs.dead) == (is_patient, is_patient)


async def test_a_long_failing_answer_ends_knatives_dispatcher(knlocal: Run, theirs: Peer) -> None:
    """Why MAX_ERROR_BODY_BYTES is there. When this fails, Knative has mended it and the bound may go."""
    headers = {
        "ce-specversion": "1.0",
        "ce-type": "asked",
        "ce-source": "/s",
        "ce-id": "1",
        "ce-answer": "400-long",
    }
    async with (
        knlocal(SUBSCRIBER=theirs.subscriber, DLS=theirs.sink, TYPE="asked") as ingress,
        aiohttp.ClientSession() as client,
    ):
        ended = False
        for _ in range(100):
            try:
                async with client.post(ingress, headers=headers):
                    await asyncio.sleep(0.05)
            except aiohttp.ClientError:
                ended = True
                break
    assert ended
    assert theirs.dead == {}
