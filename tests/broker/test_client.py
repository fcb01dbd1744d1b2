"""The delivery client against servers that speak HTTP in every way, and badly."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from eventing.client import Answer, Client
from eventing.delivery import Verdict
from eventing.event import Event

EVENT = Event(
    {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "datacontenttype": "text/plain"}, b"data"
)
OK = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


class Server:
    """Answers the n-th request, over all connections, with bytes; None closes the connection."""

    def __init__(self, *answers: bytes | None, close_after: bool = False) -> None:
        self.answers, self.close_after = list(answers), close_after
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if self.close_after:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Client]:
    client = Client(max_answer_bytes=1_000)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/in?a=b"
        yield client
        await client.close()


async def post(client: Client, url: str, event: Event = EVENT, timeout_ms: int = 5_000) -> Answer:
    return await client.post(url, event, timeout_ms=timeout_ms, headers={"Prefer": "reply"})


async def test_a_request_as_it_goes_over_the_wire() -> None:
    server = Server(OK, OK)
    async with serving(server) as client:
        assert (await post(client, server.url)).status == 202
        assert (await post(client, server.url)).status == 202

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /in?a=b HTTP/1.1"
    assert set(lines[1:]) == {
        f"host: {server.url.split('/')[2]}",
        "ce-specversion: 1.0",
        "ce-id: 1",
        "ce-source: /s",
        "ce-type: t",
        "content-type: text/plain",
        "Prefer: reply",
        "content-length: 4",
    }
    assert body == b"data"
    assert server.connections == 1, "the connection is kept"


async def test_connections_notice_that_the_other_machine_is_gone() -> None:
    """Tried by hand: an answer that may take 200 s is given up 30 s after the link was cut."""
    server = Server(OK)
    async with serving(server) as client:
        await post(client, server.url)
        [[connection]] = client._idle.values()
        peer = connection._transport.get_extra_info("socket")
        assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


@pytest.mark.parametrize(
    ("raw", "close_after", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", False, 200, b"hi"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
            False,
            200,
            b"hi",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, False, 202, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, 204, b""),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", True, 200, b"to the end"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", True, 200, b"hi"),
        (b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", False, 307, b""),
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000, False, 500, b"x" * 1000),
        (b"HTTP/1.1 103 Early Hints\r\nconnection: close\r\n\r\n", True, None, b""),
        (b"HTTP/1.1 101 Switching Protocols\r\nconnection: close\r\n\r\n", True, 101, b""),
        (b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", False, 101, b""),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False, None, b""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", True, None, b""),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n", False, None, b""),
    ],
)
async def test_answers(raw: bytes, close_after: bool, status: int | None, body: bytes) -> None:
    server = Server(raw, OK, close_after=close_after)
    async with serving(server) as client:
        answer = await post(client, server.url)
        assert (answer.status, answer.body) == (status, body)
        assert bool(answer.error) == (status is None)
        assert (await post(client, server.url)).status == 202, "the next one is not harmed"


async def test_an_idle_connection_that_was_closed_is_replaced() -> None:
    server = Server(OK, None, OK)
    async with serving(server) as client:
        assert (await post(client, server.url)).status == 202
        assert (await post(client, server.url)).status == 202
    assert server.connections == 2


async def test_an_event_that_ends_its_connections_is_not_sent_on_each_of_them() -> None:
    """They may be of processes that it ends."""
    server = Server(*[OK] * 8, *[None] * 8)
    async with serving(server) as client:
        await asyncio.gather(*(post(client, server.url) for _ in range(8)))
        assert (await post(client, server.url)).status is None
    assert len(server.requests) == 8 + 2, "on one that was kept, which may have been closed, and on a new one"


async def test_an_idle_connection_holds_no_answer() -> None:
    server = Server(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n" + b"x" * 900)
    async with serving(server) as client:
        assert len((await post(client, server.url)).body) == 900
        [[idle]] = client._idle.values()
        assert (idle._body, idle._headers) == ([], [])


async def test_a_new_connection_that_is_closed_is_no_answer() -> None:
    server = Server(None)
    async with serving(server) as client:
        answer = await post(client, server.url)
    assert (answer.status, answer.error) == (None, "the connection was closed without an answer")


async def test_no_answer_in_time_and_a_late_one_is_nobodys() -> None:
    server = Server(b"", OK)
    async with serving(server) as client:
        answer = await post(client, server.url, timeout_ms=50)
        assert (answer.status, answer.error) == (None, "no answer within 50 ms")
        assert (await post(client, server.url)).status == 202
    assert server.connections == 2


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "ftp://127.0.0.1/", "nonsense", "http://nobody.invalid/"]
)
async def test_nobody_there(url: str) -> None:
    answer = await post(Client(), url)
    assert answer.status is None
    assert answer.error


async def test_a_line_break_cannot_smuggle_a_header() -> None:
    server = Server(OK)
    async with serving(server) as client:
        event = EVENT.with_attributes(datacontenttype="text/plain\r\nx-evil: 1")
        answer = await post(client, server.url, event)
    assert answer.status is None
    assert server.requests == []


async def test_the_reply_in_an_answer_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nce-specversion: 1.0\r\nce-id: r\r\nce-source: /r\r\nCE-Type: x\r\n"
    raw = head + b"content-length: 0\r\n\r\n"
    server = Server(raw)
    async with serving(server) as client:
        reply = (await post(client, server.url)).reply()
    assert reply is not None
    assert (reply.id, reply.type) == ("r", "x")


async def test_a_reply_that_is_too_long_is_no_event() -> None:
    head = b"HTTP/1.1 200 OK\r\nce-specversion: 1.0\r\nce-id: r\r\nce-source: /r\r\nce-type: x\r\n"
    raw = head + b"content-length: 1001\r\n\r\n" + b"x" * 1001
    async with serving(server := Server(raw)) as client:
        answer = await post(client, server.url)
    assert (answer.status, answer.is_cut, answer.reply()) == (200, True, None)
    assert answer.verdict() is Verdict.RETRY
