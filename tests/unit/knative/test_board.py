"""From objects to what `tradewind watch` shows."""

import json
import socket
import threading
import time
from datetime import UTC, datetime
from io import StringIO
from typing import Any, TypeVar

import msgspec
import pytest
from rich.console import Console

from tests.unit.knative.conftest import REPOSITORY
from tests.unit.knative.objects import Object, autoscaler, condition, pod, thing
from tradewind.cluster.board import Board, FunctionRow, cluster_board
from tradewind.cluster.letters import Letters
from tradewind.cluster.local import local_board
from tradewind.cluster.mirror import Expired, Mirror, SourceFailed
from tradewind.cluster.scaling import Scaling
from tradewind.cluster.screen import MAX_BARS, board_view
from tradewind.cluster.standing import Standing
from tradewind.laptop.folder import Run, RunningProcess

T = TypeVar("T")
NOW = datetime(2026, 1, 5, 14, 30, 10, tzinfo=UTC)
TEN_S_AGO = "2026-01-05T14:30:00Z"


def board(*objects: Object, **failures: str) -> Board:
    mirror = Mirror()
    for kind in {found["kind"] for found in objects}:
        mirror.replace(kind, [found for found in objects if found["kind"] == kind])
    for kind, reason in failures.items():
        mirror.fail(kind, reason)
    return cluster_board("here", mirror, NOW, Scaling())


def service(name: str, newest: str, ready: str = "True", reason: str = "") -> Object:
    status = {"latestCreatedRevisionName": newest, "latestReadyRevisionName": newest}
    return thing("Service", name, condition("Ready", ready, reason), status=status)


def only_row(*objects: Object) -> FunctionRow:
    (row,) = board(*objects).functions
    return row


def test_pods_are_counted_by_what_they_do() -> None:
    row = only_row(
        service("f", "f-1"),
        autoscaler("f-1", "f", desired=4, metric="rps", target="200"),
        pod("f-1-a", "f", "f-1"),
        pod("f-1-b", "f", "f-1", ready=False),
        pod("f-1-c", "f", "f-1", ending=True),
        pod("g-1-a", "g", "g-1"),
    )
    assert (row.desired, row.actual, row.ready_pods, row.ending) == (4, 2, 1, 1)
    assert (row.state, row.target, row.revision) == ("starting", "rps 200", "f-1")


def test_an_idle_function_counts_down_from_when_it_became_inactive() -> None:
    idle = autoscaler("f-1", "f", active="False", since=TEN_S_AGO, desired=0, target="32")
    row = only_row(service("f", "f-1"), idle, pod("f-1-a", "f", "f-1"))
    assert (row.state, row.to_zero_s, row.target) == ("idle", 20.0, "concurrency 32")
    row = only_row(service("f", "f-1"), idle)
    assert (row.state, row.to_zero_s, row.actual) == ("scaled to zero", None, 0)


@pytest.mark.parametrize(
    ("active", "more", "to_zero_s"),
    [
        ("True", {}, None),
        ("Unknown", {}, None),
        ("False", {"min_scale": "1"}, None),
        ("False", {"min_scale": "0"}, 20.0),
    ],
)
def test_only_what_goes_to_zero_counts_down(
    active: str, more: dict[str, str], to_zero_s: float | None
) -> None:
    scaler = autoscaler("f-1", "f", active=active, since=TEN_S_AGO, **more)
    assert only_row(service("f", "f-1"), scaler, pod("a", "f", "f-1")).to_zero_s == to_zero_s


def test_a_rolling_update_shows_the_old_revision_while_it_has_pods() -> None:
    objects = [
        service("f", "f-2"),
        autoscaler("f-1", "f", desired=0),
        autoscaler("f-2", "f"),
        autoscaler("f-0", "f", desired=0),
        pod("a", "f", "f-1"),
        pod("b", "f", "f-2"),
    ]
    assert [row.revision for row in board(*objects).functions] == ["f-1", "f-2"]


def test_a_function_that_failed_says_why() -> None:
    row = only_row(service("f", "f-1", "False", "RevisionMissing"))
    assert (row.ready, row.state) == (False, "RevisionMissing")
    row = only_row(service("f", "f-1", "False", "ContainerMissing"), autoscaler("f-1", "f", desired=0))
    assert row.state == "ContainerMissing"


def test_the_rest_and_the_troubles_are_there() -> None:
    shown = board(thing("Broker", "default", condition("Ready", "True")), Trigger="403 Forbidden")
    assert shown.parts == [Standing("Broker", "default", True)]
    assert shown.troubles == ["Trigger: 403 Forbidden"]


