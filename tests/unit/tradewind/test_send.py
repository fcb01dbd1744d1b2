"""`tradewind send` where something is in the way: the id is always told, and how to send the same again."""

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.tradewind.canned import Server, call, runner
from tradewind import client, outcome, send
from tradewind.cli import app

TRADE = ("send", "WIND", "32.10", "100")
BROKER = "/tradewind/default"
NAMED = ("--id", "e 1", "--time", "2026-01-31T09:30:00Z")


def again(said: str) -> tuple[str, ...]:
    """The command that is to be typed."""
    line = next(line for line in said.splitlines() if "`tradewind send " in line)
    return tuple(shlex.split(line.rpartition("`tradewind ")[2].partition("`")[0]))


@pytest.fixture
def hanging_up(server: Server) -> Server:
    """A broker that takes the event, and dies before it answers."""

    def die(_: bytes) -> tuple[int, None]:
        raise ConnectionError

    server.answers["POST", BROKER] = die
    return server


def test_no_answer_of_a_sink(hanging_up: Server) -> None:
    sink = hanging_up.url + BROKER
    said = call(*TRADE, "--sink", sink, "--source", "/me", "--structured", code=2)
    sent = json.loads(hanging_up.asked[0][4])
    assert f"event   {sent['id']} (source /me)\n" in said
    assert f"No answer from {sink}" in said
    assert "counts once" in said
    call(*again(said), code=2)
    assert json.loads(hanging_up.asked[1][4]) == sent


def test_the_same_again_is_the_same(hanging_up: Server, data: str) -> None:
    said = call("send", "--data", data, "--", "WIND", "-1", "100", code=2)
    call(*again(said), code=2)
    one, two = hanging_up.asked
    assert one[4] == two[4]
    assert [(each[3]["ce-id"], each[3]["ce-source"]) for each in (one, two)] == [
        (one[3]["ce-id"], "/tradewind/send")
    ] * 2


def test_for_scripts(hanging_up: Server, data: str) -> None:
    result = runner.invoke(app, [*TRADE, *NAMED, "--data", data, "--json"])
    assert result.exit_code == 2
    report = json.loads(result.stdout)
    assert (report["id"], report["status"]) == ("e 1", None)
    assert "No answer" in report["reason"]
    assert again(f"`{report['again']}`") == ("send", *NAMED, "--data", data, *TRADE[1:])


