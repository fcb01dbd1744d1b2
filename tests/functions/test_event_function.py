"""A function of one's own: a handler of the SDK's CloudEvent becomes a target like ours."""

import json
from pathlib import Path

import pytest

from eventing.codec import decode
from eventing.event import Event
from functions.event_function import from_cloud_event, to_cloud_event
from tests.functions.conftest import FunctionProcess, Reply, StartFunction, event_headers

SOURCE = str(Path(__file__).with_name("own_functions.py"))


def event_of(reply: Reply) -> Event:
    (event,) = decode(reply.headers.items(), reply.body)
    return event


@pytest.fixture(scope="module")
def size(start_module_function: StartFunction) -> FunctionProcess:
    return start_module_function("size", FUNCTION_SOURCE=SOURCE)


@pytest.fixture(scope="module")
def echo(start_module_function: StartFunction) -> FunctionProcess:
    return start_module_function("echo", FUNCTION_SOURCE=SOURCE)


def test_a_reply_is_an_event_in_binary_mode(size: FunctionProcess) -> None:
    reply = size.post(b'{"volume": 9000}', event_headers("1"))
    assert reply.status == 200
    event = event_of(reply)
    assert (event.id, event.source, event.type) == ("1-size", "/size", "trade.classified.v1")
    assert event.attributes["big"] == "true"
    assert event.attributes["datacontenttype"] == "application/json"
    assert json.loads(event.data or b"") == {"size": "WHALE"}


def test_nothing_to_say(size: FunctionProcess) -> None:
    reply = size.post(b'{"volume": 0}', event_headers("2"))
    assert (reply.status, reply.body) == (202, b"")


def test_bad_event_is_refused_with_its_words(size: FunctionProcess) -> None:
    reply = size.post(b'{"volume": -1}', event_headers("3"))
    assert (reply.status, reply.detail) == (400, "volume is negative")


def test_data_that_is_not_the_json_it_says(size: FunctionProcess) -> None:
    assert size.post(b'{"volume": ', event_headers("4")).status == 400


def test_a_crash_is_sent_again_and_in_the_log(size: FunctionProcess) -> None:
    reply = size.post(b"{}", event_headers("5"))
    assert reply.status == 500
    assert "KeyError" in size.log


def test_a_batch_is_refused(size: FunctionProcess) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/", "type": "t", "data": {"volume": 1}}
    content_type = {"content-type": "application/cloudevents-batch+json"}
    assert size.post(json.dumps([event, event]), content_type).status == 413


def test_the_deadline_holds_for_a_thread(start_module_function: StartFunction) -> None:
    slow = start_module_function("slow", FUNCTION_SOURCE=SOURCE, DEADLINE_MS="100")
    assert slow.post(b"null", event_headers()).status == 503


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b'{"a":1}', "application/json"),
        ("grüß".encode(), "text/plain; charset=utf-8"),
        (bytes(range(256)), "application/octet-stream"),
        (b'"text"', "application/json"),
    ],
)
def test_what_goes_through_comes_out(echo: FunctionProcess, data: bytes, content_type: str) -> None:
    headers = event_headers("1", subject="über%20", time="2026-01-01T00:00:00Z") | {
        "content-type": content_type
    }
    headers["ce-subject"] = "%C3%BCber"
    sent = decode(headers.items(), data)
    assert [event_of(echo.post(data, headers))] == sent


def test_no_attribute_is_made_up(echo: FunctionProcess) -> None:
    headers = event_headers("1")
    assert event_of(echo.post(b"1", headers)) == decode(headers.items(), b"1")[0]
    assert "time" not in to_cloud_event(Event({"specversion": "1.0", "id": "1", "source": "/", "type": "t"}))


def test_a_reply_without_data() -> None:
    event = Event({"specversion": "1.0", "id": "1", "source": "/", "type": "t"})
    assert from_cloud_event(to_cloud_event(event)) == event
