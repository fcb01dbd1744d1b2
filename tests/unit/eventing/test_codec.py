"""The codec's rules one by one: what each mode accepts, what it refuses, with which status and advice."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.codec import BadEvent, decode, encode_binary, encode_structured
from eventing.event import Event

CONTEXT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
MEMBERS = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def binary(body: bytes = b"", **headers: str) -> Event:
    changed = CONTEXT | {name.replace("_", "-"): value for name, value in headers.items()}
    [event] = decode(changed.items(), body)
    return event


def structured(**members: Any) -> Event:
    [event] = decode([("Content-Type", STRUCTURED)], json.dumps(MEMBERS | members).encode())
    return event


def refusal(headers: Any, body: bytes = b"", **options: Any) -> BadEvent:
    with pytest.raises(BadEvent) as caught:
        decode(headers, body, **options)
    return caught.value


def test_binary_mode_takes_the_body_as_it_is_without_copying_it() -> None:
    body = b'{"not json'
    event = binary(body, Content_Type="application/json", CE_Subject="ASPS")
    assert event.data is body
    assert event.attributes == MEMBERS | {"datacontenttype": "application/json", "subject": "ASPS"}


def test_an_empty_body_is_no_data() -> None:
    assert binary().data is None
    assert encode_binary(binary())[1] == b""


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("%41%42", "AB"),
        ("100%", "100%"),
        ("%zz", "%zz"),
        ("%2525", "%25"),
        ('"a \\"b\\" \\\\ %41"', 'a "b" \\ A'),
        ('half "quoted"', 'half "quoted"'),
        ("\u00c3\u00a9", "é"),
        ("é€", "é€"),
    ],
)
def test_header_values_are_unquoted_and_percent_decoded_once(header: str, value: str) -> None:
    assert binary(ce_subject=header).subject == value


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), min_size=1).filter(str.strip))
def test_a_header_in_plain_utf8_is_read_from_servers_that_decode_latin1(text: str) -> None:
    raw = text.replace("%", "").replace('"', "") or "x"
    assert binary(ce_x=raw.encode().decode("latin-1")).attributes["x"] == raw


@pytest.mark.parametrize(
    "value",
    [
        "\udcff",
        "\udcff%41",
        "é\udcff",
        "%C0%A0",
        "%ff",
        "%ED%A0%80",
        "\u00ff",
        "a%0Ab",
        "%00",
        "%7F",
        "%C2%85",
        "%EF%BF%BF",
    ],
)
def test_header_values_that_are_no_text_are_refused(value: str) -> None:
    assert refusal((CONTEXT | {"ce-subject": value}).items()).status == 400


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"ce-specversion": None}, "not a CloudEvent"),
        ({"ce-specversion": "1.1"}, "send 1.0"),
        ({"ce-specversion": ""}, "specversion is empty"),
        ({"ce-id": None}, "id is missing"),
        ({"ce-id": ""}, "id is empty"),
        ({"ce-id": "%20"}, "id is empty"),
        ({"ce-source": None}, "source is missing"),
        ({"ce-source": ""}, "source is empty"),
        ({"ce-source": ":x"}, "scheme"),
        ({"ce-source": "1a:b"}, "scheme"),
        ({"ce-source": "urn:%zz"}, "%25"),
        ({"ce-type": None}, "type is missing"),
        ({"ce-type": ""}, "type is empty"),
        ({"ce-subject": ""}, "subject is empty"),
        ({"ce-time": "yesterday"}, "RFC 3339"),
        ({"ce-dataschema": "schema.json"}, "absolute"),
        ({"ce-my-name": "x"}, "letters a-z and digits"),
        ({"ce-my_name": "x"}, "letters a-z and digits"),
        ({"ce-\u00e9": "x"}, "letters a-z and digits"),
        ({"ce-": "x"}, "letters a-z and digits"),
        ({"ce-data": "x"}, "'data' is not allowed"),
        ({"ce-datacontentencoding": "base64"}, "data_base64"),
        ({"ce-datacontenttype": "text/plain"}, "content-type"),
        ({"content-type": "json"}, "application/json"),
        ({"content-type": "text/plain; charset"}, "media type"),
        ({"content-type": ""}, "media type"),
    ],
)
def test_binary_mode_refuses_and_says_what_to_do(change: dict[str, str | None], advice: str) -> None:
    error = refusal([(name, value) for name, value in (CONTEXT | change).items() if value is not None])
    assert error.status == 400
    assert advice in str(error)


def test_a_repeated_header_is_refused_in_any_case() -> None:
    assert "twice" in str(refusal([*CONTEXT.items(), ("Ce-Id", "1")]))
    types = [("content-type", "text/plain"), ("Content-Type", "text/plain")]
    assert "twice" in str(refusal([*CONTEXT.items(), *types]))


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-31T09:30:00Z",
        "2026-01-31T09:30:00.123456789+05:30",
        "2024-02-29T23:59:59-00:00",
        "0001-01-01T00:00:00Z",
    ],
)
def test_rfc_3339_times(time: str) -> None:
    assert binary(ce_time=time).attributes["time"] == time


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-31",
        "2026-01-31T09:30:00",
        "2026-01-31 09:30:00Z",
        "2026-01-31t09:30:00z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-12-31T23:59:60Z",
        "2026-01-31T09:30Z",
        "20260131T093000Z",
        "2026-01-31T09:30:00.Z",
        "2026-01-31T09:30:00+0100",
        "٢٠٢٦-01-31T09:30:00Z",
        "1769851800",
        "2026-W05-6T00:00:00Z",
    ],
)
def test_other_times_are_refused(time: str) -> None:
    assert "RFC 3339" in str(
        refusal([("content-type", STRUCTURED)], json.dumps(MEMBERS | {"time": time}).encode())
    )


def test_specversion_0_3_is_accepted_with_its_schemaurl() -> None:
    event = binary(ce_specversion="0.3", ce_schemaurl="x.json")
    assert event.attributes["specversion"] == "0.3"
    assert event.attributes["schemaurl"] == "x.json"


def test_attributes_are_bounded_and_data_is_not_counted() -> None:
    assert binary(b"x" * 100_000, ce_big="x" * 65_000).data is not None
    error = refusal((CONTEXT | {"ce-big": "x" * 65_536}).items())
    assert (error.status, "move them to data" in str(error)) == (413, True)


@pytest.mark.parametrize(
    ("content_type", "data", "payload"),
    [
        ("application/json", b' {"b": 1.10, "a": [1,2] } ', b'{"b": 1.10, "a": [1,2] }'),
        ("application/json", b'"text"', b'"text"'),
        ("application/json", b"null", b"null"),
        ("application/json", b"12345678901234567890.10", b"12345678901234567890.10"),
        ("application/vnd.x+json; v=1", b"[]", b"[]"),
        ("text/plain", b'"a\\n\\u00e9\\ud83d\\ude00"', "a\né😀".encode()),
        ("text/plain", b'""', None),
        ("text/plain", b"null", None),
    ],
)
def test_structured_data_keeps_its_bytes(content_type: str, data: bytes, payload: bytes | None) -> None:
    body = json.dumps(MEMBERS | {"datacontenttype": content_type}).encode()[:-1] + b',"data":' + data + b"}"
    if content_type == "text/plain" and data == b"null":
        assert "JSON string" in str(refusal([("content-type", STRUCTURED)], body))
        return
    [event] = decode([("content-type", STRUCTURED)], body)
    assert event.data == payload


def test_structured_data_without_a_type_is_json() -> None:
    assert structured(data={"a": 1}).attributes["datacontenttype"] == "application/json"
    assert "datacontenttype" not in structured().attributes


def test_structured_attributes_take_their_canonical_strings() -> None:
    event = structured(a=True, b=False, c=-2147483648, d="x", e=None, subject=None, MixedCase="y")
    assert event.attributes == MEMBERS | {
        "a": "true",
        "b": "false",
        "c": "-2147483648",
        "d": "x",
        "mixedcase": "y",
    }


@pytest.mark.parametrize(
    ("members", "advice"),
    [
        ({"id": None}, "id is missing"),
        ({"id": ""}, "id is empty"),
        ({"id": 7}, "quotes"),
        ({"type": True}, "quotes"),
        ({"specversion": 1.0}, "string"),
        ({"specversion": "2.0"}, "send 1.0"),
        ({"source": "a%"}, "%25"),
        ({"x": 1.5}, "whole number"),
        ({"x": 2**31}, "32 bits"),
        ({"x": {}}, "string"),
        ({"x": [1]}, "string"),
        ({"ID": "2"}, "lower case"),
        ({"type": None, "Type": "u"}, "lower case"),
        ({"ab": "1", "aB": "2"}, "send it once"),
        ({"specversion": "0.3", "data_base64": "MQ=="}, "send specversion 1.0"),
        ({"a-b": "1"}, "letters a-z"),
        ({"data_": "1"}, "letters a-z"),
        ({"subject": "a\nb"}, "U+000A"),
        ({"subject": "\ud800"}, "JSON"),
        ({"subject": ""}, "subject is empty"),
        ({"data": 1, "data_base64": "MQ=="}, "only one"),
        ({"data_base64": "MQ"}, "base64"),
        ({"data_base64": "M Q="}, "base64"),
        ({"data_base64": 5}, "string"),
        ({"datacontenttype": "text/plain", "data": {}}, "JSON string"),
        ({"datacontenttype": "application/json;", "data": 1, "datacontentencoding": "base64"}, "data_base64"),
        ({"datacontenttype": "nonsense", "data": 1}, "media type"),
    ],
)
def test_structured_mode_refuses_and_says_what_to_do(members: dict[str, Any], advice: str) -> None:
    error = refusal([("content-type", STRUCTURED)], json.dumps(MEMBERS | members).encode())
    assert error.status == 400
    assert advice in str(error)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("again", ['"id":"2"', '"i\\u0064":"2"', '"data":2'])
def test_repeated_members_are_refused_with_and_without_blanks(
    separators: tuple[str, str], again: str
) -> None:
    body = json.dumps(MEMBERS | {"data": {"a": 1}}, separators=separators)[:-1] + f",{again}}}"
    assert "twice" in str(refusal([("content-type", STRUCTURED)], body.encode()))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"a":NaN}',
        b'{"a":' + b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    error = refusal([("content-type", STRUCTURED)], body)
    assert (error.status, "JSON object" in str(error)) == (400, True)


def test_batches_are_bounded_and_name_the_event_that_is_wrong() -> None:
    def batch(*members: dict[str, Any]) -> bytes:
        return json.dumps(members).encode()

    headers = [("content-type", BATCH + "; charset=utf-8")]
    assert [event.id for event in decode(headers, batch(MEMBERS, MEMBERS | {"id": "2"}))] == ["1", "2"]
    assert "at least one" in str(refusal(headers, b"[]"))
    assert refusal(headers, batch(MEMBERS, MEMBERS, MEMBERS), max_events=2).status == 413
    assert refusal(headers, batch(MEMBERS), max_events=0).status == 415
    assert "event 1 of the batch: attribute id" in str(refusal(headers, batch(MEMBERS, MEMBERS | {"id": ""})))
    assert "array" in str(refusal(headers, b"{}"))


def test_other_cloudevents_formats_are_not_read() -> None:
    error = refusal([*CONTEXT.items(), ("content-type", "application/cloudevents+avro")])
    assert (error.status, "binary mode" in str(error)) == (415, True)


def test_json_data_is_read_only_when_asked() -> None:
    headers = [*CONTEXT.items(), ("content-type", "application/json")]
    assert decode(headers, b"{")[0].data == b"{"
    for body in (b"{", b"", b'{"a":"\xff"}', b"NaN", b"1 2", b"[" * 100_000):
        assert "not JSON" in str(refusal(headers, body, check_json_data=True))
    assert decode(headers, b' {"a": 1e999} ', check_json_data=True)
    assert decode([*CONTEXT.items(), ("content-type", "text/plain")], b"{", check_json_data=True)
    base64 = json.dumps(MEMBERS | {"datacontenttype": "application/json", "data_base64": "ew=="}).encode()
    assert refusal([("content-type", STRUCTURED)], base64, check_json_data=True)


def test_data_that_0_3_cannot_carry_in_structured_mode_is_not_sent() -> None:
    event = Event(MEMBERS | {"specversion": "0.3", "datacontenttype": "text/plain"}, b"\xff")
    with pytest.raises(BadEvent, match="binary mode"):
        encode_structured(event)
    headers, body = encode_structured(Event(event.attributes, b"text"))
    assert decode(headers.items(), body)[0].data == b"text"


def test_what_is_not_an_attribute_name_cannot_be_sent() -> None:
    with pytest.raises(BadEvent):
        encode_binary(Event(MEMBERS | {"x\r\nhost": "y"}))


@pytest.mark.parametrize("data", [b" {}", b"{}\n", b"{", b"\xff"])
def test_json_data_that_an_object_would_change_goes_as_base64(data: bytes) -> None:
    event = Event(MEMBERS | {"datacontenttype": "application/json"}, data)
    headers, body = encode_structured(event)
    assert "data_base64" in json.loads(body)
    assert decode(headers.items(), body) == [event]
