"""uvicorn's HTTP protocol with the bounds that it leaves open.

| what                                       | bound                                              | answer   |
|--------------------------------------------|----------------------------------------------------|----------|
| request line and headers                   | MAX_HEAD_BYTES, MAX_HEADERS                        | 431      |
| what frames a body: chunk sizes, trailers  | MAX_FRAMING_BYTES                                  | 431      |
| a request that does not become whole       | REQUEST_TIMEOUT_S, at most twice that              | 408      |
| a connection on which no request begins    | REQUEST_TIMEOUT_S, at most twice that              | none     |
| an answer that nobody reads                | the same                                           | none     |
| connections                                | `limit_concurrency`; SPARE_CONNECTIONS beyond that | 503      |
| CONNECT                                    | none is made                                       | 501      |
| Host, where only this machine is served    | an address, localhost, or one of `allowed_hosts`   | 403      |

Trailers are left out: they are no headers (RFC 9110, 6.5.1). An Upgrade is passed over (7.8): as the parser
has it, such a request has no body, and an event would be taken without its data.
"""

import asyncio
import http
from typing import Final, NamedTuple

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from eventing.hosts import is_host_allowed, is_loopback

MAX_HEAD_BYTES: Final = 128 * 1024  # twice what the attributes of an event may take
MAX_HEADERS: Final = 1_000
MAX_FRAMING_BYTES: Final = 1024 * 1024  # five bytes for each chunk of one byte
REQUEST_TIMEOUT_S: Final = 20.0
SPARE_CONNECTIONS: Final = 64

_UPGRADE = (b"upgrade", b"http2-settings", b"connection")


class Refusal(NamedTuple):
    """An answer after which the connection is closed."""

    status: int
    detail: str

    def encode(self) -> bytes:
        phrase, body = http.HTTPStatus(self.status).phrase, encode_problem(self.status, self.detail)
        return (
            b"HTTP/1.1 %d %b\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
            b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
            b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n%b"
        ) % (self.status, phrase.encode(), len(body), body)


def encode_problem(status: int, detail: str) -> bytes:
    """A problem detail (RFC 9457), as JSON."""
    return msgspec.json.encode({"title": http.HTTPStatus(status).phrase, "status": status, "detail": detail})


NOT_HTTP = Refusal(400, "this is not HTTP/1.1 as it must be written")
NO_PROXY = Refusal(501, "this is no proxy: call it by its own address")
TOO_LARGE = Refusal(
    431, f"send a request line and headers of at most {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} headers"
)
TOO_SLOW = Refusal(408, "the request did not become whole in time: send it faster, or in smaller parts")
FOREIGN_HOST = Refusal(
    403, "this server is for its own machine only: call it by its address or localhost, or allow the name"
)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A subclass may set `allowed_hosts` and `request_timeout_s`."""

    allowed_hosts: frozenset[str] = frozenset()
    request_timeout_s = REQUEST_TIMEOUT_S

    # The request that is being received, known by its headers; None: there is none.
    _request: list[tuple[bytes, bytes]] | None = None
    _in_head = _is_upgrade = False
    _is_whole_chunk = True  # all that has just come belongs to one request
    _body_bytes = _other_bytes = 0
    _refusal = NOT_HTTP
    _seen: object = None
    _seen_unsent_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._is_local = is_loopback(self.config.host)
        if self.limit_concurrency and len(self.connections) > self.limit_concurrency + SPARE_CONNECTIONS:
            transport.abort()  # beyond what is answered with 503
            return
        self._timer = self.loop.call_later(self.request_timeout_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """End what has not moved since the last look. One timer a connection: none is set for a request."""
        unsent_bytes = self.transport.get_write_buffer_size()
        if unsent_bytes and unsent_bytes == self._seen_unsent_bytes:
            self.transport.abort()
        elif self._request is not None:
            # Where reading is paused, it is the application that is slow, with this request or one before.
            if self._request is self._seen and not self.flow.read_paused:
                self._refuse(TOO_SLOW)
        elif self._is_answered and self.timeout_keep_alive_task is None and self._seen is self.cycle:
            self.transport.close()  # not even a first byte, or blank lines where a request should begin
        if not self.transport.is_closing():
            self._seen = self.cycle if self._request is None else self._request
            self._seen_unsent_bytes = unsent_bytes
            self._timer = self.loop.call_later(self.request_timeout_s, self._look)

    @property
    def _is_answered(self) -> bool:
        """Nothing that began is without its answer."""
        return self.cycle is None or self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        body_bytes = self._body_bytes
        self._is_whole_chunk = True
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._pass_over_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._refuse(self._refusal)
            return
        if self._request is not None and self._is_whole_chunk:
            self._other_bytes += len(data) - (self._body_bytes - body_bytes)
            if self._other_bytes > (MAX_HEAD_BYTES if self._in_head else MAX_FRAMING_BYTES):
                self._refuse(TOO_LARGE)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer where nothing else was or will be the answer, and close."""
        if self.transport.is_closing():
            return
        is_before = self._in_head or self._request is None
        if self._is_answered if is_before else not self.cycle.response_started:
            self.transport.write(refusal.encode())
        self.transport.close()

    def _pass_over_upgrade(self, rest: bytes) -> None:
        """Parse the request again as if it had not asked for another protocol."""
        self._is_upgrade = False
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] not in _UPGRADE]
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%b %b HTTP/%b\r\n%b\r\n%b" % (method, self.url, version, b"".join(lines), rest))

    # The parser's callbacks; an exception in one of them ends the connection with `_refusal`

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._request = self.headers
        self._in_head = True
        self._body_bytes = self._other_bytes = 0

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":  # it always asks for an upgrade, and is for proxies
            self._refuse_within(NO_PROXY)
        if self.parser.should_upgrade():
            self._is_upgrade = True
            return
        if len(self.headers) > MAX_HEADERS:
            self._refuse_within(TOO_LARGE)
        if self._is_local:
            self._check_host()
        self._in_head = False
        self.begin()
        self.headers = []  # what comes from now on are trailers

    def begin(self) -> None:
        """The head is there and may pass: the application is called."""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_upgrade:
            self._request = None
            self._is_whole_chunk = False
            super().on_message_complete()

    def _check_host(self) -> None:
        """A request without a Host comes from no browser."""
        for name, value in self.headers:
            if name == b"host" and not is_host_allowed(value.decode("latin-1"), self.allowed_hosts):
                self._refuse_within(FOREIGN_HOST)

    def _refuse_within(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise ValueError(refusal.detail)
