"""`tradewind watch` against an API server that does well, and one that does not."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.knative.api_server import ApiServer, Behaviour, hang, html, refuse, watch_of
from tests.unit.knative.objects import autoscaler, condition, pod, thing
from tradewind.cli import app
from tradewind.cluster.api import Cluster
from tradewind.cluster.mirror import SourceFailed
from tradewind.cluster.scaling import Scaling
from tradewind.laptop.folder import DataFolder, Run

AS_ONE_LINE = 1


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.closing.set()
        serving.shutdown()
        thread.join()


def write_config(path: Path, url: str, context: str = "fake") -> Path:
    """A kubeconfig; JSON is YAML."""
    config = {
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": "a", "user": "b"}}],
        "clusters": [{"name": "a", "cluster": {"server": url}}],
        "users": [{"name": "b", "user": {}}],
    }
    path.write_text(json.dumps(config))
    return path


@pytest.fixture
def config(tmp_path: Path, server: ApiServer) -> Path:
    return write_config(tmp_path / "config", server.url)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradewind.watch.INTERVAL_S", 0.05)
    monkeypatch.setattr("tradewind.cluster.letters.TIMEOUT_S", 0.5)
    monkeypatch.setattr("tradewind.cluster.mirror.FIRST_WAIT_S", 0.2)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")


@contextmanager
def at(config: Path) -> Iterator[None]:
    """With this as KUBECONFIG, which the client reads when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
        yield


def watch(config: Path, *options: str, code: int = 0) -> tuple[str, str]:
    """What it says, and what it says on standard error."""
    with at(config):
        done = CliRunner().invoke(app, ["watch", "--data", str(config.parent / "none"), *options])
    assert done.exit_code == code, done.output
    return done.stdout, done.stderr


def fill(server: ApiServer) -> None:
    status = {"latestCreatedRevisionName": "query-1", "latestReadyRevisionName": "query-1"}
    service = thing("Service", "query", condition("Ready", "True"), status=status)
    server.objects |= {
        "services": [service],
        "podautoscalers": [autoscaler("query-1", "query")],
        "pods": [pod("q", "query", "query-1")],
        "brokers": [thing("Broker", "default", condition("Ready", "True"))],
    }


def test_a_board_of_a_cluster(server: ApiServer, config: Path) -> None:
    fill(server)
    server.behaviours["totals"] = lambda request: request.answer(200, {"dead_letters_waiting": 3})
    said, _ = watch(config, "--once", "--json")
    board = json.loads(said)
    assert board["where"] == "fake, namespace tradewind"
    assert [(row["name"], row["actual"], row["state"]) for row in board["functions"]] == [
        ("query", 1, "serving")
    ]
    assert (board["parts"][0]["name"], board["dead_letters"], board["troubles"]) == ("default", 3, [])


def test_a_query_pod_that_cannot_be_reached_holds_up_no_look(server: ApiServer, config: Path) -> None:
    """As with the overlay `secure`, whose network policy drops what comes from the API server."""
    fill(server)
    server.behaviours["totals"] = hang
    began_s = time.monotonic()
    said, _ = watch(config, "--once", "--json")
    assert json.loads(said)["dead_letters"] is None
    assert time.monotonic() - began_s < 5
    assert server.asked.count("totals") == 1


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (refuse(403), "403 Forbidden"),
        (refuse(401), "401 Unauthorized"),
        (html, "no answer of a Kubernetes API"),
    ],
)
def test_a_cluster_that_shows_nothing(
    server: ApiServer, config: Path, behaviour: Behaviour, reason: str
) -> None:
    server.behaviours["*"] = behaviour
    said, why = watch(config, "--once", "--context", "fake", "-n", "payments", code=2)
    assert said == ""
    assert reason in why
    assert "kubectl --context fake -n payments get pods" in why
    assert len(why.splitlines()) == AS_ONE_LINE


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    said, why = watch(write_config(tmp_path / "config", "http://127.0.0.1:1"), "--once", "--json", code=2)
    assert said == ""
    assert "http://127.0.0.1:1 does not answer: Connection refused" in why
    assert "Check KUBECONFIG and --context" in why
    assert "Max retries" not in why
    assert len(why.splitlines()) == AS_ONE_LINE


def test_the_first_look_ends_with_the_time_given(server: ApiServer, config: Path) -> None:
    server.behaviours["*"] = hang
    began_s = time.monotonic()
    _, why = watch(config, "--for", "0.3s", code=2)
    assert "no answer yet" in why
    assert time.monotonic() - began_s < 5


def test_one_kind_that_fails_is_trouble_and_no_more(server: ApiServer, config: Path) -> None:
    fill(server)
    server.behaviours |= {"triggers": refuse(403), "sinkbindings": refuse(403), "brokers": html}
    said, _ = watch(config, "--once", "--json")
    broker, others = json.loads(said)["troubles"]
    assert broker.startswith("Broker: ")
    assert others == "SinkBinding, Trigger: 403 Forbidden"


