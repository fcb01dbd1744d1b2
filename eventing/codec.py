"""CloudEvents over HTTP without I/O (HTTP Protocol Binding 1.0.2): binary, structured and batched mode."""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from eventing import attributes as rules
from eventing import structured
from eventing.event import BadEvent, Event

__all__ = ["BadEvent", "decode", "encode_batch", "encode_binary", "encode_structured"]

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ENCODED = re.compile(r'[^\x21-\x7e]|["%]')
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


def decode(
    headers: Iterable[tuple[str, str]], body: bytes, *, max_events: int = 1000, check_json_data: bool = False
) -> list[Event]:
    """The events of an HTTP request or answer: one, or 1 to `max_events` in a batch (0: no batches).

    Header names may be in any case. Values are the text a server hands over, read as latin-1 (ASGI, WSGI) or
    as UTF-8 (aiohttp). In binary mode the body becomes `data` as it is, neither copied nor read; with
    `check_json_data`, data whose type says JSON and does not parse is refused.

    Raises BadEvent: 400, 413 (too many events, attributes too large), 415 (a format other than JSON).
    """
    content_type: str | None = None
    context: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower.startswith("ce-"):
            if lower in context:
                raise BadEvent(f"header {lower[:40]!r} is there twice: send it once")
            context[lower] = value
        elif lower == "content-type":
            if content_type is not None:
                raise BadEvent("header content-type is there twice: send it once")
            content_type = value
    if content_type is not None and content_type.lower().startswith("application/cloudevents"):
        events = _decode_json(content_type, body, max_events)
    else:
        events = [_decode_binary(content_type, context, body)]
    if check_json_data:
        for event in events:
            _check_json(event)
    return events


def encode_binary(event: Event) -> tuple[dict[str, str], bytes]:
    """Headers and body in binary mode; header values are percent-encoded (section 3.1.3.2) to plain ASCII."""
    attributes = event.attributes
    headers = {_header(name): value for name, value in attributes.items() if name != "datacontenttype"}
    if _ENCODED.search("".join(headers.values())):
        headers = {name: quote(value, safe=_SAFE) for name, value in headers.items()}
    if "datacontenttype" in attributes:
        headers["content-type"] = attributes["datacontenttype"]
    return headers, event.data or b""


def encode_structured(event: Event) -> tuple[dict[str, str], bytes]:
    """Headers and body in structured mode."""
    return {"content-type": STRUCTURED}, structured.encode_event(event)


def encode_batch(events: Iterable[Event]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a JSON batch."""
    return {"content-type": BATCH}, b"[" + b",".join(map(structured.encode_event, events)) + b"]"


def _decode_json(content_type: str, body: bytes, max_events: int) -> list[Event]:
    media_type = rules.media_type(content_type)
    if media_type == STRUCTURED:
        return [structured.decode_event(body)]
    if media_type == BATCH and max_events > 0:
        return structured.decode_events(body, max_events)
    raise BadEvent(f"{media_type} cannot be read here: send {STRUCTURED}, {BATCH} or binary mode", 415)


def _decode_binary(content_type: str | None, context: dict[str, str], body: bytes) -> Event:
    if "ce-specversion" not in context:
        raise BadEvent(
            "not a CloudEvent: send the headers ce-specversion, ce-id, ce-source and ce-type, "
            f"or a body of type {STRUCTURED}"
        )
    if "ce-datacontenttype" in context:
        raise BadEvent("header ce-datacontenttype is not allowed: send the data's type as content-type")
    text = "".join(context.values())
    if text.isascii() and "%" not in text and '"' not in text:
        attributes = {name[3:]: value for name, value in context.items()}
    else:
        attributes = {name[3:]: _unescape(name, value) for name, value in context.items()}
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    rules.check(attributes)
    for name in ("ce-source", "ce-dataschema"):
        rules.check_escapes(name, context.get(name, ""))
    return Event(attributes, body or None)


def _unescape(name: str, value: str) -> str:
    """The attribute's text from its header value: unquoted, then percent-decoded once (section 3.1.3.2)."""
    if not value.isascii():
        value = _utf8(name, value)
    quoted = _QUOTED.fullmatch(value)
    if quoted:
        value = re.sub(r"\\(.)", r"\1", quoted[1])
    if "%" not in value:
        return value
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeError:
        raise BadEvent(f"header {name[:40]!r} is not UTF-8: encode each byte of the text as %XX") from None


def _utf8(name: str, value: str) -> str:
    """Text outside ASCII should be percent-encoded, but Go's SDK, and so Knative, sends it as plain UTF-8.

    A server that reads headers as latin-1 shows each of its bytes as a character.
    """
    try:
        return value.encode("latin-1").decode()
    except UnicodeEncodeError:
        return value
    except UnicodeDecodeError:
        raise BadEvent(f"header {name[:40]!r} is not UTF-8: percent-encode the text") from None


@lru_cache(maxsize=1024)
def _header(attribute: str) -> str:
    rules.check_name(attribute)
    return "ce-" + attribute


def _check_json(event: Event) -> None:
    content_type = event.attributes.get("datacontenttype")
    if content_type is None or not rules.is_json(content_type):
        return
    if event.data is None or not structured.is_json_text(event.data):
        raise BadEvent(
            f"data of event {event.id!r} is not JSON, though its type is {content_type}: correct one of them"
        )
