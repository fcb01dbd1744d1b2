"""The little HTTP that the broker needs on top of ASGI: bounded bodies, answers, problems (RFC 9457)."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from eventing.bounded_http import encode_problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# No answer here is a page: it may load nothing, be framed by nobody, and not be read as of another type.
PROTECTIVE: Headers = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
]
MAX_SHOWN = 40  # characters of what came, in an answer about it

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_OWN_SITE = ("none", "same-origin")


class Problem(Exception):
    """An answer that says what is wrong and what to do next."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    def response(self) -> "Response":
        body = encode_problem(self.status, self.detail) + b"\n"
        return Response(self.status, body, "application/problem+json", self.headers)


class Disconnected(Exception):
    """The client went away before its request was whole."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] | None = None

    async def send(self, send: Send) -> None:
        headers: Headers = [(b"content-length", str(len(self.body)).encode()), *PROTECTIVE]
        if self.content_type:
            headers.append((b"content-type", self.content_type.encode()))
        headers += [(name.encode(), value.encode()) for name, value in (self.headers or {}).items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def json_response(value: object, status: int = 200) -> Response:
    return Response(status, msgspec.json.encode(value) + b"\n", "application/json")


class Room:
    """How many bytes of bodies may be in memory while they are read, over all requests."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes

    def take(self, size: int) -> None:
        """Raises Problem (503) when there is no room."""
        if size > self._left:
            raise Problem(503, "too many large requests at a time: send again", {"retry-after": "1"})
        self._left -= size

    def give(self, size: int) -> None:
        self._left += size


async def read_body(scope: Scope, receive: Receive, max_bytes: int, room: Room) -> bytes:
    """The request's body. Raises Problem (413, 415, 503) as soon as it can't be taken, and Disconnected."""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > max_bytes:
            raise _too_large(max_bytes)
        if name == b"content-encoding" and value.lower() != b"identity":
            raise Problem(415, "a content-encoding is not read here: send the body as it is")
    chunks, size = list[bytes](), 0
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            body: bytes = message.get("body", b"")
            if size + len(body) > max_bytes:
                raise _too_large(max_bytes)
            room.take(len(body))
            size += len(body)
            chunks.append(body)
            if not message.get("more_body"):
                return body if len(chunks) == 1 else b"".join(chunks)
    finally:
        room.give(size)


def _too_large(max_bytes: int) -> Problem:
    detail = (
        f"the body is larger than {max_bytes} bytes: send less, or start the broker with a larger --max-body"
    )
    return Problem(413, detail, {"connection": "close"})


class Request:
    """The parts of a request that answers to people depend on."""

    def __init__(self, scope: Scope, body: bytes) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self.query = {
            name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()
        }
        self._body = body

    def number(self, name: str, default: int, most: int = 1 << 62) -> int:
        """A whole number of the query. Raises Problem."""
        text = self.query.get(name, str(default))
        if not text.isdecimal() or len(text) > 18:
            raise Problem(400, f"{name} must be a whole number, not {text[:MAX_SHOWN]!r}")
        return min(int(text), most)

    def json(self) -> dict[str, Any]:
        """The body. Raises Problem."""
        try:
            value = msgspec.json.decode(self._body or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Problem(400, f"the body is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise Problem(400, "the body must be a JSON object")
        return value

    def check_origin(self, allowed_hosts: frozenset[str]) -> None:
        """Refuse what another site makes a browser send. Raises Problem."""
        host = self.headers.get("host", "")
        if _host_name(host) not in allowed_hosts | _LOOPBACK:
            raise Problem(403, "this Host is not allowed here: use 127.0.0.1, or start with --allow-host")
        if self.headers.get("sec-fetch-site", "none") not in _OWN_SITE:
            raise Problem(403, "a page of another site may not ask anything here")
        if self.method in ("GET", "HEAD"):
            return
        origin = self.headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            raise Problem(403, "a page of another site may not change anything here")
        if (
            self.method == "POST"
            and self.headers.get("content-type", "").partition(";")[0] != "application/json"
        ):
            raise Problem(415, "send content-type: application/json")


def _host_name(host: str) -> str | None:
    """The name in a Host header, without the port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
