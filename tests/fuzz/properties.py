"""What must hold of the codec for any message."""

from contextlib import suppress

from eventing.codec import BadEvent, decode, encode_binary, encode_structured
from eventing.event import Event
from tests.fuzz.inputs import Message
from trades.codec import BadTrade, decode_event


def check_codec(message: Message) -> str:
    """`taken` or `refused`; what else is raised is a defect, as is an event that is not the same again."""
    headers = [(name.decode("latin-1"), value.decode("latin-1").strip()) for name, value in message.headers]
    events, refusal = _decode(headers, message.body)
    if refusal is not None:
        assert refusal.status in (400, 413, 415), refusal.status
        assert str(refusal)
        return "refused"
    for event in events:
        sent_headers, body = encode_binary(event)
        assert all(value.isascii() and value.isprintable() for value in sent_headers.values())
        assert decode(sent_headers.items(), body) == [event]
        with suppress(BadEvent):  # 0.3 can't carry all data in JSON
            structured_headers, structured_body = encode_structured(event)
            assert decode(structured_headers.items(), structured_body) == [event]
        with suppress(BadTrade):
            decode_event(event.type, event.source, event.id, event.data or b"")
    return "taken"


def _decode(headers: list[tuple[str, str]], body: bytes) -> tuple[list[Event], BadEvent | None]:
    try:
        return decode(headers, body), None
    except BadEvent as error:
        return [], error