def test_a_board_is_json_and_text() -> None:
    shown = board(
        service("f", "f-1"),
        autoscaler("f-1", "f"),
        *(pod(str(number), "f", "f-1") for number in range(40)),
        Pod="late",
    )
    value = json.loads(msgspec.json.encode(shown))
    assert value["functions"][0]["actual"] == 40
    assert value["dead_letters"] is None
    console = Console(width=160, record=True, file=StringIO())
    console.print(board_view(shown, console.width))
    text = console.export_text()
    assert "■" * MAX_BARS + "…" in text
    assert "dead letters: ?" in text
    assert "Pod: late" in text


def draw(shown: Board, width: int) -> str:
    console = Console(width=width, record=True, file=StringIO())
    console.print(board_view(shown, console.width))
    return console.export_text()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_what_matters_is_legible_on_a_narrow_terminal(width: int) -> None:
    """Columns without anything are left out, bars and revisions cut; a long reason stands below the table."""
    why = "RevisionMissing: Configuration waits for a Revision to become ready"
    rows = [
        FunctionRow("store-trade", True, "serving", "store-trade-00001", 20, 20, 20, target="concurrency 32"),
        FunctionRow("update-summary", False, why, "update-summary-00001", 0, 0, 0, target="concurrency 32"),
    ]
    text = draw(Board("here", rows), width)
    first = text.splitlines()[3]
    assert first.split()[:2] == ["store-trade", "20"]
    assert "serving" in first
    assert "concurrency 32" in first
    assert f"update-summary: {why}" in text.replace("\n", " ").replace("  ", " ")
    for nothing in ("to zero in", "waiting", "retried"):
        assert nothing not in text.splitlines()[2]


@pytest.mark.parametrize("width", [40, 50, 60, 70])
def test_on_a_very_narrow_terminal_columns_are_left_out_and_none_is_cut(width: int) -> None:
    rows = [
        FunctionRow("store-trade", True, "serving", "store-trade-00001", 20, 20, 20, target="concurrency 32"),
        FunctionRow("update-summary", False, "RevisionMissing: x", "update-summary-00001", 0, 0, 0),
        FunctionRow("query", True, "idle", "query-00001", 0, 1, 1, to_zero_s=12.0),
    ]
    lines = draw(Board("here", rows), width).splitlines()
    assert all(len(line.rstrip()) <= width for line in lines)
    (head,) = (line for line in lines if "function" in line)
    assert {"function", "pods", "state"} <= set(head.split())
    assert [line.split()[0] for line in lines[3:6]] == ["store-trade", "update-summary", "query"]
    assert [line.split()[-1] for line in lines[3:6]] == ["serving", "RevisionMissing", "idle"]
    assert ("to zero in" in head) == (width >= 60)


def test_a_long_name_is_folded_where_it_would_push_the_rest_out() -> None:
    name = "a-function-with-a-very-long-name-that-is-mine"
    lines = draw(Board("here", [FunctionRow(name, True, "serving", "", 1, 1, 1)]), 40).splitlines()
    assert lines[3].split()[1:] == ["1", "serving"]
    assert lines[3].split()[0] + lines[4].strip() == name


def sample() -> Board:
    """A pipeline on a cluster: two functions serve, one's last pod ends, one has none."""
    names = {"dead-letter": "32", "query": "40", "store-trade": "32", "update-summary": "32"}
    serving = ("store-trade", "update-summary")
    ready = condition("Ready", "True")
    objects = [thing("Broker", "default", ready), *(thing("Trigger", name, ready) for name in serving)]
    for name, target in names.items():
        revision = f"{name}-00001"
        objects += [service(name, revision)]
        objects += [autoscaler(revision, name, desired=int(name in serving), target=target)]
        if name != "dead-letter":
            objects += [pod(f"{revision}-deployment-x", name, revision, ending=name == "query")]
    return board(*objects)


@pytest.mark.parametrize("name", ["README.md", "docs/knative.md"])
def test_what_the_documents_show_is_what_is_drawn(name: str) -> None:
    lines = [line.rstrip() for line in draw(sample(), 110).splitlines()]
    text = [line.strip() for line in (REPOSITORY / name).read_text().splitlines()]
    assert [line for line in lines[1:] if line not in text] == []


# The run on this machine


def local_run(url: str = "") -> Run:
    """Its parts at http://b, http://q …, or all at one address."""
    query, broker, store = (url or f"http://{name}" for name in "qbs")
    return Run(
        pid=1,
        started_ms=0,
        data="/d",
        store="sqlite:/d/store",
        query_url=query,
        broker_url=broker,
        ingress_url=f"{broker}/x",
        processes={
            "store-trade": RunningProcess(11, store, ""),
            "query": RunningProcess(0, query, ""),
            "broker": RunningProcess(12, broker, ""),
            "generator": RunningProcess(0, "", ""),
        },
    )


