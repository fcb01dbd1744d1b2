"""Events survive each HTTP mode byte for byte; what the CloudEvents SDK accepts too, it reads alike."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent, from_http
from hypothesis import assume, given
from hypothesis import strategies as st

from eventing.attributes import CORE, is_json
from eventing.codec import BadEvent, decode, encode_batch, encode_binary, encode_structured
from eventing.event import Event

URI_TEXT = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._~/:@", max_size=20)
ASCII_TEXT = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='%"'), min_size=1
)
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=40).filter(
    str.strip
)
ANY_TEXT = st.text(st.characters())  # with surrogates: servers make them of bytes that are no UTF-8
NAMES = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(
    lambda name: name not in CORE | {"data", "datacontentencoding"}
)
TIMES = st.datetimes(timezones=st.just(UTC)).map(lambda t: t.isoformat().replace("+00:00", "Z"))
TYPES = st.sampled_from(
    [
        "application/json",
        "application/vnd.trade+json",
        "text/plain; charset=utf-8",
        "application/octet-stream",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
).map(lambda value: json.dumps(value).encode())
DATA = (
    st.none()
    | JSON
    | st.binary(min_size=1)
    | st.text(min_size=1).map(lambda t: t.encode(errors="ignore") or b"x")
)


@st.composite
def events(
    draw: st.DrawFn, text: st.SearchStrategy[str] = TEXT, data: st.SearchStrategy[Any] = DATA
) -> Event:
    attributes = draw(st.dictionaries(NAMES, text, max_size=4))
    attributes |= {
        "specversion": draw(st.sampled_from(["1.0", "0.3"])),
        "id": draw(text),
        "source": "urn:" + draw(URI_TEXT),
        "type": draw(text),
    }
    optional = {
        "subject": text,
        "time": TIMES,
        "datacontenttype": TYPES,
        "dataschema": st.just("https://x/y?z#1"),
    }
    for name, values in optional.items():
        if draw(st.booleans()):
            attributes[name] = draw(values)
    return Event(attributes, draw(data))


@given(events())
def test_binary_mode_keeps_the_event(event: Event) -> None:
    headers, body = encode_binary(event)
    assert decode(headers.items(), body) == [event]
    assert all(value.isascii() and value.isprintable() for value in headers.values())


@given(events())
def test_structured_mode_keeps_the_event(event: Event) -> None:
    assume(event.attributes["specversion"] == "1.0")  # 0.3 has no data_base64
    headers, body = encode_structured(event)
    assert decode(headers.items(), body) == [event]


@given(st.lists(events(), min_size=1, max_size=5))
def test_a_batch_keeps_its_events_in_order(batch: list[Event]) -> None:
    assume(all(event.attributes["specversion"] == "1.0" for event in batch))
    headers, body = encode_batch(batch)
    assert decode(headers.items(), body, max_events=len(batch)) == batch


@given(events())
def test_json_members_are_found_with_blanks_around_them_too(event: Event) -> None:
    assume(event.attributes["specversion"] == "1.0")
    headers, body = encode_structured(event)
    members = json.loads(body)
    if event.data is not None and is_json(event.attributes.get("datacontenttype", "text/plain")):
        members.pop("data", None), members.pop("data_base64", None)
        event = Event(event.attributes)
    assert decode(headers.items(), json.dumps(members, indent=1).encode()) == [event]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ce-id", "CE-Source", "ce-a_b", "ce-", "content-type"]) | ANY_TEXT, ANY_TEXT
        )
    ),
    st.binary() | JSON,
    st.booleans(),
)
def test_whatever_comes_is_an_event_or_refused(
    headers: list[tuple[str, str]], body: bytes, check: bool
) -> None:
    headers += [("ce-specversion", "1.0"), ("ce-type", "t"), ("ce-id", "1"), ("ce-source", "/s")]
    try:
        [event] = decode(headers, body, check_json_data=check)
    except BadEvent:
        return
    again, same_body = encode_binary(event)
    assert decode(again.items(), same_body) == [event]


@given(
    st.sampled_from(["application/cloudevents+json", "application/cloudevents-batch+json"]),
    st.binary() | JSON,
)
def test_whatever_json_comes_is_refused_or_events(content_type: str, body: bytes) -> None:
    with pytest.raises(BadEvent):  # nothing that these strategies make has the required attributes
        decode([("content-type", content_type)], body)


@given(events(text=ASCII_TEXT, data=JSON))
def test_the_sdk_reads_what_we_write_in_binary_mode(event: Event) -> None:
    headers, body = encode_binary(event)
    theirs = from_http(headers, body, data_unmarshaller=lambda data: data)
    assert _strings(theirs) == event.attributes
    assert theirs.get_data() == event.data


@given(events(text=TEXT, data=JSON))
def test_the_sdk_reads_what_we_write_in_structured_mode(event: Event) -> None:
    assume(event.attributes["specversion"] == "1.0" and "datacontenttype" in event.attributes)
    headers, body = encode_structured(event)
    theirs = from_http(headers, body, data_unmarshaller=lambda data: data)
    assert _strings(theirs) == event.attributes
    if is_json(event.attributes["datacontenttype"]):
        assert event.data is not None
        assert json.loads(theirs.get_data()) == json.loads(event.data)


@given(events(text=ASCII_TEXT, data=JSON))
def test_we_read_what_the_sdk_writes(event: Event) -> None:
    assume("time" in event.attributes)  # the SDK invents a time where there is none
    theirs = CloudEvent(dict(event.attributes), event.data)
    assert decode_sdk(to_binary(theirs, data_marshaller=lambda data: data)) == event
    if event.attributes["specversion"] == "1.0":
        assert (
            decode_sdk(to_structured(theirs, data_marshaller=lambda data: data)).attributes
            == event.attributes
        )


def decode_sdk(message: tuple[dict[str, str], bytes]) -> Event:
    [event] = decode(message[0].items(), message[1])
    return event


def _strings(theirs: CloudEvent) -> dict[str, str]:
    """The SDK's attributes, without the time it invents and the Nones it keeps."""
    found = {name: value for name, value in theirs.get_attributes().items() if value is not None}
    invented = found.get("time", "")
    if isinstance(invented, datetime) or "+00:00" in invented:
        del found["time"]
    return found
