"""What `tradewind attach` makes of a file, filters and names, and the files it leaves."""

import stat
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from eventing.broker.config import AddressMap, parse_broker, parse_trigger
from tradewind.attached import attachment
from tradewind.attached.attachment import Attachment, Attachments, CannotAttach, check_name, find_target
from tradewind.attached.startup import try_loading
from tradewind.attached.trigger import as_yaml, make_trigger, parse_pairs
from tradewind.cli import app
from tradewind.laptop.folder import DataFolder
from tradewind.laptop.program import PARTS, attached_program, choose_ports

ONE = "from functions.event_function import event_function\n@event_function\ndef one(event): ...\n"
TWO = ONE + "@event_function\nasync def two(event): ...\n"


@pytest.mark.parametrize(
    ("text", "place", "target"),
    [
        (ONE, "{}", "one"),
        (TWO, "{}:two", "two"),
        (TWO, "{}:one", "one"),
        (ONE + "def other(): ...", "{}", "one"),
    ],
)
def test_the_target_of_a_file(tmp_path: Path, text: str, place: str, target: str) -> None:
    file = tmp_path / "own.py"
    file.write_text(text)
    assert find_target(place.format(file)) == (file, target)


LOADED = "from functions.event_function import event_function\nimport subprocess, threading, time\n"


def test_a_file_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "own.py"
    file.write_text(LOADED + "time.sleep(60)\n")
    monkeypatch.setattr("tradewind.attached.startup.START_DEADLINE_S", 3.0)
    with pytest.raises(CannotAttach, match="was not loaded within 3 s"):
        try_loading(file, "one", {})


@pytest.mark.parametrize(
    "left",
    ["subprocess.Popen(['sleep', '60'])", "threading.Thread(target=time.sleep, args=(60,)).start()"],
    ids=["a process", "a thread"],
)
def test_what_a_file_starts_when_it_is_loaded_is_not_waited_for(tmp_path: Path, left: str) -> None:
    file = tmp_path / "own.py"
    file.write_text(f"{LOADED}{left}\n{ONE}")
    started_s = time.monotonic()
    try_loading(file, "one", {})
    assert time.monotonic() - started_s < 40


def test_a_decorator_by_another_way_in(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("from functions import event_function as f\n@f.event_function\ndef one(event): ...\n")
    assert find_target(str(file)) == (file, "one")


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (TWO, "{}", "say which: .*own.py:one"),
        ("def one(event): ...", "{}", "put @event_function before yours"),
        (ONE, "{}:three", "no three under @event_function; it has: one"),
        ("def (", "{}", "no Python that can run"),
        (ONE, "{}x", "can't be read"),
        (ONE, "{}/..", "can't be read"),
    ],
)
def test_a_file_without_one(tmp_path: Path, text: str, place: str, words: str) -> None:
    file = tmp_path / "own.py"
    file.write_text(text)
    with pytest.raises(CannotAttach, match=words):
        find_target(place.format(file))


@pytest.mark.parametrize("name", ["a", "trade-size", "a1", "x" * 63])
def test_names(name: str) -> None:
    assert check_name(name, PARTS) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "1a", "A", "a_b", "a.b", "x" * 64, "a/b", "broker"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(CannotAttach):
        check_name(name, PARTS)


def wish(name: str = "own", **values: str) -> Attachment:
    return Attachment(name, "/own.py", "own", 1, values)


def test_what_is_written_is_read_until_it_is_removed(tmp_path: Path) -> None:
    files = Attachments(tmp_path / "attached")
    assert files.read() == {}
    files.write(wish(SECRET="x"))
    files.write(wish("other"))
    files.write(wish(SECRET="y"))
    assert files.read() == {"other": wish("other"), "own": wish(SECRET="y")}
    modes = [
        stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "attached", tmp_path / "attached/own.json")
    ]
    assert modes == [0o700, 0o600]
    files.remove("own")
    files.remove("own")
    assert list(files.read()) == ["other"]


def test_what_is_no_wish_is_passed_over(tmp_path: Path) -> None:
    files = Attachments(tmp_path)
    files.write(wish())
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "renamed.json").write_bytes((tmp_path / "own.json").read_bytes())
    assert list(files.read()) == ["own"]


def test_there_is_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachment, "MAX_ATTACHMENTS", 2)
    files = Attachments(tmp_path)
    for name in ("a", "b", "a"):
        files.write(wish(name))
    with pytest.raises(CannotAttach, match="`tradewind detach NAME`"):
        files.write(wish("c"))


def test_its_program_cannot_be_moved_by_its_settings(tmp_path: Path) -> None:
    ports, _ = choose_ports(None, None)
    program = attached_program(
        wish(PORT="1", FUNCTION_TARGET="x", ALERT="y"), DataFolder(tmp_path), "sqlite:x", ports, 8_500
    )
    environment = program.environment
    assert (environment["PORT"], environment["FUNCTION_TARGET"], environment["ALERT"]) == ("8500", "own", "y")
    assert program.url == "http://127.0.0.1:8500"
    assert environment["FUNCTION_DATA"] == str(tmp_path / "attached" / "own")


@pytest.mark.parametrize(
    ("attributes", "expression", "taken", "refused"),
    [
        ({"type": "a", "subject": "X"}, None, {"type": "a", "subject": "X"}, {"type": "a"}),
        ({}, "type LIKE 'trade.%'", {"type": "trade.x"}, {"type": "x"}),
        (
            {"type": "a"},
            "subject IN ('X', 'Y')",
            {"type": "a", "subject": "Y"},
            {"type": "b", "subject": "Y"},
        ),
    ],
)
def test_the_trigger_is_one_for_the_broker_and_for_kubectl(
    attributes: dict[str, str], expression: str | None, taken: dict[str, str], refused: dict[str, str]
) -> None:
    made = make_trigger("own", attributes, expression)
    text = as_yaml(made)
    assert yaml.safe_load(text) == made
    assert ("kn trigger create" in text) == (expression is None)
    addresses = AddressMap({"own": "http://127.0.0.1:1"})
    head = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker"}
    broker = parse_broker(head | {"metadata": {"name": "default", "namespace": "tradewind"}}, addresses, "")
    trigger = parse_trigger(yaml.safe_load(text), {broker.key: broker}, addresses, "")
    always = {"specversion": "1.0", "id": "1", "source": "/s"}
    assert trigger.matches(always | taken)
    assert not trigger.matches(always | refused)


@pytest.mark.parametrize(
    ("attributes", "expression"), [({}, None), ({}, "type ="), ({}, "1 + 1"), ({"A": "x"}, None)]
)
def test_filters_that_cannot_be(attributes: dict[str, str], expression: str | None) -> None:
    with pytest.raises(CannotAttach):
        make_trigger("own", attributes, expression)


def test_pairs() -> None:
    assert parse_pairs(["a=b", "c=d=e", "f="], "--filter") == {"a": "b", "c": "d=e", "f": ""}
    for wrong in (["a"], ["=b"], ["a=b", "a=c"]):
        with pytest.raises(CannotAttach, match="--filter"):
            parse_pairs(wrong, "--filter")


@pytest.mark.parametrize("command", ["attach", "detach"])
def test_help(command: str) -> None:
    result = CliRunner(env={"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}).invoke(
        app, [command, "--help"]
    )
    assert "Exit code: 0" in result.output