def test_a_local_run_has_the_same_form() -> None:
    run = local_run()
    total = {"delivered": 9, "retried": 2, "dead_lettered": 1}
    trigger = {"name": "tradewind/store-trade", "pending": 3, "kept": 0, "total": total}
    answers: dict[str, Any] = {
        "http://b/-/status": {"triggers": [trigger]},
        "http://q/v1/totals": {"dead_letters_waiting": 1},
        "http://s/readyz": {},
    }
    shown = local_board(run, lambda url: json.dumps(answers[url]).encode() if url in answers else None)
    store, query = shown.functions
    assert (store.state, store.ready_pods, store.waiting, store.retried, store.dead_lettered) == (
        "serving",
        1,
        3,
        2,
        1,
    )
    assert (query.state, query.ready, query.actual) == ("not running", False, 0)
    assert [(part.name, part.ready) for part in shown.parts] == [
        ("default", True),
        ("store-trade", True),
        ("generator", False),
    ]
    assert shown.dead_letters == 1
    dark = local_board(run, lambda _: None)
    assert dark.dead_letters is None
    assert dark.parts[0].ready is False


def test_a_local_trigger_is_as_ready_as_its_function() -> None:
    triggers = [{"name": f"tradewind/{name}"} for name in ("store-trade", "query", "of-another")]
    status = json.dumps({"triggers": triggers}).encode()
    shown = local_board(local_run(), lambda url: status if url == "http://b/-/status" else None)
    assert [(part.name, part.ready, part.text) for part in shown.parts if part.kind == "Trigger"] == [
        ("store-trade", False, "its function is starting"),
        ("query", False, "its function is not running"),
        ("of-another", None, "its function is none of this run"),
    ]


def test_frozen_processes_are_asked_side_by_side_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradewind.cluster.local.TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as frozen:  # takes connections, and never answers
        run = local_run(f"http://127.0.0.1:{frozen.getsockname()[1]}")
        run.processes |= {f"f{number}": RunningProcess(1, run.query_url, "") for number in range(10)}
        began_s = time.monotonic()
        shown = local_board(run)
        assert time.monotonic() - began_s < 2.5
    assert {row.ready for row in shown.functions} == {False}


# Dead letters on a cluster


class Pods:
    namespace = "ns"

    def __init__(self, answer: bytes | Exception) -> None:
        self.paths: list[str] = []
        self._answer = answer

    def get(self, path: str, type_: type[T], *, timeout_s: float) -> T:
        self.paths.append(path)
        if isinstance(self._answer, Exception):
            raise self._answer
        return msgspec.json.decode(self._answer, type=type_)


def test_dead_letters_are_asked_of_a_pod_that_is_there_anyway() -> None:
    pods = Pods(b'{"dead_letters_waiting": 3}')
    letters = Letters(pods)
    assert letters.count([pod("q", "query", "q-1", ready=False), pod("s", "store-trade", "s-1")]) is None
    assert letters.count([pod("q", "query", "q-1", ending=True)]) is None
    assert pods.paths == []
    assert letters.count([pod("q", "query", "q-1")]) == 3
    assert letters.count([pod("q", "query", "q-1")]) == 3  # known for some seconds
    assert pods.paths == ["/api/v1/namespaces/ns/pods/q:8080/proxy/v1/totals"]
    assert letters.count([]) is None


@pytest.mark.parametrize("answer", [SourceFailed("no"), Expired()])
def test_dead_letters_that_nobody_tells_are_unknown(answer: Exception) -> None:
    assert Letters(Pods(answer)).count([pod("q", "query", "q-1")]) is None


def test_looks_do_not_wait_for_dead_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the first; and nobody is asked twice at once."""
    monkeypatch.setattr("tradewind.cluster.letters.INTERVAL_S", 0.0)
    monkeypatch.setattr("tradewind.cluster.letters.TIMEOUT_S", 0.1)
    go_on, asked = threading.Event(), []

    class Slow(Pods):
        def get(self, path: str, type_: type[T], *, timeout_s: float) -> T:
            asked.append(timeout_s)
            go_on.wait(60)
            return super().get(path, type_, timeout_s=timeout_s)

    letters, pods = Letters(Slow(b'{"dead_letters_waiting": 3}')), [pod("q", "query", "q-1")]
    began_s = time.monotonic()
    assert [letters.count(pods) for _ in range(5)] == [None] * 5
    assert time.monotonic() - began_s < 5
    assert asked == [0.1]
    go_on.set()
    while letters.count(pods) is None:
        time.sleep(0.01)
    assert letters.count(pods) == 3
