"""Dead letters: the list, one of them, and sending it again."""

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from functions.query.app import create_app
from functions.query.recent import KEPT_MS
from trades.store import DeadLetter, StoreUnavailable

Read = Callable[..., dict[str, Any]]

KEY = "ab" * 16
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "e 1",
    "source": "/tests",
    "type": "trade.executed.v1",
    "datacontenttype": "application/json",
}


def make_letter(key: str = KEY, data: bytes = b"{}", received_ms: int = 1_000) -> DeadLetter:
    return DeadLetter(
        key, received_ms, ATTRIBUTES, data, "http://store-trade/", "400", "price must be > 0", 0
    )


@pytest.fixture
def replayer(store, clock, broker) -> FlaskClient:
    return create_app(store, clock_ms=clock, broker_url=f"{broker.url}/tradewind/default").test_client()


def replay(client: FlaskClient, key: str = KEY) -> Any:
    return client.post(f"/v1/dead-letters/{key}/replay", json={})


def test_the_list(store, read: Read) -> None:
    store.add_dead_letters([make_letter()])
    store.add_dead_letters([make_letter("cd" * 16, received_ms=2_000)])
    first, second = read("/v1/dead-letters")["dead_letters"]
    assert first["key"] == "cd" * 16
    assert second == {
        "key": KEY,
        "received": "1970-01-01T00:00:01.000Z",
        "attributes": ATTRIBUTES,
        "data": {"text": "{}", "base64": None, "size": 2, "is_cut": False},
        "destination": "http://store-trade/",
        "status": "400",
        "reason": "price must be > 0",
        "replayed": None,
    }


def test_data_is_cut_in_the_list_only(store, read: Read) -> None:
    data = bytes(range(256)) * 20
    store.add_dead_letters([make_letter(data=data)])
    [listed] = read("/v1/dead-letters")["dead_letters"]
    assert listed["data"]["is_cut"]
    whole = read(f"/v1/dead-letters/{KEY}")["data"]
    assert not whole["is_cut"]
    assert base64.b64decode(whole["base64"]) == data


def test_replay(store, clock, broker, replayer: FlaskClient) -> None:
    store.add_dead_letters([make_letter()])
    answer = replay(replayer)
    assert answer.status_code == 200
    assert answer.json == {
        "key": KEY,
        "replayed": "2026-01-31T09:30:00.250Z",
        "broker": {"status": 202, "text": ""},
    }
    [(path, headers, body)] = broker.requests
    assert (path, body) == ("/tradewind/default", b"{}")
    assert headers["ce-id"] == "e%201"
    assert (headers["ce-source"], headers["content-type"]) == ("/tests", "application/json")
    assert replayer.get("/v1/dead-letters").json == {"dead_letters": [], "next_cursor": None}
    [letter] = replayer.get("/v1/dead-letters?replayed=true").json["dead_letters"]
    assert letter["replayed"] == "2026-01-31T09:30:00.250Z"


@pytest.mark.parametrize(("status", "expected"), [(400, 502), (404, 502), (503, 502), (307, 502)])
def test_what_the_broker_refuses_still_waits(
    store, broker, replayer: FlaskClient, status: int, expected: int
) -> None:
    broker.status, broker.body = status, b"no such broker"
    store.add_dead_letters([make_letter()])
    answer = replay(replayer)
    assert answer.status_code == expected
    assert "no such broker" in answer.json["detail"]
    assert len(replayer.get("/v1/dead-letters").json["dead_letters"]) == 1


def test_a_broker_that_is_not_there(store) -> None:
    client = create_app(store, broker_url="http://127.0.0.1:9/").test_client()
    store.add_dead_letters([make_letter()])
    assert replay(client).status_code == 503
    assert len(client.get("/v1/dead-letters").json["dead_letters"]) == 1


def test_without_the_brokers_answer_it_is_in_doubt_and_still_waits(store, broker, monkeypatch) -> None:
    monkeypatch.setattr("functions.query.outgoing.TIMEOUT_S", 0.2)
    broker.before_answer = lambda: time.sleep(0.5)
    client = create_app(store, broker_url=broker.url + "/").test_client()
    store.add_dead_letters([make_letter()])
    answer = replay(client)
    assert answer.status_code == 504
    assert "in doubt" in answer.json["detail"]
    assert "still waits" in answer.json["detail"]
    assert len(client.get("/v1/dead-letters").json["dead_letters"]) == 1


