"""Dead letters: any event is taken, the reason is read, the same one is kept once."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.delivery import error_attributes
from eventing.event import Event
from functions.answer import problem
from functions.dead_letter import decode_reason, to_dead_letter
from tests.functions.conftest import FunctionProcess, StartFunction, event_headers, trade_body
from trades.store import DeadLetter
from trades.stores.sqlite import SqliteStore

ATTRIBUTES = {"specversion": "1.0", "id": "1", "source": "/a", "type": "t"}


def letter(received_ms: int = 0, **extra: str) -> DeadLetter:
    return to_dead_letter(Event(ATTRIBUTES | extra, b"data"), received_ms)


def test_error_attributes_become_members() -> None:
    errors = error_attributes("http://store-trade/", 422, b"other trades")
    assert letter(5, traceparent="00-1", **errors) == DeadLetter(
        key=letter(**errors).key,
        received_ms=5,
        attributes=ATTRIBUTES | {"traceparent": "00-1"},
        data=b"data",
        destination="http://store-trade/",
        status="422",
        reason="other trades",
        replayed_ms=0,
    )


def test_an_event_without_error_attributes_is_taken() -> None:
    assert (letter().destination, letter().status, letter().reason) == ("", "", "")


def test_the_key_is_of_source_id_and_destination() -> None:
    errors = error_attributes("http://store-trade/", 503, b"busy")
    again = error_attributes("http://store-trade/", 400, b"bad")
    elsewhere = error_attributes("http://update-summary/", 503, b"busy")
    assert letter(1, **errors).key == letter(2, **again).key
    keys = {letter(**errors).key, letter(**elsewhere).key, letter(id="2", **errors).key}
    keys |= {letter(id="1/", source="a").key, letter(id="1", source="/a").key}
    assert len(keys) == 5
    assert all(int(key, 16) >= 0 for key in keys)


def test_two_events_of_one_id_are_two_letters() -> None:
    """A conflict: each is all that there is of its trades."""
    first, second = (to_dead_letter(Event(ATTRIBUTES, data), 0) for data in (b"1", b"2"))
    assert first.key != second.key


def test_of_a_problem_the_detail_is_the_reason() -> None:
    body = bytes(problem(400, "trades[3].price must be greater than 0").body)
    attributes = error_attributes("http://x/", 400, body)
    assert letter(**attributes).reason == "trades[3].price must be greater than 0"


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=2000))
def test_what_was_said_is_read_however_long(text: str) -> None:
    reason = decode_reason(error_attributes("http://x/", 500, text.encode())["knativeerrordata"])
    if len(text.encode()) <= 768:
        assert reason == text or text.lstrip().startswith("{")
    else:
        assert text.startswith(reason)
        assert len(reason.encode()) > 764


@pytest.mark.parametrize(
    "text",
    [
        "connection refused",
        "Conflict",
        "",
        "no=",
        "{}",
        '{"detail": 1}',
        '{"detail": ""}',
        "[]",
        "ÿ",
        "[" * 5000,
    ],
)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert decode_reason(text) == text


def test_bytes_that_are_no_text_stay_in_base64() -> None:
    encoded = base64.b64encode(bytes(range(256))).decode()
    assert decode_reason(encoded) == encoded


# Over HTTP


@pytest.fixture(scope="module")
def dead_letter(start_module_function: StartFunction) -> FunctionProcess:
    return start_module_function("dead_letter")


@pytest.fixture
def letters(store_folder: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(store_folder)
    yield store
    store.close()


def test_a_letter_is_kept_once(dead_letter: FunctionProcess, letters: SqliteStore) -> None:
    errors = error_attributes("http://127.0.0.1:9/", 400, b'{"detail":"volume must be more"}')
    for _ in range(2):
        reply = dead_letter.post(trade_body(volume=0), event_headers("kept once", **errors))
        assert (reply.status, reply.body) == (202, b"")
    (kept,) = [each for each in letters.read_dead_letters(100) if each.attributes["id"] == "kept once"]
    assert (kept.destination, kept.status) == ("http://127.0.0.1:9/", "400")
    assert kept.reason == "volume must be more"
    assert kept.data == trade_body(volume=0)
    assert not [name for name in kept.attributes if name.startswith("knativeerror")]


ANY_DATA = {
    "none": (b"", {}),
    "bytes": (bytes(range(256)), {"content-type": "application/octet-stream"}),
    "text": ("å".encode(), {"content-type": "text/plain"}),
    "JSON that is none": (b"{", {"content-type": "application/json"}),
    "no type": (b"abc", {}),
}


@pytest.mark.parametrize("name", ANY_DATA)
def test_any_valid_event_is_taken(dead_letter: FunctionProcess, letters: SqliteStore, name: str) -> None:
    data, content_type = ANY_DATA[name]
    headers = event_headers(f"any {name}", "com.example.other")
    del headers["content-type"]
    assert dead_letter.post(data, headers | content_type).status == 202
    (kept,) = [each for each in letters.read_dead_letters(100) if each.attributes["id"] == f"any {name}"]
    assert kept.data == data


def test_structured_with_base64(dead_letter: FunctionProcess, letters: SqliteStore) -> None:
    event = ATTRIBUTES | {"id": "base64", "data_base64": base64.b64encode(b"\x00\xff").decode()}
    content_type = {"content-type": "application/cloudevents+json"}
    assert dead_letter.post(json.dumps(event), content_type).status == 202
    (kept,) = [each for each in letters.read_dead_letters(100) if each.attributes["id"] == "base64"]
    assert kept.data == b"\x00\xff"


def test_what_is_no_event_is_refused(dead_letter: FunctionProcess) -> None:
    assert dead_letter.post(b"{}", {"content-type": "application/json"}).status == 400
