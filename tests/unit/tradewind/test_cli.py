"""The commands as a user calls them; where they talk HTTP, to a real server with canned answers."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.unit.tradewind.canned import Server, call, runner
from trades.stores.sqlite import SqliteStore
from trades.trade import Trade, TradeEvent
from tradewind.attached.attachment import Attachment, Attachments
from tradewind.cli import app
from tradewind.laptop.folder import DataFolder, Run
from tradewind.laptop.program import check_settings
from tradewind.laptop.supervise import Wishes

ROW = {
    "ticker": "BRK.B",
    "name": "Berkshire Hathaway",
    "price": "400.1000",
    "volume": 12_345,
    "value": "4939234.5000",
    "trade_count": 7,
    "high": "401.0000",
    "low": "399.0000",
    "last_trade_time": "2026-01-31T09:30:00.250Z",
}
LETTER = {
    "key": "abc123def4567890",
    "received": "2026-01-31T09:30:00.250Z",
    "attributes": {"id": "e1", "source": "/s", "type": "trade.executed.v1"},
    "data": {"text": "{}", "base64": None, "size": 2},
    "destination": "http://store-trade.tradewind.svc.cluster.local",
    "status": "400",
    "reason": "price must be greater than 0",
    "replayed": None,
}


# Help


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    script = (
        "import sys\nfrom tradewind.cli import app\nprint(*sorted(set(sys.modules) & set(sys.argv[1:])))\n"
    )
    heavy = (
        "aiohttp",
        "pydantic",
        "flask",
        "starlette",
        "aerospike",
        "functions",
        "uvicorn",
        "generator.run",
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *heavy, "typer"], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["typer"]


def commands(of: typer.Typer, *before: str) -> Iterator[tuple[str, ...]]:
    """The words of each command, those of groups too."""
    for each in of.registered_commands:
        assert each.callback is not None
        yield (*before, each.name or each.callback.__name__)
    for group in of.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, *before, str(group.name))


COMMANDS = list(commands(app))


def test_version() -> None:
    assert call("--version").split()[0] == "tradewind"


def test_all_commands_are_looked_at() -> None:
    assert {("up",), ("generate",), ("dlq", "replay"), ("undeploy",)} < set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_has_help_and_says_its_exit_codes(command: tuple[str, ...]) -> None:
    assert command[-1] in call(*command[:-1], "--help")
    output = call(*command, "--help")
    assert "Usage: " in output
    assert "Exit code: 0" in output


def test_generate_sends_to_the_pipeline_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int]] = []

    def generate(max_trades: int = 0) -> None:
        told.append((os.environ["K_SINK"], max_trades))

    monkeypatch.setattr("generator.command.generate", generate)
    monkeypatch.setenv("K_SINK", "")
    monkeypatch.delenv("K_SINK")
    folder = DataFolder(tmp_path)
    with folder.locked():
        folder.write_run(Run(1, 0, str(tmp_path), "", "http://q", "http://b", "http://b/x/y"))
        call("generate", "--data", str(tmp_path), "--max-trades", "3")
    assert told == [("http://b/x/y", 3)]


@pytest.mark.parametrize("help_", ["-h", "--help"])
def test_generate_is_the_generator(help_: str) -> None:
    output = call("generate", help_)
    assert "--k-sink" in output
    assert "--data" in output
    assert "--trades-per-second" in output


# Nothing runs


@pytest.mark.parametrize(
    "arguments",
    [("query",), ("send", "A", "1", "1"), ("events",), ("dlq", "list"), ("repair",), ("dlq", "show", "x")],
)
def test_without_a_pipeline_the_way_to_one_is_shown(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert "`tradewind up" in call(*arguments, "--data", str(tmp_path / "none"), code=2)


def test_a_server_that_does_not_answer_is_named(data: str) -> None:
    assert "No answer from http://127.0.0.1:1" in call("query", "--url", "http://127.0.0.1:1", code=2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("up", "--for", "soon"), "not a duration"),
        (("up", "--port", "70000"), "--port"),
        (("query", "--trades"), "need a TICKER"),
        (("query", "A", "--trades", "--prices"), "one at a time"),
        (("query", "A", "--search", "x"), "give it, or a TICKER"),
        (("dlq", "replay"), "KEY, or --all"),
        (("dlq", "replay", "k", "--all"), "KEY, or --all"),
    ],
)
def test_wrong_options_are_said(arguments: tuple[str, ...], words: str) -> None:
    assert words in call(*arguments, code=2)


# Query


def test_the_list(server: Server, data: str) -> None:
    server.answers["GET", "/v1/tickers"] = (200, {"tickers": [ROW], "total": 4_064})
    output = call("query", "--data", data, "--sort", "value", "-n", "5", "-q", "berk")
    assert "BRK.B" in output
    assert "12,345" in output
    assert "1 of 4,064 tickers" in output
    assert server.asked[0][2] == {"sort": ["value"], "order": ["desc"], "limit": ["5"], "q": ["berk"]}


def test_a_ticker(server: Server, data: str) -> None:
    server.answers["GET", "/v1/tickers/BRK.B"] = (200, ROW)
    output = call("query", "BRK.B", "--data", data)
    assert "Berkshire Hathaway" in output
    assert "401.0000" in output
    assert json.loads(call("query", "BRK.B", "--data", data, "--json")) == ROW


@pytest.mark.parametrize(
    ("option", "rows"),
    [
        ("trades", [{"id": "e1-0", "source": "/s", "time": "t", "price": "1.0000", "volume": 5}]),
        ("prices", [{"price": "1.0000", "volume": 5, "trade_count": 2, "latest_time": "t"}]),
    ],
)
def test_its_trades_and_prices(server: Server, data: str, option: str, rows: list[dict[str, Any]]) -> None:
    answer = {"ticker": "A/B", option: rows, "next_cursor": None}
    server.answers["GET", f"/v1/tickers/A%2FB/{option}"] = (200, answer)
    output = call("query", "A/B", f"--{option}", "--data", data)
    assert all(str(value) in output for value in rows[0].values())


def test_one_that_never_traded(data: str) -> None:
    assert "never traded" in call("query", "NONE", "--data", data, code=1)


# Send


def noted(server: Server, verdicts: dict[str, str]) -> None:
    """The server takes events, and notes them with these verdicts."""
    seen: list[dict[str, Any]] = []

    def take(body: bytes) -> tuple[int, Any]:
        headers = server.asked[-1][3]
        structured = "structured" if "ce-id" not in headers else ""
        event = json.loads(body) if structured else {"id": headers["ce-id"], "source": headers["ce-source"]}
        for function, verdict in verdicts.items():
            attributes = {"id": event["id"], "source": event["source"]}
            reason = "" if verdict != "BAD_REQUEST" else "price must be greater than 0"
            seen.insert(
                0,
                {
                    "function": function,
                    "time": "2999-01-01T00:00:00.000Z",
                    "attributes": attributes,
                    "verdict": verdict,
                    "reason": reason,
                },
            )
        return 202, None

    server.answers["POST", "/tradewind/default"] = take
    server.answers["GET", "/v1/events"] = lambda _: (200, {"events": seen})
    server.answers["GET", "/v1/tickers/BRK.B"] = (200, ROW)


DONE = {"store_trade": "STORED", "update_summary": "COUNTED"}


@pytest.mark.parametrize("form", [(), ("--structured",)])
def test_a_trade_and_what_became_of_it(server: Server, data: str, form: tuple[str, ...]) -> None:
    noted(server, DONE)
    arguments = (
        "send",
        "BRK.B",
        "400.10",
        "5",
        "--id",
        "e1",
        "--time",
        "2026-01-31T09:30:00Z",
        "--data",
        data,
        *form,
    )
    report = json.loads(call(*arguments, "--json"))
    assert (report["id"], report["status"], report["verdicts"], report["ticker"]) == ("e1", 202, DONE, ROW)
    _, _, _, headers, body = server.asked[0]
    trade = json.loads(body)["data"] if form else json.loads(body)
    assert trade == {"ticker": "BRK.B", "price": "400.10", "volume": 5, "timestamp": "2026-01-31T09:30:00Z"}
    assert ("ce-id" in headers) == (not form)
    assert "update_summary: COUNTED" in call(*arguments)


@pytest.mark.parametrize(
    "verdicts",
    [{}, {"store_trade": "STORED"}, {"store_trade": "BAD_REQUEST", "update_summary": "BAD_REQUEST"}],
)
def test_one_that_was_not_done(server: Server, data: str, verdicts: dict[str, str]) -> None:
    noted(server, verdicts)
    output = call("send", "BRK.B", "0", "5", "--data", data, code=1)
    assert ("price must be greater than 0" in output) == ("BAD_REQUEST" in verdicts.values())


def test_one_that_the_broker_refuses(server: Server, data: str) -> None:
    server.answers["POST", "/tradewind/default"] = (400, {"detail": "attribute id is empty"})
    assert "400 attribute id is empty" in call("send", "A", "1", "1", "--data", data, code=1)


def test_what_an_earlier_event_with_this_id_became_does_not_count(server: Server, data: str) -> None:
    noted(server, {})
    old = [
        {
            "function": function,
            "time": "2001-01-01T00:00:00.000Z",
            "attributes": {"id": "e1", "source": "/tradewind/send"},
            "verdict": verdict,
            "reason": "",
        }
        for function, verdict in DONE.items()
    ]
    server.answers["GET", "/v1/events"] = (200, {"events": old})
    assert "COUNTED" not in call("send", "BRK.B", "1", "1", "--id", "e1", "--data", data, code=1)


# Events and dead letters


def test_events_oldest_first(server: Server, data: str) -> None:
    events = [
        {
            "function": "store_trade",
            "time": f"2026-01-31T09:30:0{second}.000Z",
            "attributes": {"id": f"e{second}", "type": "trade.batch.v1"},
            "data": {"text": "{}", "base64": None, "size": 2},
            "verdict": "STORED",
            "reason": "",
        }
        for second in (2, 1)
    ]
    server.answers["GET", "/v1/events"] = (200, {"events": events})
    only = {"verdict": "STORED", "id": "e1", "source": "/tests", "function": "store_trade"}
    options = [part for name, value in only.items() for part in (f"--{name}", value)]
    lines = call("events", "--data", data, *options).splitlines()
    assert [line.split()[4] for line in lines] == ["e1", "e2"]
    assert server.asked[0][2] == {"limit": ["20"], **{name: [value] for name, value in only.items()}}
    assert [
        json.loads(line)["attributes"]["id"] for line in call("events", "--data", data, "--json").splitlines()
    ] == [
        "e1",
        "e2",
    ]


def test_events_are_found_by_the_name_of_the_trigger_and_a_verdict_in_any_case(
    server: Server, data: str
) -> None:
    server.answers["GET", "/v1/events"] = (200, {"events": []})
    call("events", "--data", data, "--function", "trade-size", "--verdict", "conflict")
    asked = server.asked[0][2]
    assert (asked["function"], asked["verdict"]) == (["trade_size"], ["CONFLICT"])


def test_detach_takes_the_name_of_the_function_too(server: Server, data: str) -> None:
    server.answers["GET", "/-/triggers"] = (200, {"triggers": []})
    server.answers["GET", "/-/status"] = (200, {"parked": {}})
    server.answers["DELETE", "/-/triggers/tradewind/trade-size"] = (200, {})
    assert "x is not attached: nothing is" in call("detach", "x", "--data", data, code=1)
    attached = Attachments(DataFolder(Path(data)).attached)
    for name in ("largest", "trade-size"):
        attached.write(Attachment(name, "/f.py", "f", 1))
    told = call("detach", "trade", "--data", data, code=1)
    assert "trade is not attached: `tradewind detach NAME` takes one of: largest, trade-size" in told
    assert "detached  trade-size" in call("detach", "trade_size", "--data", data)
    assert list(attached.read()) == ["largest"]


def make_note(number: int) -> dict[str, Any]:
    return {
        "function": "store_trade",
        "time": "2026-01-31T09:30:00.000Z",
        "attributes": {"id": f"e{number}"},
        "data": {"text": "{}", "base64": None, "size": 2},
        "verdict": "STORED",
        "reason": "",
    }


Follow = Callable[..., tuple[list[str], list[str]]]


@pytest.fixture
def follow(server: Server, data: str, monkeypatch: pytest.MonkeyPatch) -> Follow:
    """The ids that `events --follow` shows, and what it says, when it gets these answers and then Ctrl-C."""

    def run(*answers: Any, code: int = 0) -> tuple[list[str], list[str]]:
        left = [*answers]

        def answer(_: bytes) -> tuple[int, Any]:
            now = left.pop(0)
            if now is None:
                raise ConnectionError
            return (200, {"events": list(map(make_note, now))}) if isinstance(now, range) else now

        def sleep(_: float) -> None:
            if not left:
                raise KeyboardInterrupt

        monkeypatch.setattr("tradewind.events.time.sleep", sleep)
        server.answers["GET", "/v1/events"] = answer
        result = runner.invoke(app, ["events", "--follow", "-n", "2", "--json", "--data", data])
        assert result.exit_code == code, result.output
        ids = [json.loads(line)["attributes"]["id"] for line in result.stdout.splitlines()]
        return ids, result.stderr.splitlines()

    return run


BUSY = (503, {"detail": "the store is busy"})


def test_following_shows_the_newest_first_and_then_each_event_once(follow: Follow) -> None:
    assert follow(range(5, 0, -1), range(7, 2, -1)) == (["e4", "e5", "e6", "e7"], [])


def test_following_goes_on_after_trouble_and_tells_it_once(follow: Follow) -> None:
    spells = [range(2, 0, -1), BUSY, BUSY, None, None, range(3, 0, -1), (404, b"no route"), range(4, 0, -1)]
    assert follow(*spells) == (
        ["e1", "e2", "e3", "e4"],
        [
            "the store is busy. Going on until Ctrl-C.",
            "It answers again.",
            "no route. Going on until Ctrl-C.",
            "It answers again.",
        ],
    )


def test_following_begins_with_an_answer(follow: Follow) -> None:
    assert follow(BUSY, code=2)[1] == ["the store is busy"]
    assert "No answer" in follow(None, code=2)[1][0]


def test_dead_letters(server: Server, data: str) -> None:
    key = str(LETTER["key"])
    server.answers["GET", "/v1/dead-letters"] = (200, {"dead_letters": [LETTER], "next_cursor": None})
    server.answers["GET", f"/v1/dead-letters/{key}"] = (200, LETTER)
    server.answers["POST", f"/v1/dead-letters/{key}/replay"] = (200, {"key": key})
    assert "price must be greater than 0" in call("dlq", "list", "--data", data)
    assert json.loads(call("dlq", "list", "--json", "--data", data)) == [LETTER]
    assert json.loads(call("dlq", "show", "abc", "--data", data)) == LETTER
    assert "sent again" in call("dlq", "replay", "abc", "--data", data)
    assert "sent again" in call("dlq", "replay", "--all", "--data", data)
    posts = [asked for asked in server.asked if asked[0] == "POST"]
    assert len(posts) == 2
    assert posts[0][3]["content-type"] == "application/json"
    assert "no dead letters have a key" in call("dlq", "show", "nope", "--data", data, code=1)


@pytest.mark.parametrize(
    ("destination", "name"),
    [
        ("http://127.0.0.1:9", "127.0.0.1:9"),
        ("http://store-trade.tradewind.svc.cluster.local/", "store-trade"),
        ("http://update-summary.tradewind.svc.cluster.local", "update-summary"),
        ("https://example.com/x", "example.com"),
        ("", ""),
    ],
)
def test_the_list_of_dead_letters_says_who_refused_each(
    server: Server, data: str, destination: str, name: str
) -> None:
    letter = LETTER | {"destination": destination}
    server.answers["GET", "/v1/dead-letters"] = (200, {"dead_letters": [letter], "next_cursor": None})
    head, row, count = (line.rstrip() for line in call("dlq", "list", "--data", data).splitlines())
    where = slice(head.index("function"), head.index("type"))
    assert row[where].strip() == name
    assert count == "1 dead letter"


def test_a_list_that_is_cut_says_so(server: Server, data: str) -> None:
    server.answers["GET", "/v1/dead-letters"] = (200, {"dead_letters": [LETTER], "next_cursor": "9-ab"})
    told = call("dlq", "list", "-n", "1", "--data", data).splitlines()[-1]
    assert told == "the newest 1 dead letter: --limit shows more"


def test_all_dead_letters_are_reached(server: Server, data: str) -> None:
    """Past what the API gives at once; and a whole key is asked for as it is."""
    old = "cd" * 16
    pages = iter([([LETTER], "9-cd"), ([LETTER | {"key": old}], None)])

    def answer(_: bytes) -> tuple[int, Any]:
        letters, cursor = next(pages)
        return (200, {"dead_letters": letters, "next_cursor": cursor})

    server.answers["GET", "/v1/dead-letters"] = answer
    for key in (str(LETTER["key"]), old):
        server.answers["POST", f"/v1/dead-letters/{key}/replay"] = (200, {"key": key})
    assert call("dlq", "replay", "--all", "--data", data).count("sent again") == 2
    queries = [asked[2] for asked in server.asked if asked[0] == "GET"]
    assert [query.get("cursor") for query in queries] == [None, ["9-cd"]]
    assert "sent again" in call("dlq", "replay", old, "--data", data)


def test_a_replay_that_fails_is_said(server: Server, data: str) -> None:
    server.answers["GET", "/v1/dead-letters"] = (200, {"dead_letters": [LETTER], "next_cursor": None})
    server.answers["POST", f"/v1/dead-letters/{LETTER['key']}/replay"] = (
        502,
        {"detail": "the broker answered 429"},
    )
    assert "the broker answered 429" in call("dlq", "replay", "--all", "--data", data, code=1)


# Verify and repair


def test_verify_and_repair(
    store: SqliteStore,
    tmp_path: Path,
    fill: Callable[[Sequence[TradeEvent]], None],
    make_batch: Callable[..., TradeEvent],
) -> None:
    fill([make_batch("e1", Trade("A", 10_000, 1, 1), Trade("B", 10_000, 1, 1))])
    where = ("--store", f"sqlite:{tmp_path / 'store'}", "--data", str(tmp_path / "none"))
    assert "2 trades of 2 tickers" in call("verify", *where)
    store.store_trades([make_batch("e2", Trade("B", 20_000, 4, 1))])
    assert "B: trade_count 2 stored, 1 counted; volume 5 stored, 1 counted" in call("verify", *where, code=1)
    report = json.loads(call("verify", "--json", *where, code=1))
    assert list(report["differences"]) == ["B"]
    assert (report["trades"], report["tickers"], report["not_judged"]) == (3, 2, [])
    would = call("repair", "--dry-run", *where, code=1)
    assert "No broker runs on" in would
    assert "B: would be set to the raw trades\n1 of 1 would be mended.\n" in would
    assert f"`tradewind up --no-generator --data {tmp_path / 'none'}`" in call("repair", *where, code=2)
    assert json.loads(call("repair", "--assume-idle", "--json", *where)) == {"B": "set to the raw trades"}
    assert json.loads(call("verify", "--json", *where))["differences"] == {}
    assert call("repair", "--assume-idle", *where) == "No ticker differs.\n"


@pytest.mark.parametrize("command", [("verify",), ("repair",), ("reshard", "--to", "2")])
@pytest.mark.parametrize("option", ["--store", "--data"])
def test_commands_that_need_a_store_make_none(command: tuple[str, ...], option: str, tmp_path: Path) -> None:
    where = tmp_path / "none"
    output = call(*command, option, f"sqlite:{where}" if option == "--store" else str(where), code=2)
    assert f"tradewind {command[0]}: there is no store at {where}" in output
    assert output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_lost_a_file_is_one(store: SqliteStore, tmp_path: Path) -> None:
    store.read_stored_count()  # makes trades.db alone
    assert [file.name for file in (tmp_path / "store").glob("*.db")] == ["trades.db"]
    assert "0 trades of 0 tickers" in call("verify", "--store", f"sqlite:{tmp_path / 'store'}")


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    output = call("verify", "--store", "aerospike://127.0.0.1:1", "--data", str(tmp_path), code=2)
    assert "Aerospike at 127.0.0.1:1: " in output
    assert "is the server there? STORE says where" in output


def test_a_store_that_is_none(tmp_path: Path) -> None:
    assert "is no store" in call("verify", "--store", "oracle:x", "--data", str(tmp_path), code=2)


def test_up_says_that_a_store_is_none_before_it_starts_anything(tmp_path: Path) -> None:
    output = call("up", "--data", str(tmp_path / "data"), "--store", "foo", code=2)
    assert output == (
        "tradewind up: STORE=foo is no store: "
        "write sqlite:FOLDER, or aerospike://HOST:PORT with more hosts after commas\n"
    )


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"EVENT_RETENTION": "x"}, "EVENT_RETENTION=x: Expected `int`"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL=loud: Invalid enum value 'loud'"),
        ({"PROFILE": "tokyo"}, "PROFILE=tokyo: Invalid enum value 'tokyo'"),
        ({"QUEUE_MAX_EVENTS": "0"}, "QUEUE_MAX_EVENTS=0: Expected `int` >= 1"),
    ],
)
def test_up_says_what_the_environment_has_wrong_before_it_starts_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], words: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    output = call("up", "--for", "1s", "--data", str(tmp_path / "data"), code=2)
    assert output.startswith(f"tradewind up: {words}")
    assert output.count("\n") == 1
    assert not (tmp_path / "data" / "logs").exists()


@pytest.mark.parametrize(("rate", "told"), [("1234567", 1_234_567), ("0.1", 0.1), ("0", 0)])
def test_up_hands_on_the_rate_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: str, told: float
) -> None:
    wishes: list[Wishes] = []
    monkeypatch.setattr("tradewind.laptop.supervise.supervise", lambda wish, _: wishes.append(wish) or 0)
    call("up", "--data", str(tmp_path), "--rate", rate)
    assert wishes[0].generator is not None
    assert float(wishes[0].generator["TRADES_PER_SECOND"]) == told


def test_what_up_sets_itself_may_be_wrong_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SINK", "nowhere")
    monkeypatch.setenv("PROFILE", "tokyo")
    check_settings({"PROFILE": "abc"})
    monkeypatch.setenv("TRADES_PER_SECOND", "many")
    check_settings(None)


@pytest.mark.parametrize("command", [("verify",), ("repair", "--dry-run"), ("reshard", "--to", "2")])
def test_other_commands_say_it_too(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    store.read_stored_count()
    monkeypatch.setenv("EVENT_RETENTION", "x")
    where = ("--store", f"sqlite:{tmp_path / 'store'}", "--data", str(tmp_path / "none"))
    assert f"tradewind {command[0]}: EVENT_RETENTION=x: " in call(*command, *where, code=2)
