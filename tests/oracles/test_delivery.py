"""What becomes of an event after each answer of its subscriber: our table beside Knative's own code."""

import asyncio
import base64
import json
import socket
import struct
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from eventing.delivery import Verdict, delay_ms, error_attributes, parse_delivery, verdict

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(1500)]

NO_ANSWER = ("close", "reset", "hang")
REPLIES = ("200 text", "202 text", "200 event", "200 half an event")
STATUSES = [str(status) for status in range(100, 600)]


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
    status, _, kind = answer.partition(" ")
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
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    await peer.start()
    yield peer
    peer.close()


async def deliver(knlocal: Any, peer: Peer, answers: list[str], **settings: str) -> None:
    async with (
        knlocal(SUBSCRIBER=peer.subscriber, DLS=peer.sink, TYPE="asked", **settings) as ingress,
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
    status, _, kind = answer.partition(" ")
    if answer in NO_ANSWER or (status.startswith("1") and status != "101"):
        return verdict(None, b"", is_event=False)
    return verdict(int(status), kind.encode(), is_event=kind == "event")


def seen(peer: Peer, answer: str, retry: int) -> Verdict:
    outcome = (len(peer.attempts[answer]), answer in peer.dead)
    return {(1, False): Verdict.DONE, (1, True): Verdict.DEAD_LETTER, (retry + 1, True): Verdict.RETRY}[
        outcome
    ]


async def test_verdicts_agree_with_knative(knlocal: Any, peer: Peer) -> None:
    answers = [*NO_ANSWER, *REPLIES, *STATUSES]
    await deliver(knlocal, peer, answers, RETRY="2", BACKOFF="PT0S", TIMEOUT="PT1S")
    assert {answer: seen(peer, answer, retry=2) for answer in answers} == {
        answer: expected(answer) for answer in answers
    }
    for answer, headers in peer.dead.items():
        check_dead_letter(peer, answer, headers)


def check_dead_letter(peer: Peer, answer: str, headers: dict[str, str]) -> None:
    status = answer.partition(" ")[0]
    if answer in NO_ANSWER or (status.startswith("1") and status != "101"):
        assert headers["ce-knativeerrorcode"] == error_attributes("", None, b"")["knativeerrorcode"]
        return
    ours = error_attributes(peer.subscriber, int(status), f"because {status}".encode())
    assert headers["ce-knativeerrorcode"] == ours["knativeerrorcode"]
    if status in ("101", "304") or status.startswith("2"):
        return  # no body
    # On a cluster the filter's own report is unpacked into the attributes; here it has another address.
    report = json.loads(base64.b64decode(headers["ce-knativeerrordata"]))
    assert report == {
        "errdestination": ours["knativeerrordest"],
        "errresponsebody": ours["knativeerrordata"],
    }


@pytest.mark.parametrize("policy", ["linear", "exponential"])
@pytest.mark.parametrize("retry", [0, 1, 4])
async def test_retries_and_back_off_agree_with_knative(
    knlocal: Any, peer: Peer, retry: int, policy: str
) -> None:
    await deliver(knlocal, peer, ["503"], RETRY=str(retry), BACKOFF="PT0.1S", POLICY=policy)
    times = peer.attempts["503"]
    assert len(times) == retry + 1
    delivery = parse_delivery({"retry": retry, "backoffPolicy": policy, "backoffDelay": "PT0.1S"})
    for attempt, (before, after) in enumerate(pairwise(times)):
        assert (after - before) * 1000 >= delay_ms(delivery, attempt) - 1


async def test_a_long_failing_answer_ends_knatives_dispatcher(knlocal: Any, peer: Peer) -> None:
    """Why MAX_ERROR_BODY_BYTES is there. When this fails, Knative has mended it and the bound may go."""
    headers = {
        "ce-specversion": "1.0",
        "ce-type": "asked",
        "ce-source": "/s",
        "ce-id": "1",
        "ce-answer": "400 long",
    }
    async with (
        knlocal(SUBSCRIBER=peer.subscriber, DLS=peer.sink, TYPE="asked") as ingress,
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
    assert peer.dead == {}