@pytest.mark.parametrize(
    "behaviour",
    [
        watch_of(b'{"type": "MODIFIED", "obj', cut=True),
        watch_of(b'{"type": "MODIFIED", "obj'),
        watch_of(b"<p>gateway</p>\n"),
        watch_of({"type": "MODIFIED"}),
        watch_of(b"[]\n"),
        refuse(500),
    ],
)
def test_a_broken_watch_is_trouble(server: ApiServer, config: Path, behaviour: Behaviour) -> None:
    fill(server)
    server.behaviours["watch pods"] = behaviour
    said, _ = watch(config, "--for", "2s", "--json")
    troubles = [trouble for line in said.splitlines() for trouble in json.loads(line)["troubles"]]
    assert any(trouble.startswith("Pod: ") for trouble in troubles)
    assert 1 < server.asked.count("pods") < 9  # it goes on, and not without a pause


def test_410_again_and_again_is_asked_less_and_less(server: ApiServer, config: Path) -> None:
    server.behaviours["watch pods"] = refuse(410)
    watch(config, "--for", "2s", "--json")
    assert 2 <= server.asked.count("pods") < 15  # without the pauses: 100


@pytest.mark.parametrize("kind", ["pods", "services"])
def test_a_request_is_made_once_in_its_own_time(server: ApiServer, config: Path, kind: str) -> None:
    """The client's own three retries made four times the timeout of it."""
    server.behaviours["*"] = hang
    with at(config):
        cluster = Cluster(None, "ns")
    began_s = time.monotonic()
    with pytest.raises(SourceFailed, match=r"does not answer: timed out"):
        cluster.get(f"/api/v1/namespaces/ns/{kind}", dict, timeout_s=0.3)
    assert time.monotonic() - began_s < 3
    assert server.asked == [kind]


def test_a_silent_watch_is_noticed(server: ApiServer, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends a watch after WATCH_S; one that does not is gone."""
    monkeypatch.setattr("tradewind.cluster.api.WATCH_S", 0)
    monkeypatch.setattr("tradewind.cluster.api.SILENT_S", 0.3)
    fill(server)
    said, _ = watch(config, "--for", "2s", "--json")
    troubles = {trouble for line in said.splitlines() for trouble in json.loads(line)["troubles"]}
    assert any("does not answer: timed out" in trouble for trouble in troubles)


def test_the_settings_of_scaling_are_read(server: ApiServer, config: Path) -> None:
    config_map = {"data": {"scale-to-zero-grace-period": "1m30s"}}
    server.behaviours["config-autoscaler"] = lambda request: request.answer(200, config_map)
    with at(config):
        assert Cluster(None, "ns").scaling() == Scaling(90.0)
        server.behaviours["config-autoscaler"] = refuse(403)
        assert Cluster(None, "ns").scaling() == Scaling()


# Which cluster


BROKEN = {
    "tab": b"\tx: [",
    "word": b"hello",
    "list": b"[1, 2]",
    "empty": b"",
    "binary": b"\xff\xfe\x00\x01",
    "nothing": b"clusters: []",
    "host": json.dumps(
        {
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "a", "user": "b"}}],
            "clusters": [{"name": "a", "cluster": {"server": "https://[::1"}}],
            "users": [{"name": "b", "user": {}}],
        }
    ).encode(),
}


@pytest.mark.parametrize("name", [*BROKEN, "folder", "none"])
def test_a_broken_configuration_is_said(tmp_path: Path, name: str) -> None:
    path = tmp_path / "config"
    if name == "folder":
        path.mkdir()
    elif name != "none":
        path.write_bytes(BROKEN[name])
    _, why = watch(path, "--once", code=2)
    assert "set KUBECONFIG, or give --context" in why
    assert "No pipeline runs on" in why
    assert len(why.splitlines()) == AS_ONE_LINE


def test_a_mistyped_context_does_not_become_the_cluster_around(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda **_: None)
    _, why = watch(config, "--once", "--context", "porduction", code=2)
    assert "No context porduction is known here" in why
    assert "No pipeline runs on" not in why


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ((), "this machine"),
        (("--local",), "this machine"),
        (("-n", "tradewind"), "fake, namespace tradewind"),
        (("--namespace", "payments"), "fake, namespace payments"),
        (("--context", "fake"), "fake, namespace tradewind"),
    ],
)
def test_what_is_asked_for_is_shown(config: Path, options: tuple[str, ...], where: str) -> None:
    """A run on this machine is not shown to who names a namespace or a context."""
    folder = DataFolder(config.parent / "none")
    with folder.locked():
        nowhere = "http://127.0.0.1:1"
        folder.write_run(Run(1, 1, str(folder.path), folder.store_url, nowhere, nowhere, nowhere))
        said, _ = watch(config, "--once", "--json", *options)
    assert json.loads(said)["where"].startswith(where)


def test_this_machine_and_a_cluster_are_not_asked_for_at_once(config: Path) -> None:
    _, why = watch(config, "--local", "-n", "payments", code=2)
    assert "--namespace" in why
