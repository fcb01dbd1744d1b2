"""The HTTP client for events: POST over kept connections, nothing else.

It parses with httptools and leaves out what a delivery does not need (redirects, cookies, proxies, content
codings), because this is where a delivery's time goes: with a general client (aiohttp) one delivery cost the
broker about 165 us of CPU, with this about 50.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, cast

import httptools
from multidict import CIMultiDict
from yarl import URL

from eventing.codec import BadEvent, decode, encode_binary, encode_structured
from eventing.delivery import Verdict, verdict
from eventing.event import Event

MAX_ANSWER_BYTES = 5 << 20
MAX_HEADER_BYTES = 64 << 10
# A machine that is gone, or a network, is noticed within half a minute, however long an answer may take: what
# is silent is probed, and what was sent has to be acknowledged (TCP_USER_TIMEOUT, in ms). By name, as not all
# systems have all of them.
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Status None: nothing did, and `error` says why. A body that is too long is cut."""

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""
    is_cut: bool = False

    def reply(self) -> Event | None:
        """The event in the answer, if it is one and whole; a batch is none."""
        if self.is_cut:
            return None
        try:
            [event] = decode(self.headers.items(), self.body, max_events=0)
        except BadEvent:
            return None
        return event

    def verdict(self) -> Verdict:
        """What the delivery table says about this answer."""
        return verdict(self.status, self.body, is_event=bool(self.body) and self.reply() is not None)


class _Target(NamedTuple):
    host: str
    port: int
    tls: bool
    start: str  # of a request: its first line and Host


@lru_cache(maxsize=1024)
def _target(url: str) -> _Target:
    """Raises ValueError."""
    parsed = URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.raw_host or not parsed.port:
        raise ValueError(f"{url} is not an http or https URL")
    netloc = parsed.raw_authority.rpartition("@")[2]
    start = f"POST {parsed.raw_path_qs or '/'} HTTP/1.1\r\nhost: {netloc}\r\n"
    return _Target(parsed.raw_host, parsed.port, parsed.scheme == "https", start)


