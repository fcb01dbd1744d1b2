"""Reads request bodies within bounds: of one body, and of all bodies in hand together."""

from collections.abc import Iterable
from typing import Final

from starlette.types import Receive

from eventing.codec import BadEvent

_MIN_HELD_BYTES: Final = 64 * 1024 * 1024


class Overloaded(Exception):
    """The bodies in hand fill the memory that is set aside for them."""


class Disconnected(Exception):
    """The sender went away before its body was complete."""


class Body:
    """One body; while it is open its bytes count as held: `with intake.open() as body`."""

    __slots__ = ("_intake", "data", "held_bytes")

    def __init__(self, intake: "Intake") -> None:
        self._intake = intake
        self.data = b""
        self.held_bytes = 0

    def __enter__(self) -> "Body":
        return self

    def __exit__(self, *_: object) -> None:
        self._intake.held_bytes -= self.held_bytes

    async def read(self, headers: Iterable[tuple[str, str]], receive: Receive) -> bytes:
        """The body, read as it arrives. Raises BadEvent (413, 415), Overloaded or Disconnected."""
        intake = self._intake
        _check_headers(headers, intake.max_body_bytes)
        chunks = []
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            self.held_bytes += len(chunk)
            intake.held_bytes += len(chunk)
            chunks.append(chunk)
            if self.held_bytes > intake.max_body_bytes:
                raise _too_large(intake.max_body_bytes)
            if intake.held_bytes > intake.max_held_bytes:
                raise Overloaded
        self.data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return self.data


class Intake:
    """All the bodies that a function has in hand."""

    def __init__(self, max_body_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self.max_held_bytes = max(_MIN_HELD_BYTES, 4 * max_body_bytes)
        self.held_bytes = 0

    def open(self) -> Body:
        return Body(self)


def _check_headers(headers: Iterable[tuple[str, str]], max_body_bytes: int) -> None:
    """Refuse what the headers alone show to be wrong, before a byte of the body is asked for."""
    for name, value in headers:
        if name == "content-length" and value.isdigit() and int(value) > max_body_bytes:
            raise _too_large(max_body_bytes)
        if name == "content-encoding" and value.lower() != "identity":
            raise BadEvent(f"content-encoding {value[:40]!r} is not read here: send the body as it is", 415)


def _too_large(max_body_bytes: int) -> BadEvent:
    return BadEvent(f"the body has more than {max_body_bytes} bytes: send smaller events", 413)