def test_who_waits_no_longer_is_told_the_same(
    server: Server, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tradewind.client.ask", interrupt)
    said = call(*TRADE, *NAMED, "--data", data, code=2)
    assert "event   e 1 (source" in said
    assert "before the broker answered" in said
    assert again(said) == ("send", *NAMED, "--data", data, *TRADE[1:])


Canned = tuple[int, Any] | Callable[[bytes], tuple[int, Any]]


def fall(_: bytes) -> tuple[int, Any]:
    raise ConnectionError


@pytest.mark.parametrize("seen", [(503, {"detail": "the store is busy"}), (200, b"<html>"), fall, (200, {})])
def test_a_query_function_that_is_down_says_nothing_about_the_broker(
    server: Server, data: str, seen: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "SEEN_WITHIN_S", 0.1)
    server.answers["POST", BROKER] = (202, None)
    server.answers["GET", "/v1/events"] = seen
    said = call(*TRADE, *NAMED, "--data", data, code=1)
    assert "event   e 1 (source /tradewind/send)\nbroker  202\n" in said
    assert "why     " in said
    assert f"`tradewind events --id 'e 1' --data {data}`" in said
    assert again(said)
    report = json.loads(runner.invoke(app, [*TRADE, *NAMED, "--data", data, "--json"]).stdout)
    assert (report["status"], report["verdicts"]) == (202, {})


def test_who_stops_looking_is_told_where_to_look(
    server: Server, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    server.answers["POST", BROKER] = (202, None)
    server.answers["GET", "/v1/events"] = (200, {"events": []})
    monkeypatch.setattr("tradewind.outcome.time.sleep", interrupt)
    said = call(*TRADE, *NAMED, "--data", data, code=1)
    assert "broker  202\nwhy     You stopped looking\n" in said
    assert again(said)


def test_a_query_function_that_is_back_in_time(server: Server, data: str) -> None:
    answers = iter([(503, {"detail": "it starts"}), (200, {"events": []})])
    server.answers["POST", BROKER] = (202, None)
    server.answers["GET", "/v1/events"] = lambda _: next(answers, (200, {"events": []}))
    said = call(*TRADE, "--data", data, code=1)
    assert "it starts" not in said


def test_a_broker_that_is_busy_gets_the_same_again(server: Server, data: str) -> None:
    server.answers["POST", BROKER] = (503, {"detail": "its disk is full"})
    said = call(*TRADE, *NAMED, "--data", data, code=1)
    assert "broker  503 its disk is full\n" in said
    assert again(said)


def test_what_is_wrong_is_not_to_be_sent_again(server: Server, data: str) -> None:
    server.answers["POST", BROKER] = (400, {"detail": "attribute id is empty"})
    assert "again" not in call(*TRADE, "--data", data, code=1)


def test_a_redirect_is_no_success(server: Server) -> None:
    server.answers["POST", "/old"] = (302, None, {"location": "/new"})
    server.answers["GET", "/new"] = (200, {})
    assert "leads to /new" in call(*TRADE, "--sink", server.url + "/old", code=1)


def test_nobody_writes_on_the_terminal_but_we(server: Server, data: str) -> None:
    server.answers["POST", BROKER] = (400, {"detail": "\x1b[31mred\nbroker  202"})
    said = call(*TRADE, "--id", "e\x9b1", "--data", data, code=1)
    assert "broker  400 \\x1b[31mred\\nbroker  202\n" in said
    assert "event   e\\x9b1 (source" in said


def test_a_single_trade(server: Server, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "SEEN_WITHIN_S", 0)
    server.answers["POST", BROKER] = (202, None)
    server.answers["GET", "/v1/events"] = (200, {"events": []})
    row = {"trade_count": 1, "volume": 100, "price": "32.1000"}
    server.answers["GET", "/v1/tickers/WIND"] = (200, row)
    assert "ticker  WIND: 1 trade, volume 100, price 32.1000" in call(*TRADE, "--data", data, code=1)


# How long it waits for a broker elsewhere


def test_it_waits_longer_than_a_broker_in_memory_tries() -> None:
    """To a function and then to the dead-letter function: both with all retries, or each attempt in vain."""
    file = Path(__file__).parents[3] / "knative" / "base" / "broker.yaml"
    delivery = yaml.safe_load(file.read_text())["spec"]["delivery"]
    assert (delivery["backoffDelay"], delivery["backoffPolicy"]) == ("PT0.2S", "exponential")
    retries_s = sum(0.2 * 2**attempt for attempt in range(delivery["retry"]))
    attempt_s = float(delivery["timeout"].removeprefix("PT").removesuffix("S"))
    in_vain_s = retries_s + (1 + delivery["retry"] + 1) * attempt_s
    assert max(2 * (retries_s + attempt_s), in_vain_s) < client.BROKER_TIMEOUT_S


def test_a_slow_sink_is_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(_: bytes) -> tuple[int, None]:
        time.sleep(0.5)
        return 202, None

    server.answers["POST", BROKER] = late
    monkeypatch.setattr(send, "PATIENCE_S", 0.05)
    said = call(*TRADE, "--sink", server.url + BROKER)
    assert "broker  202\n" in said
    assert "No answer yet" in said
    monkeypatch.setattr(client, "BROKER_TIMEOUT_S", 0.1)
    assert "nothing for 0.1 s" in call(*TRADE, "--sink", server.url + BROKER, code=2)
