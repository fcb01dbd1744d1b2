"""Requests to the query that are nearly right: each of its operations, with odd values in path and query."""

from random import Random
from typing import Final
from urllib.parse import quote

from functions.query.app import OPERATIONS
from tests.fuzz.inputs import NUMBERS, TEXTS, TIMES, TYPES, Case

HEADERS: Final = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range", b"accept", b"origin")
VALUES: Final = ("ASPS", "1.5", "10", "0", "asc", "desc", "price", "0" * 32, "trade.executed.v1", "a" * 64)
_EVENT = b'{"specversion":"1.0","id":"1","source":"/f","type":"trade.executed.v1","data":{}}'


def make_read(random: Random) -> Case:
    """One request, in one piece."""
    operation = random.choice(OPERATIONS)
    path = "/".join(
        _odd(random) if part.startswith("{") else part for part in operation.path.removeprefix("/").split("/")
    )
    names = [*operation.query.__struct_fields__, *(["x"] if random.random() < 0.05 else [])]
    pairs = [f"{random.choice(names)}={_odd(random)}" for _ in range(random.randrange(4)) if names]
    method = operation.method if random.random() < 0.9 else random.choice(("POST", "HEAD", "PUT", "OPTIONS"))
    body = random.choice((_EVENT, b"{}", b"", b"{", b"\xff")) if method in ("POST", "PUT") else b""
    lines = [f"{method} /{path}?{'&'.join(pairs)} HTTP/1.1".encode("latin-1"), b"host: localhost"]
    lines.append(b"content-length: %d" % len(body))
    lines.append(b"content-type: " + random.choice(TYPES).encode())
    if random.random() < 0.3:
        lines.append(random.choice(HEADERS) + b": " + _odd(random).encode("latin-1"))
    return Case((b"\r\n".join(lines) + b"\r\n\r\n" + body,), whole=True)


def _odd(random: Random) -> str:
    """A value as it may stand in a URL, most percent-encoded; some cut in the middle of an escape."""
    text = random.choice(random.choice((VALUES, VALUES, TEXTS, TIMES, NUMBERS)))[:3_000]
    encoded = quote(text.encode("utf-8", "surrogatepass"), safe=random.choice(("", "/", "%")))
    if random.random() < 0.1:
        encoded = encoded[: random.randrange(len(encoded) + 1)] + random.choice(
            ("%", "%f", "%00", "%FF", "+", "&")
        )
    return encoded
