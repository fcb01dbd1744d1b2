"""Recent events, and sending one from the page."""

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from functions.answer import BAD_REQUEST
from functions.door import REPLIED
from functions.event_function import DONE
from functions.query.app import create_app
from functions.query.payload import view_payload
from functions.query.recent import KEPT_MS
from trades.store import EventNote, Outcome

Read = Callable[..., dict[str, Any]]

STRUCTURED = "application/cloudevents+json"
EVENT = b'{"specversion":"1.0","id":"1","source":"/page","type":"trade.executed.v1","data":{}}'


def make_note(number: int, function: str = "store_trade", verdict: str = "STORED") -> EventNote:
    attributes = {"id": f"e{number}", "source": "/tests"}
    return EventNote(function, number, attributes, b'{"n":%d}' % number, 7, verdict, "")


def ids_of(answer: dict[str, Any]) -> list[str]:
    return [event["attributes"]["id"] for event in answer["events"]]


def test_newest_first(store, clock, read: Read) -> None:
    assert read("/v1/events") == {"events": []}
    clock.advance(KEPT_MS)
    store.add_notes([make_note(number) for number in range(5)])
    assert ids_of(read("/v1/events?limit=3")) == ["e4", "e3", "e2"]
    assert read("/v1/events?limit=1")["events"] == [
        {
            "function": "store_trade",
            "time": "1970-01-01T00:00:00.004Z",
            "attributes": {"id": "e4", "source": "/tests"},
            "data": {"text": '{"n":4}', "base64": None, "size": 7, "is_cut": False},
            "verdict": "STORED",
            "reason": "",
        }
    ]


def test_filters(store, read: Read) -> None:
    store.add_notes(
        [make_note(1), make_note(2, "update_summary", "COUNTED"), make_note(3, verdict="CONFLICT")]
    )
    assert ids_of(read("/v1/events?function=store_trade")) == ["e3", "e1"]
    assert ids_of(read("/v1/events?verdict=COUNTED")) == ["e2"]
    assert ids_of(read("/v1/events?function=store_trade&verdict=COUNTED")) == []


def test_all_that_is_known_of_one_event(store, read: Read) -> None:
    mine, others = make_note(1), make_note(1, "update_summary", "COUNTED")
    others.attributes = {"id": "e1", "source": "/others"}
    unread = make_note(2, verdict="BAD_REQUEST")
    unread.attributes = {}  # of a request that was no event
    store.add_notes([mine, others, unread, make_note(3), make_note(1, "update_summary", "COUNTED")])
    found = read("/v1/events?source=/tests&id=e1")["events"]
    assert {(event["function"], event["attributes"]["source"]) for event in found} == {
        ("store_trade", "/tests"),
        ("update_summary", "/tests"),
    }
    assert ids_of(read("/v1/events?id=e1&limit=2")) == ["e1", "e1"]
    assert ids_of(read("/v1/events?source=/others")) == ["e1"]
    assert ids_of(read("/v1/events?source=/tests&id=e1&verdict=COUNTED")) == ["e1"]
    assert ids_of(read("/v1/events?source=/tests&id=none")) == []


def test_a_filter_looks_through_more_than_it_gives(store, read: Read) -> None:
    store.add_notes([make_note(0), *(make_note(number, "other") for number in range(1, 512))])
    assert ids_of(read("/v1/events?source=/tests&id=e0&limit=1")) == ["e0"]


def test_each_verdict_is_explained(read: Read) -> None:
    schemas = read("/openapi.json")["components"]["schemas"]
    text = schemas["SeenEvent"]["properties"]["verdict"]["description"]
    for verdict in [*Outcome, BAD_REQUEST, DONE, REPLIED]:
        assert f"{verdict}: " in text


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "source=",
        "id=",
        "id=" + "x" * 257,
        "limit=501",
        "function=",
        "verdict=" + "x" * 33,
        "since=1",
    ],
)
def test_parameters_have_limits(read: Read, query: str) -> None:
    read(f"/v1/events?{query}", 400)


@given(data=st.binary(max_size=40) | st.text(max_size=20).map(str.encode), cut=st.integers(0, 40))
def test_data_comes_back(data: bytes, cut: int) -> None:
    payload = view_payload(data[:cut], len(data))
    assert payload.size == len(data)
    assert payload.is_cut == (cut < len(data))
    if payload.text is not None:
        text = payload.text.encode()
        assert data.startswith(text)
        assert len(data[:cut]) - len(text) < (4 if payload.is_cut else 1)
    else:
        assert payload.base64 == data[:cut]


