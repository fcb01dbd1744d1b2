"""Our broker takes and refuses what Knative's ingress does; where it is stricter, the case says why."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from multidict import CIMultiDict
from yarl import URL

from eventing.codec import BadEvent, decode
from tests.broker.conftest import BrokerProcess

MEMBERS = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
CONTEXT = {f"ce-{name}": value for name, value in MEMBERS.items()}
STRUCTURED = "application/cloudevents+json"


class Request(NamedTuple):
    headers: list[tuple[str, str]]
    body: bytes = b""


def binary(body: bytes = b"", **changed: str | None) -> Request:
    headers = CONTEXT | {name.replace("_", "-"): value for name, value in changed.items()}
    return Request([(name, value) for name, value in headers.items() if value is not None], body)


def structured(content_type: str = STRUCTURED, **members: Any) -> Request:
    event = {name: value for name, value in (MEMBERS | members).items() if value is not ...}
    return Request([("content-type", content_type)], json.dumps(event).encode())


GOOD = {
    "binary, the least": binary(),
    "binary with all attributes": binary(
        b'{"a":1}',
        content_type="application/json",
        ce_subject="ASPS",
        ce_time="2026-01-31T09:30:00.25+01:00",
        ce_dataschema="https://x/schema",
    ),
    "extensions": binary(ce_a="1", ce_trace2="x"),
    "upper-case header names": Request([(name.upper(), value) for name, value in CONTEXT.items()]),
    "an empty extension": binary(ce_a=""),
    "0.3": binary(ce_specversion="0.3"),
    "0.3 with schemaurl": binary(ce_specversion="0.3", ce_schemaurl="https://x/schema"),
    "JSON that does not parse": binary(b"{", content_type="application/json"),
    "data that is no text": binary(b"\xff\x00", content_type="application/octet-stream"),
    "a content type with parameters": binary(b"x", content_type='text/plain; charset="utf-8"; x=y'),
    "a content type with a quoted quote": binary(b"x", content_type='text/plain; x="a\\"b\\\\"'),
    "a content type that ends in a semicolon": binary(b"x", content_type="text/plain ; x=y;"),
    "a percent-encoded subject": binary(ce_subject="Euro%20%E2%82%AC"),
    "a subject in plain UTF-8": binary(ce_subject="Euro €"),
    "a percent sign alone in the subject": binary(ce_subject="100%"),
    "a relative source": binary(ce_source="gen/1?a=b#c"),
    "a source with a blank": binary(ce_source="/a b"),
    "a urn": binary(ce_source="urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"),
    "structured, the least": structured(),
    "structured with a charset": structured(STRUCTURED + "; charset=utf-8", data={"a": [1, 2]}),
    "structured, content type in capitals": structured("Application/CloudEvents+JSON"),
    "structured text": structured(datacontenttype="text/plain", data="x"),
    "structured base64": structured(datacontenttype="text/plain", data_base64="eA=="),
    "structured, typed extensions": structured(a=True, b=-5, c="x"),
    "structured, null members": structured(subject=None, ext=None),
    "structured, an extension in capitals": structured(MyExt="x"),
    "structured, JSON null as data": structured(data=None),
}
BAD = {
    "no CloudEvent": Request([("content-type", "application/json")], b"{}"),
    "no headers at all": Request([]),
    "no specversion": binary(ce_specversion=None),
    "an unknown specversion": binary(ce_specversion="1.1"),
    "no id": binary(ce_id=None),
    "an empty id": binary(ce_id=""),
    "no source": binary(ce_source=None),
    "an empty source": binary(ce_source=""),
    "a source that is no URI": binary(ce_source=":x"),
    "a source with a bad escape": binary(ce_source="/%zz"),
    "no type": binary(ce_type=None),
    "an empty type": binary(ce_type=""),
    "time without a zone": binary(ce_time="2026-01-31T09:30:00"),
    "time in lower case": binary(ce_time="2026-01-31t09:30:00z"),
    "a day that is not in the calendar": binary(ce_time="2026-02-30T09:30:00Z"),
    "a leap second": binary(ce_time="2016-12-31T23:59:60Z"),
    "a name with a hyphen": binary(ce_my_ext="x"),
    "a relative dataschema": binary(ce_dataschema="schema"),
    "a content type that is none": binary(b"x", content_type="text/plain; charset"),
    "ce-datacontenttype": binary(ce_datacontenttype="text/plain"),
    "structured without id": structured(id=...),
    "structured, an empty type": structured(type=""),
    "structured, id is a number": structured(id=5),
    "structured, an unknown specversion": structured(specversion="2.0"),
    "structured, no time": structured(time="today"),
    "structured, a name with an underscore": structured(my_ext="x"),
    "structured, an object as attribute": structured(ext={"a": 1}),
    "structured, an integer beyond 32 bits": structured(ext=2**31),
    "structured, an object as text": structured(datacontenttype="text/plain", data={"a": 1}),
    "structured, base64 that is none": structured(data_base64="*"),
    "structured, data and data_base64": structured(data=1, data_base64="MQ=="),
    "an empty time": binary(ce_time=""),
    "structured, no JSON": Request([("content-type", STRUCTURED)], b"{"),
    "structured, an array": Request([("content-type", STRUCTURED)], b"[]"),
    "structured, empty": Request([("content-type", STRUCTURED)]),
}
# Knative takes these (202); why we do not.
STRICTER = {
    "a header twice: Knative keeps the first": Request([*CONTEXT.items(), ("ce-id", "2")]),
    "a member twice: Knative keeps the last": Request(
        [("content-type", STRUCTURED)], json.dumps(MEMBERS).encode()[:-1] + b',"id":"2"}'
    ),
    "an empty subject: Knative drops it": binary(ce_subject=""),
    "a fraction as attribute: Knative cuts it": structured(ext=1.5),
    "bytes that are no UTF-8: Knative does not decode headers": binary(ce_subject="%C0%A0"),
    "data as an attribute": binary(ce_data="x"),
    "a content type without a subtype": binary(b"x", content_type="json"),
    "attributes of more than 64 KiB": structured(ext="x" * 70_000),
    "another CloudEvents format": binary(b"x", content_type="application/cloudevents+avro"),
}

# Knative takes it in (no 400), and then cannot write it into a header.
CONTROL = {"a control character": structured(subject="a\nb")}


# Method, what follows the ingress's origin, and the answer.
DOOR = {
    ("OPTIONS", "{path}"): 200,
    ("GET", "{path}"): 405,
    ("PUT", "{path}"): 405,
    ("DELETE", "{path}"): 405,
    ("POST", "{path}/"): 202,
    ("POST", "{path}/more"): 400,
    ("POST", "/"): 404,
    ("POST", "/one"): 400,
    ("POST", "/default/another"): 404,
    ("POST", "/other/default"): 404,
}

Statuses = dict[str, int]


@pytest.fixture
async def theirs(knlocal: Any) -> Statuses:
    """What Knative's ingress answers to every request, by name. The trigger matches none of them."""
    async with knlocal(SUBSCRIBER="http://127.0.0.1:9", TYPE="none") as ingress:
        return await ask(ingress)


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncIterator[Statuses]:
    """What our broker answers."""
    async with aiohttp.ClientSession() as session:
        broker = BrokerProcess(tmp_path, session)
        await broker.start(BrokerProcess.yaml())
        yield await ask(broker.url + "/test/default")
        await broker.stop()