class Client:
    """Keeps its connections: as many as there are requests at a time, which is for the caller to bound."""

    def __init__(
        self, max_answer_bytes: int = MAX_ANSWER_BYTES, *, tls: ssl.SSLContext | None = None
    ) -> None:
        """`tls`: what is trusted beyond the system's authorities."""
        self._tls = tls
        self._max_answer_bytes = max_answer_bytes
        self._idle: dict[tuple[str, int, bool], list[_Connection]] = {}

    async def post(
        self,
        url: str,
        event: Event,
        *,
        timeout_ms: int,
        headers: Mapping[str, str],
        structured: bool = False,
    ) -> Answer:
        """One attempt, in binary or structured mode. Network trouble and timeouts are answers, not raised."""
        try:
            event_headers, body = encode_structured(event) if structured else encode_binary(event)
        except BadEvent as error:  # of specversion 0.3, not all data has a structured form
            return Answer(None, error=f"{type(error).__name__}: {error}")
        return await self.exchange(url, {**event_headers, **headers}, body, timeout_ms=timeout_ms)

    async def exchange(self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_ms: int) -> Answer:
        """The same with a message that is encoded already."""
        try:
            target = _target(url)
            request = _request(target, headers, body)
            return await self._exchange(
                target, request, asyncio.get_running_loop().time() + timeout_ms / 1000
            )
        except TimeoutError:
            return Answer(None, error=f"no answer within {timeout_ms} ms")
        except (OSError, ValueError) as error:
            return Answer(None, error=f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Close what is idle."""
        for connections in self._idle.values():
            for connection in list(connections):
                connection.close()
        await asyncio.sleep(0)

    async def _exchange(self, target: _Target, request: bytes, deadline_s: float) -> Answer:
        """Raises TimeoutError at the deadline, a time of the event loop; OSError."""
        idle = self._idle.setdefault(target[:3], [])
        while idle:
            connection = idle.pop()
            if connection.is_closing():
                continue
            answer = await connection.exchange(request, deadline_s)
            if answer is not None:
                return answer
            # The subscriber closed it just as the request came, and may have seen the request: so may it with
            # any that is delivered again. But not with one after the other: it may be what ended it.
            break
        async with asyncio.timeout_at(deadline_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(idle, self._max_answer_bytes),
                target.host,
                target.port,
                ssl=(self._tls or True) if target.tls else None,
            )
        answer = await connection.exchange(request, deadline_s)
        return answer or Answer(None, error="the connection was closed without an answer")


def _request(target: _Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    head = f"{target.start}{''.join(lines)}content-length: {len(body)}\r\n\r\n"
    if head.count("\n") != len(lines) + 4 or head.count("\r") != len(lines) + 4:
        raise ValueError("a header of the event has a line break in it")
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """One request at a time; back in `idle` when its answer is whole and the connection may be used again."""

    def __init__(self, idle: "list[_Connection]", max_answer_bytes: int) -> None:
        self._idle, self._max_answer_bytes = idle, max_answer_bytes
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer | None] | None = None
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._received = 0  # bytes of the answer, whatever they are
        self._begun = self._in_body = False

    async def exchange(self, request: bytes, deadline_s: float) -> Answer | None:
        """The answer, or None when the connection ended before any of it came. Raises TimeoutError."""
        if self.is_closing():  # as a new one may be at once: nothing would tell of it again
            return None
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._begun = self._in_body = False
        self._received = 0
        self._transport.write(request)
        timer = loop.call_at(deadline_s, self._time_out)  # a fifth of what asyncio.timeout costs
        try:
            return await self._answer
        except asyncio.CancelledError:  # the broker stops: an answer that comes now is nobody's
            self._transport.abort()
            raise
        finally:
            timer.cancel()

    def _time_out(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(TimeoutError())
            self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    # -- asyncio.Protocol ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self._transport.abort()  # nobody asked
            return
        self._begun = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._finish(Answer(None, error=f"the answer is not HTTP: {error}"), keep=False)
        self._received += len(data)
        if self._received > 2 * self._max_answer_bytes + MAX_HEADER_BYTES:  # a header without end
            self._finish(Answer(None, error="the answer is too long"), keep=False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._idle:
            self._idle.remove(self)
        if self._answer is not None and not self._answer.done():
            if self._in_body and not self._has_length():
                self._finish(self._made(), keep=False)
            elif self._begun:
                self._finish(Answer(None, error="the connection broke off within the answer"), keep=False)
            else:
                self._answer.set_result(None)

    # -- httptools -------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._headers, self._body, self._size = [], [], 0
        self._in_body = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))
        self._size += len(name) + len(value)
        if self._size > MAX_HEADER_BYTES:
            self._finish(Answer(None, error="the answer's headers are too large"), keep=False)

    def on_headers_complete(self) -> None:
        self._size = 0
        self._in_body = self._is_final()

    def on_body(self, data: bytes) -> None:
        self._body.append(data)
        self._size += len(data)
        if self._size > self._max_answer_bytes:
            self._finish(self._made(), keep=False)

    def on_message_complete(self) -> None:
        if self._is_final():
            self._finish(self._made(), keep=self._parser.should_keep_alive())

    def _has_length(self) -> bool:
        """Whether the head tells where the body ends; else the end of the connection does."""
        return any(name.lower() in ("content-length", "transfer-encoding") for name, _ in self._headers)

    def _is_final(self) -> bool:
        """Whether this is the answer; below 200 (100 Continue, 103 Early Hints) it is still to come."""
        status: int = self._parser.get_status_code()
        return status >= 200 or status == 101

    def _made(self) -> Answer:
        body, most = b"".join(self._body), self._max_answer_bytes
        status, headers = self._parser.get_status_code(), CIMultiDict(self._headers)
        self._headers, self._body = [], []  # an idle connection holds nothing
        return Answer(status, headers, body[:most], is_cut=len(body) > most)

    def _finish(self, answer: Answer, *, keep: bool) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)
            if keep:
                self._idle.append(self)
            else:
                self._transport.abort()