def test_what_fails_again_waits_again(store, broker, replayer: FlaskClient) -> None:
    """A broker may deliver, fail and dead-letter before it answers the replay."""
    store.add_dead_letters([make_letter()])
    broker.before_answer = lambda: store.add_dead_letters([make_letter()])
    assert replay(replayer).status_code == 200
    assert len(replayer.get("/v1/dead-letters").json["dead_letters"]) == 1


def test_what_http_has_no_form_for_still_waits(store, replayer: FlaskClient, broker) -> None:
    letter = make_letter()
    letter.attributes = ATTRIBUTES | {"datacontenttype": 'text/plain; t="ł"'}
    store.add_dead_letters([letter])
    assert replay(replayer).status_code == 503
    assert broker.requests == []
    assert store.count_dead_letters() == 1


def test_what_could_not_be_marked_still_waits(store, broker, replayer: FlaskClient, monkeypatch) -> None:
    """As where the store is busy, or this process ends, after the broker's answer: sending again is safe."""
    store.add_dead_letters([make_letter()])

    def busy(*_: object) -> None:
        raise StoreUnavailable("busy")

    with monkeypatch.context() as patch:
        patch.setattr(store, "mark_replayed", busy)
        assert replay(replayer).status_code == 503
    assert len(broker.requests) == 1
    assert store.count_dead_letters() == 1
    assert replay(replayer).status_code == 200
    assert store.count_dead_letters() == 0


def test_it_waits_while_it_is_sent(store, broker, replayer: FlaskClient) -> None:
    store.add_dead_letters([make_letter()])
    waiting = []
    broker.before_answer = lambda: waiting.append(store.count_dead_letters())
    assert replay(replayer).status_code == 200
    assert (waiting, store.count_dead_letters()) == ([1], 0)


def test_what_can_not_be_sent(store, replayer: FlaskClient, broker) -> None:
    letter = make_letter()
    letter.attributes = ATTRIBUTES | {"Bad Name": "x"}
    store.add_dead_letters([letter])
    assert replay(replayer).status_code == 422
    assert broker.requests == []
    assert len(replayer.get("/v1/dead-letters").json["dead_letters"]) == 1


def test_there_is_nothing_to_choose(store, replayer: FlaskClient, broker) -> None:
    store.add_dead_letters([make_letter()])
    url = f"/v1/dead-letters/{KEY}/replay"
    for body in (b"[]", b"{", b'{"id": "other"}', b"\x00"):
        assert replayer.post(url, data=body, content_type="application/json").status_code == 400
    assert broker.requests == []
    assert replayer.post(url, data=b"", content_type="application/json").status_code == 200


@pytest.mark.parametrize("key", ["00", "xyz", "'", "a" * 200])
def test_an_unknown_key(replayer: FlaskClient, key: str) -> None:
    assert replay(replayer, key).status_code == 404
    assert replayer.get(f"/v1/dead-letters/{key}").status_code == 404


def test_without_a_broker(store, client: FlaskClient) -> None:
    store.add_dead_letters([make_letter()])
    answer = replay(client)
    assert answer.status_code == 503
    assert "K_SINK" in answer.json["detail"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "replayed=maybe", "key=1"])
def test_parameters_have_limits(read: Read, query: str) -> None:
    read(f"/v1/dead-letters?{query}", 400)


def test_pages_reach_every_letter(store, read: Read) -> None:
    keys = [f"{number:032x}" for number in range(7)]
    store.add_dead_letters([make_letter(key, received_ms=number // 2) for number, key in enumerate(keys)])
    found, cursor = [], ""
    while cursor is not None:
        page = read(f"/v1/dead-letters?limit=3{cursor and f'&cursor={cursor}'}")
        found += [letter["key"] for letter in page["dead_letters"]]
        cursor = page["next_cursor"]
    assert found == keys[::-1]


@pytest.mark.parametrize("cursor", ["", "x", "1-", "-1-ab", "1-AB", "1" * 16 + "-ab"])
def test_a_cursor_that_is_none(read: Read, cursor: str) -> None:
    read(f"/v1/dead-letters?cursor={cursor}", 400)


def test_the_list_is_kept_for_a_moment(store, clock, read: Read) -> None:
    assert read("/v1/dead-letters")["dead_letters"] == []
    store.add_dead_letters([make_letter()])
    clock.advance(KEPT_MS)
    assert len(read("/v1/dead-letters")["dead_letters"]) == 1