async def ask(ingress: str) -> Statuses:
    found = {}
    origin, path = str(URL(ingress).origin()), URL(ingress).path
    async with aiohttp.ClientSession() as client:
        for method, place in DOOR:
            url = origin + place.format(path=path)
            async with client.request(method, url, headers=CONTEXT) as response:
                found[f"{method} {place}"] = response.status
        for name, request in (GOOD | BAD | STRICTER | CONTROL).items():
            async with client.post(
                ingress,
                headers=CIMultiDict(request.headers),
                data=request.body,
                skip_auto_headers=["content-type"],
            ) as response:
                found[name] = response.status
    return found


def by_the_codec(request: Request) -> int:
    try:
        decode(request.headers, request.body)
    except BadEvent as error:
        return error.status
    return 202


async def test_the_ingresses_agree(theirs: Statuses, ours: Statuses) -> None:
    expected = dict.fromkeys(GOOD, 202) | dict.fromkeys(BAD, 400)
    expected |= {f"{method} {place}": status for (method, place), status in DOOR.items()}
    assert len(expected) >= 40
    assert {name: theirs[name] for name in expected} == expected
    assert {name: ours[name] for name in expected} == expected
    assert {name: theirs[name] for name in STRICTER} == dict.fromkeys(STRICTER, 202)
    assert [theirs[name] for name in CONTROL] == [500]


async def test_our_ingress_is_the_codec(ours: Statuses) -> None:
    for name, request in (GOOD | BAD | STRICTER | CONTROL).items():
        assert ours[name] == by_the_codec(request), name
    assert all(ours[name] in (400, 413, 415) for name in (*STRICTER, *CONTROL))
