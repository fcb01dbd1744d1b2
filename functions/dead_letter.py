"""Keeps what the other functions refused, or never managed to do, with the reason."""

import base64
import binascii
import time
from collections.abc import Callable
from hashlib import blake2b

import msgspec

from eventing.event import Event
from eventing.tracing import Tracer
from functions.answer import OUTCOMES, Answer
from functions.group import group_of
from runtime.settings import FunctionSettings
from trades.store import DeadLetter, TradeStore

# Extensions that a broker puts on an event it gives up (knative.dev/eventing, pkg/broker/attributes).
DESTINATION = "knativeerrordest"
STATUS = "knativeerrorcode"
DATA = "knativeerrordata"

_members = msgspec.json.Decoder(dict[str, object])


class DeadLetterHandler:
    """Takes any event, whatever its data, and stores it as it came."""

    def __init__(
        self,
        store: TradeStore,
        settings: FunctionSettings,
        tracer: Tracer | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._group = group_of("dead_letter", store.add_dead_letters, settings, tracer=tracer)

    async def __call__(self, event: Event) -> Answer:
        letter = to_dead_letter(event, int(self._clock() * 1000))
        return OUTCOMES[await self._group.submit(letter)]

    def close(self) -> None:
        self._group.close()


def to_dead_letter(event: Event, received_ms: int) -> DeadLetter:
    """The event without the broker's error attributes, which become members of the dead letter."""
    attributes = dict(event.attributes)
    destination = attributes.pop(DESTINATION, "")
    status = attributes.pop(STATUS, "")
    reason = decode_reason(attributes.pop(DATA, ""))
    return DeadLetter(
        key=_key(event.source.encode(), event.id.encode(), destination.encode(), event.data or b""),
        received_ms=received_ms,
        attributes=attributes,
        data=event.data or b"",
        destination=destination,
        status=status,
        reason=reason,
        replayed_ms=0,
    )


def decode_reason(error_data: str) -> str:
    """What the subscriber said. Brokers send it in base64, cut at 1,024 characters; some as plain text.

    Of a problem detail (RFC 9457) only the detail is kept.
    """
    text = _from_base64(error_data) or error_data
    try:
        detail = _members.decode(text).get("detail")
    except (msgspec.DecodeError, RecursionError):
        return text
    return detail if isinstance(detail, str) and detail else text


def _from_base64(text: str) -> str | None:
    """The text in it, or None where it is not the base64 of text."""
    try:
        data = base64.b64decode(text[: len(text) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        decoded = data.decode()
    except UnicodeDecodeError as error:
        if error.end != len(data) or error.reason != "unexpected end of data":
            return None
        decoded = data[: error.start].decode()  # cut within a character
    printable = all(character.isprintable() or character.isspace() for character in decoded)
    return decoded if printable else None


def _key(*parts: bytes) -> str:
    """Hex digits from the parts; the lengths keep ("a", "bc") and ("ab", "c") apart.

    The data is one of them: a conflicting event has the id of another, and is all there is of its trades.
    """
    return blake2b(b"".join(b"%d:%b" % (len(part), part) for part in parts), digest_size=16).hexdigest()
