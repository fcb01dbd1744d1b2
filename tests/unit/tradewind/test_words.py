"""What commands print: of numbers and of text that others wrote."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tradewind.canned import Server, call
from tradewind.options import print_json
from tradewind.words import plural, printable

ODD = "\x1b]0;title\x07\x1b[2J\x9b31m\r\nstore_trade: STORED\x7f\u202e\u2028"
NOTE = {
    "function": "store_trade",
    "time": "2026-01-31T09:30:01.000Z",
    "attributes": {"id": ODD, "source": ODD, "type": ODD, "subject": ODD},
    "data": {"text": ODD, "base64": None, "size": 2},
    "verdict": "STORED",
    "reason": ODD,
}
LETTER = {
    "key": "ab" * 16,
    "received": "2026-01-31T09:30:00.250Z",
    "attributes": {"id": ODD, "source": ODD, "type": ODD},
    "data": {"text": ODD, "base64": None, "size": 2},
    "destination": f"http://a{ODD}b",
    "status": "400",
    "reason": ODD,
    "replayed": None,
}


def is_harmless(said: str) -> bool:
    return said.replace("\n", "").isprintable()


@pytest.mark.parametrize(("count", "text"), [(0, "0 trades"), (1, "1 trade"), (2_000, "2,000 trades")])
def test_plurals(count: int, text: str) -> None:
    assert plural(count, "trade") == text


@given(st.text())
def test_printable(text: str) -> None:
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


def test_escapes_are_those_that_people_know() -> None:
    assert printable("a\x1b[0m\n\x9b\u202eé") == "a\\x1b[0m\\n\\x9b\\u202eé"


@given(st.text())
def test_json_says_the_same_and_is_harmless(text: str) -> None:
    from contextlib import redirect_stdout
    from io import StringIO

    with redirect_stdout(StringIO()) as out:
        print_json({text: [text]})
    assert is_harmless(out.getvalue())
    assert json.loads(out.getvalue()) == {text: [text]}


def test_events(server: Server, data: str) -> None:
    server.answers["GET", "/v1/events"] = (200, {"events": [NOTE, NOTE | {"verdict": "DUPLICATE"}]})
    said = call("events", "--data", data)
    assert said.count("\n") == 2
    assert is_harmless(said)
    assert is_harmless(call("events", "--data", data, "--json"))
    server.answers["GET", "/v1/events"] = (400, {"detail": ODD})
    assert is_harmless(call("events", "--data", data, code=2))


def test_dead_letters(server: Server, data: str) -> None:
    server.answers["GET", "/v1/dead-letters"] = (200, {"dead_letters": [LETTER], "next_cursor": None})
    server.answers["GET", f"/v1/dead-letters/{LETTER['key']}"] = (200, LETTER)
    server.answers["POST", f"/v1/dead-letters/{LETTER['key']}/replay"] = (502, {"detail": ODD})
    for command in (("list",), ("list", "--json"), ("show", "ab"), ("show", str(LETTER["key"]))):
        assert is_harmless(call("dlq", *command, "--data", data))
    assert is_harmless(call("dlq", "replay", "ab", "--data", data, code=1))


def test_a_dead_letter_from_nowhere(server: Server, data: str) -> None:
    letter = LETTER | {"destination": "http://[::1"}
    server.answers["GET", "/v1/dead-letters"] = (200, {"dead_letters": [letter], "next_cursor": None})
    assert "http://[::1" in call("dlq", "list", "--data", data)


def test_query(server: Server, data: str) -> None:
    trade = {"id": ODD, "source": ODD, "time": "t", "price": "1.0000", "volume": 5}
    server.answers["GET", "/v1/tickers/A/trades"] = (200, {"ticker": "A", "trades": [trade]})
    assert is_harmless(call("query", "A", "--trades", "--data", data))
    server.answers["GET", "/v1/tickers/A"] = (500, {"detail": ODD})
    assert is_harmless(call("query", "A", "--data", data, code=1))
    server.answers["GET", "/v1/tickers"] = (200, {"tickers": [{"ticker": "A"}], "total": 1})
    assert "1 of 1 ticker" in call("query", "--data", data).splitlines()[-1].split("  ")


@pytest.mark.parametrize(
    "command",
    [
        ("query",),
        ("query", "A"),
        ("query", "A", "--trades"),
        ("events",),
        ("dlq", "list"),
        ("dlq", "show", "ab" * 16),
        ("dlq", "replay", "--all"),
    ],
)
@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b'{"other": 1}'])
def test_another_server_at_the_address(server: Server, command: tuple[str, ...], body: bytes) -> None:
    """None of these may be a traceback, which CliRunner tells by an exit code of 1 and no output."""
    for place in ("tickers", "tickers/A", "tickers/A/trades", "events", "dead-letters"):
        server.answers["GET", f"/v1/{place}"] = (200, body)
    server.answers["GET", f"/v1/dead-letters/{'ab' * 16}"] = (200, body)
    if body == b'{"other": 1}' and command in (("query", "A"), ("dlq", "show", "ab" * 16)):
        call(*command, "--url", server.url)  # shows whatever object there is
        return
    said = call(*command, "--url", server.url, code=2)
    assert "is the address right?" in said


@pytest.mark.parametrize("url", ["http://[::1", "http://a..b/", "localhost:8080", "http://127.0.0.1:99999"])
@pytest.mark.parametrize("command", ["query", "events", "dlq list"])
def test_no_address(command: str, url: str) -> None:
    assert "is no address of a server" in call(*command.split(), "--url", url, code=2)


def test_a_gateway_between_a_replay_and_us(server: Server) -> None:
    server.answers["GET", "/v1/dead-letters"] = (200, {"dead_letters": [LETTER], "next_cursor": None})
    server.answers["POST", f"/v1/dead-letters/{LETTER['key']}/replay"] = (502, b"bad gateway")
    said = call("dlq", "replay", "--all", "--json", "--url", server.url, code=1)
    assert json.loads(said) == {"key": LETTER["key"], "status": 502, "answer": "bad gateway"}
    assert "bad gateway" in call("dlq", "replay", "--all", "--url", server.url, code=1)
