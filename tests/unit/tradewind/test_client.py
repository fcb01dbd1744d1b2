"""The commands' requests: whatever a server or an address is, there is an answer or a message."""

import time

import pytest

from tests.unit.tradewind.canned import Server
from tradewind.client import Answer, Unreachable, ask


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_nobody_else_gets_the_token(server: Server, status: int) -> None:
    server.answers["POST", "/old"] = (status, None, {"location": f"{server.url}/new"})
    server.answers["GET", "/new"] = server.answers["POST", "/new"] = (202, None)
    answer = ask(server.url + "/old", method="POST", headers={"authorization": "Bearer x"}, body=b"{}")
    assert answer.status == status
    assert f"{server.url}/new" in answer.reason
    assert [asked[1] for asked in server.asked] == ["/old"]


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8080",
        "file:///etc/passwd",
        "http://[::1",
        "http://a..b/",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x/",
        "http:///v1",
        "http://127.0.0.1:1/é",
        "http://127.0.0.1:1/a b",
    ],
)
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(Unreachable, match="is no address of a server"):
        ask(url)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[1]", b'"\xff"', b'{"a":' * 100_000],
    ids=["none", "page", "list", "bad", "deep"],
)
def test_what_is_no_json_object_is_not_from_the_query_function(server: Server, body: bytes) -> None:
    server.answers["GET", "/x"] = (200, body)
    answer = ask(server.url + "/x")
    with pytest.raises(Unreachable, match=f"{server.url}/x answers 200, but not as .* does: is the address"):
        _ = answer.json


def test_rows() -> None:
    assert Answer(200, b'{"events":[{"a":1}]}').rows("events") == [{"a": 1}]
    for body in (b"{}", b'{"events":{}}', b'{"events":[1]}'):
        with pytest.raises(Unreachable):
            Answer(200, body).rows("events")


def test_reasons() -> None:
    assert Answer(400, b'{"detail":"no"}').reason == "no"
    assert Answer(400, b" no \n").reason == "no"
    assert Answer(502, b"").reason == "Bad Gateway"
    assert Answer(299, b"").reason == ""
    assert len(Answer(502, b"<p>" * 10_000).reason) <= 500


def test_a_time_limit_of_its_own(server: Server) -> None:
    def late(_: bytes) -> tuple[int, None]:
        time.sleep(0.5)
        return 202, None

    server.answers["GET", "/x"] = late
    with pytest.raises(Unreachable, match=r"nothing for 0\.1 s"):
        ask(server.url + "/x", timeout_s=0.1)
    assert ask(server.url + "/x", timeout_s=30.0).status == 202
