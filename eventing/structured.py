"""The JSON Event Format 1.0.2: one JSON object an event, its data kept byte for byte."""

import base64
import binascii
import json
from typing import Final

import msgspec

from eventing import attributes as rules
from eventing.event import BadEvent, Event

_MIN_INTEGER: Final = -(2**31)
_MAX_INTEGER: Final = 2**31 - 1
_WHITESPACE: Final = b" \t\r\n"

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_scalar = msgspec.json.Decoder(str | int | bool | None)
_text = msgspec.json.Decoder(str)
_value = msgspec.json.Decoder(msgspec.Raw)


def decode_event(body: bytes) -> Event:
    """The event in this JSON object. Raises BadEvent."""
    members = _object(body)
    data = members.pop("data", None)
    data_base64 = members.pop("data_base64", None)
    if data is not None and data_base64 is not None:
        raise BadEvent("the event has both data and data_base64: send only one of them")
    attributes: dict[str, str] = {}
    for member, raw in members.items():
        value = _attribute(member, raw)
        if value is None:
            continue
        name = member.lower()  # Knative's ingress takes extensions in capitals too
        if name in attributes or (name != member and name in rules.CORE):
            raise BadEvent(f"attribute {member[:40]!r}: send it once, and in lower case")
        attributes[name] = value
    if data_base64 is not None and attributes.get("specversion") == "0.3":
        raise BadEvent("data_base64 is not known to specversion 0.3: send specversion 1.0")
    rules.check(attributes)
    for name in ("source", "dataschema"):
        rules.check_escapes(name, attributes.get(name, ""))
    return Event(attributes, _data(attributes, data) if data is not None else _binary(data_base64))


def decode_events(body: bytes, max_events: int) -> list[Event]:
    """The events of a JSON batch, at least one. Raises BadEvent, naming the first event that is wrong."""
    try:
        items = _items.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadEvent(f"the batch is not a JSON array of events: {error}") from None
    if not items:
        raise BadEvent("the batch is empty: send at least one event")
    if len(items) > max_events:
        raise BadEvent(
            f"the batch has {len(items)} events, more than {max_events}: send smaller batches", 413
        )
    events = []
    for index, item in enumerate(items):
        try:
            events.append(decode_event(bytes(item)))
        except BadEvent as error:
            raise BadEvent(f"event {index} of the batch: {error}", error.status) from None
    return events


def encode_event(event: Event) -> bytes:
    """The event as a JSON object.

    Data that its type calls JSON stands as it is, text as a string, and anything else (also JSON with blanks
    around it, which an object would lose) as base64: what is decoded again has the same bytes.
    Raises BadEvent for data that specversion 0.3, which knows no data_base64, cannot carry: use binary mode.
    """
    members: dict[str, object] = dict(event.attributes)
    data = event.data
    if data is not None:
        value = _data_member(event.attributes.get("datacontenttype"), data)
        if value is not None:
            members["data"] = value
        elif event.attributes["specversion"] == "0.3":
            raise BadEvent("the data is neither JSON nor text: send the event in binary mode, or as 1.0")
        else:
            members["data_base64"] = base64.b64encode(data).decode()
    return msgspec.json.encode(members)


def _data_member(content_type: str | None, data: bytes) -> msgspec.Raw | str | None:
    """What stands as `data`; None where only base64 keeps the bytes."""
    if content_type is None:
        return None
    if rules.is_json(content_type):
        return msgspec.Raw(data) if is_json_text(data) and data.strip(_WHITESPACE) == data else None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def is_json_text(data: bytes) -> bool:
    """Whether these bytes are one JSON value in UTF-8 (RFC 8259)."""
    try:
        if not data.isascii():
            data.decode()
        _value.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _object(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        if not body.isascii():
            body.decode()
        members = _members.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadEvent(f"the event is not a JSON object in UTF-8: {error}") from None
    # The decoder keeps the last of two equal names. An object without blanks is exactly as long as its
    # members, so only where the lengths differ must the names be counted.
    if len(body) != 1 + sum(len(name) + len(memoryview(raw)) + 4 for name, raw in members.items()):
        _refuse_repeated(body)
    return members


def _refuse_repeated(body: bytes) -> None:
    try:
        pairs = json.loads(body, object_pairs_hook=list, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise BadEvent(f"the event is not a JSON object: {error}") from None
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise BadEvent(f"the event has the member {name[:40]!r} twice: send it once")
        seen.add(name)


def _attribute(name: str, raw: msgspec.Raw) -> str | None:
    """The canonical string of a JSON attribute value (section 2.2); None for null, which means unset."""
    try:
        value = _scalar.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        raise BadEvent(f"attribute {name[:40]!r} must be a string, a boolean or a whole number") from None
    if value is None or isinstance(value, str):
        return value
    if name in rules.CORE:
        raise BadEvent(f"attribute {name} must be a string: put it in quotes")
    if isinstance(value, bool):
        return "true" if value else "false"
    if not _MIN_INTEGER <= value <= _MAX_INTEGER:
        raise BadEvent(f"attribute {name[:40]!r} is outside 32 bits: send it as a string")
    return str(value)


def _data(attributes: dict[str, str], raw: msgspec.Raw) -> bytes | None:
    """The bytes of the `data` member (section 3.1.1)."""
    content_type = attributes.setdefault("datacontenttype", "application/json")
    if rules.is_json(content_type):
        return bytes(raw)
    try:
        return (_text.decode(raw)).encode() or None
    except (msgspec.DecodeError, RecursionError):
        raise BadEvent(f"data of type {content_type[:80]!r} must be a JSON string, or data_base64") from None


def _binary(raw: msgspec.Raw | None) -> bytes | None:
    try:
        text = None if raw is None else _scalar.decode(raw)
        if text is not None and not isinstance(text, str):
            raise BadEvent("data_base64 must be a string")
        return base64.b64decode(text, validate=True) or None if text else None
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        raise BadEvent(f"data_base64 is not base64 text: {error}") from None
