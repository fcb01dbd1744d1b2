"""Functions of one's own, attached to a pipeline that runs, as a user does it."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventing.codec import encode_binary
from eventing.event import Event
from tests.integration.conftest import Up, run
from tradewind.client import ask

pytestmark = pytest.mark.timeout(240)

Start = Callable[..., Up]
FUNCTIONS = Path(__file__).parents[2] / "functions"
BOTH = "type IN ('trade.executed.v1', 'trade.batch.v1')"
CLASSIFIED = "trade.classified.v1"


def ready(up: Up) -> Up:
    up.until(lambda: " sent " in up.output, "everything is ready")
    return up


def command(up: Up, *arguments: str, code: int = 0) -> str:
    result = run(*arguments, data=up.data)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr


def attach(up: Up, *arguments: str) -> str:
    return command(up, "attach", str(FUNCTIONS / "trade_size.py"), "--expression", BOTH, *arguments)


def send(up: Up, id_: str, volume: int = 100) -> None:
    """The same id and volume, the same event."""
    trade = {"ticker": "ASPS", "price": "32.10", "volume": volume, "timestamp": 1_700_000_000_000}
    attributes = {"specversion": "1.0", "id": id_, "source": "/tests", "type": "trade.executed.v1"}
    event = Event(attributes | {"datacontenttype": "application/json"}, json.dumps(trade).encode())
    headers, body = encode_binary(event)
    assert ask(up.run["ingress_url"], method="POST", headers=headers, body=body).status == 202


def broker(up: Up, place: str) -> Any:
    return ask(up.run["broker_url"] + place).json


def classified(up: Up) -> list[dict[str, Any]]:
    """What the broker got from the function, oldest first."""
    found = broker(up, f"/-/events?after=0&limit=1000&type={CLASSIFIED}")["events"]
    return [entry["event"] for entry in found]


def different(up: Up) -> dict[tuple[str, str], str]:
    """The answers by their identity; two with the same identity are the same answer."""
    answers: dict[tuple[str, str], str] = {}
    for event in classified(up):
        data = json.dumps(event["data"])
        assert answers.setdefault((event["source"], event["id"]), data) == data
    return answers


def until_answered(up: Up, events: int) -> None:
    up.until(lambda: len(different(up)) == events, f"{events} different answers")


def triggers(up: Up) -> list[str]:
    return [trigger["name"] for trigger in broker(up, "/-/triggers")["triggers"] if trigger["attached"]]


def test_from_attach_to_detach(start: Start) -> None:
    """Each event is answered by one event, whatever comes twice and whoever is killed; then no more."""
    up = ready(start("--fresh", "--no-generator"))
    send(up, "before")
    assert "attached  trade-size" in attach(up)
    ids = [str(number) for number in range(20)]
    for id_ in ids * 2:
        send(up, id_, volume=9_000)
    up.until(lambda: len(classified(up)) >= 40, "all are answered")
    until_answered(up, 20)
    assert {json.loads(data)["counts"]["ASPS"]["WHALE"] for data in different(up).values()} == {1}

    pid = up.pid("trade-size")
    os.kill(pid, signal.SIGKILL)
    send(up, "while it is dead")
    until_answered(up, 21)
    assert up.pid("trade-size") not in (0, pid)
    assert "trade-size died (killed by SIGKILL)" in up.output

    shown = command(up, "events", "--function", "trade_size", "--verdict", "REPLIED", "--json")
    assert json.loads(shown.splitlines()[0])["attributes"]["type"] == CLASSIFIED

    assert "detached  trade-size" in command(up, "detach", "trade-size")
    assert triggers(up) == []
    assert "trade-size" not in up.run["processes"]
    before = len(classified(up))
    send(up, "after")
    up.until(lambda: up.counted == 23, "it is counted")
    assert len(classified(up)) == before
    assert "is not attached" in command(up, "detach", "trade-size", code=1)
    assert up.stop() == 0, up.output
    assert up.totals()["dead letters"] == 0


def test_it_comes_back_with_the_pipeline(start: Start) -> None:
    """After a clean stop and after a kill, on other ports; `--fresh` forgets it."""
    up = ready(start("--fresh", "--no-generator"))
    attach(up, "--name", "sizes", "--env", "NAME=value")
    assert up.stop() == 0, up.output
    for number in (1, 2):
        up = ready(start("--no-generator"))
        assert triggers(up) == ["tradewind/sizes"]
        send(up, f"run {number}")
        until_answered(up, number)
        up.process.kill()
        up.process.wait()
    up = ready(start("--fresh", "--no-generator"))
    assert triggers(up) == []
    assert "sizes" not in up.run["processes"]


def test_attached_again_it_is_another_function_and_loses_nothing(start: Start, tmp_path: Path) -> None:
    up = ready(start("--fresh", "--no-generator"))
    source = tmp_path / "own.py"
    text = """