def test_data_that_is_no_text(store, read: Read) -> None:
    note = make_note(1)
    note.data = b"\xff\x00"
    store.add_notes([note])
    assert read("/v1/events")["events"][0]["data"]["base64"] == base64.b64encode(b"\xff\x00").decode()


@pytest.fixture
def sender(store, clock, broker) -> FlaskClient:
    return create_app(store, clock_ms=clock, broker_url=broker.url).test_client()


def test_an_event_goes_to_the_broker_as_it_is(sender: FlaskClient, broker) -> None:
    answer = sender.post("/v1/events", data=EVENT, content_type=STRUCTURED)
    assert (answer.status_code, answer.json) == (200, {"status": 202, "text": ""})
    [(_, headers, body)] = broker.requests
    assert (headers["content-type"], body) == (STRUCTURED, EVENT)


def test_what_the_broker_says_comes_back(sender: FlaskClient, broker) -> None:
    broker.status, broker.media_type, broker.body = (
        400,
        "application/problem+json",
        b'{"detail":"id is missing"}',
    )
    answer = sender.post("/v1/events", data=b"{}", content_type=STRUCTURED)
    assert (answer.status_code, answer.json) == (200, {"status": 400, "text": "id is missing"})


@pytest.mark.parametrize("body", [b"plain\n", b"[1]", b"\xff", b'{"detail":3}'])
@pytest.mark.parametrize("media_type", ["text/plain", "application/json"])
def test_a_broker_may_say_anything(sender: FlaskClient, broker, body: bytes, media_type: str) -> None:
    broker.status, broker.media_type, broker.body = 500, media_type, body
    answer = sender.post("/v1/events", data=EVENT, content_type=STRUCTURED)
    assert answer.json["status"] == 500
    assert answer.json["text"] == body.decode("utf-8", "replace").strip()


def test_redirects_are_not_followed(sender: FlaskClient, broker) -> None:
    broker.status = 307
    assert sender.post("/v1/events", data=EVENT, content_type=STRUCTURED).json["status"] == 307
    assert len(broker.requests) == 1


def test_without_a_broker(client: FlaskClient) -> None:
    answer = client.post("/v1/events", data=EVENT, content_type=STRUCTURED)
    assert answer.status_code == 503
    assert "K_SINK" in answer.json["detail"]


def test_a_broker_that_is_not_there(store) -> None:
    client = create_app(store, broker_url="http://127.0.0.1:9/").test_client()
    answer = client.post("/v1/events", data=EVENT, content_type=STRUCTURED)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "can't be asked" in answer.json["detail"]


@pytest.mark.parametrize("says", ["nothing", "bye"])
def test_without_the_brokers_answer_it_is_in_doubt(store, broker, monkeypatch, says: str) -> None:
    """As where Knative's in-memory Broker still tries: it stops now, and a function may have it."""
    monkeypatch.setattr("functions.query.outgoing.TIMEOUT_S", 0.2)

    def silent() -> None:
        if says == "bye":
            raise ConnectionAbortedError
        time.sleep(0.5)

    broker.before_answer = silent
    client = create_app(store, broker_url=broker.url + "/").test_client()
    answer = client.post("/v1/events", data=EVENT, content_type=STRUCTURED)
    assert answer.status_code == 504
    assert "in doubt" in answer.json["detail"]
    assert "send the same event again" in answer.json["detail"]
    assert ("within 0.2 s" in answer.json["detail"]) == (says == "nothing")
    assert len(broker.requests) == 1


def test_a_body_that_is_too_large(sender: FlaskClient, broker) -> None:
    answer = sender.post("/v1/events", data=b" " * 2**20 + b"x", content_type=STRUCTURED)
    assert answer.status_code == 413
    assert broker.requests == []


@pytest.mark.parametrize("url", ["broker:80", "ftp://broker/", "http://", "file:///etc/passwd"])
def test_a_bad_broker_url(store, url: str) -> None:
    with pytest.raises(ValueError, match="http://"):
        create_app(store, broker_url=url)


def test_broker_status(store, broker) -> None:
    client = create_app(store, broker_url=broker.url, broker_status_url=broker.status_url).test_client()
    broker.media_type, broker.body = "application/json", b'{"waiting":3}'
    assert client.get("/v1/broker-status").json == {"waiting": 3}
    assert broker.requests[0][0] == "/-/status"
    broker.status_of_get = 404
    assert client.get("/v1/broker-status").status_code == 404
    broker.status_of_get = 500
    assert client.get("/v1/broker-status").status_code == 502


def test_a_broker_without_status(client: FlaskClient, sender: FlaskClient) -> None:
    assert client.get("/v1/broker-status").status_code == 404
    assert sender.get("/v1/broker-status").status_code == 404