from functions.event_function import CloudEvent, event_function, reply_to

@event_function
def own(event: CloudEvent) -> CloudEvent:
    return reply_to(event, "trade.classified.v1", VERSION, source="/own")
"""
    wanted = ("attach", str(source), "--filter", "type=trade.executed.v1", "--filter", "source=/tests")
    for version in (1, 2):
        source.write_text(text.replace("VERSION", str(version)))
        command(up, *wanted)
        send(up, f"version {version}")
        until_answered(up, version)
    assert list(different(up).values()) == ["1", "2"]

    source.write_text("import nowhere" + text)
    assert "No module named 'nowhere'" in command(up, *wanted, code=1)
    send(up, "the former still runs")
    until_answered(up, 3)


def test_what_a_bad_function_does_stays_with_it(start: Start, tmp_path: Path) -> None:
    """It dies at each event: the rest goes on."""
    up = ready(start("--fresh", "--no-generator"))
    source = tmp_path / "bad.py"
    source.write_text("""
import os
from functions.event_function import CloudEvent, event_function

@event_function
def bad(event: CloudEvent) -> None:
    os._exit(3)
""")
    command(up, "attach", str(source), "--filter", "type=trade.executed.v1")
    send(up, "1")
    up.until(lambda: "bad died (exit code 3)" in up.output, "it died")
    up.until(lambda: up.counted == 1, "the pipeline's own functions go on")
    assert "Events that the broker keeps for it" in command(up, "detach", "bad")
    assert up.stop() == 0, up.output
    assert "All adds up" in up.output


def test_one_that_is_gone_is_said_and_nobody_waits_for_it(start: Start, tmp_path: Path) -> None:
    """Its file was removed between two runs: its events wait in the broker, the pipeline runs and stops."""
    source = tmp_path / "gone.py"
    source.write_text((FUNCTIONS / "trade_size.py").read_text())
    up = ready(start("--fresh", "--no-generator"))
    command(up, "attach", str(source), "--expression", BOTH)
    assert up.stop() == 0, up.output
    source.unlink()
    up = ready(start("--no-generator"))
    up.until(lambda: "The rest goes on" in up.output, "it is given up")
    send(up, "1")
    up.until(lambda: up.counted == 1, "the pipeline's own functions go on")
    assert up.stop() == 0, up.output
    assert "deliveries to go" not in up.output
    assert "All adds up" in up.output


def test_what_cannot_be_attached(start: Start, tmp_path: Path) -> None:
    up = ready(start("--fresh", "--no-generator"))
    size = str(FUNCTIONS / "trade_size.py")
    named = ("--filter", "type=x", "--name")
    for arguments, words in {
        (size,): "say which events",
        (size, "--filter", "type"): "NAME=VALUE",
        (size, "--filter", "type=a", "--filter", "type=b"): "--expression",
        (size, "--expression", "type ="): "a value is expected",
        (size, *named, "store-trade"): "part of the pipeline",
        (size, *named, "Big"): "is no name",
        (f"{size}:other", "--filter", "type=x"): "trade_size",
        (str(FUNCTIONS / "main.py"), "--filter", "type=x"): "@event_function",
        (str(tmp_path / "none.py"), "--filter", "type=x"): "none.py",
    }.items():
        assert words in command(up, "attach", *arguments, code=1)
    assert triggers(up) == []
    assert "is not attached" in command(up, "detach", "store-trade", code=1)


def test_nothing_runs(tmp_path: Path) -> None:
    """The YAML needs no pipeline, the rest does."""
    wanted = ("attach", str(FUNCTIONS / "trade_size.py"), "--filter", "type=trade.executed.v1")
    shown = run(*wanted, "--yaml", data=tmp_path)
    assert shown.returncode == 0
    assert "# kn trigger create trade-size" in shown.stdout
    for arguments in (wanted, ("detach", "trade-size")):
        result = run(*arguments, data=tmp_path)
        assert (result.returncode, "tradewind up" in result.stderr) == (2, True)
