"""What `tradewind deploy` applies, says and prints; with a kubectl that writes down what it is asked."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from tests.unit.knative.fake_kubectl import FakeKubectl
from tests.unit.knative.objects import condition, thing
from tradewind.cli import app
from tradewind.cluster.kubectl import Kubectl, KubectlFailed
from tradewind.cluster.manifests import (
    MANIFESTS,
    PARTS,
    STAMP,
    BadReference,
    find_overlay,
    kustomization,
    overlay_names,
    stamp,
    starts_last,
)
from tradewind.cluster.rollout import wait_until_ready
from tradewind.cluster.usage import how_to_use

runner = CliRunner()


@pytest.mark.parametrize(
    ("image", "entry"),
    [
        ("reg.example/tradewind:1.2", {"newName": "reg.example/tradewind", "newTag": "1.2"}),
        ("localhost:5000/tradewind", {"newName": "localhost:5000/tradewind", "newTag": "latest"}),
        ("localhost:5000/a/b:c", {"newName": "localhost:5000/a/b", "newTag": "c"}),
        ("x@sha256:ab12", {"newName": "x", "digest": "sha256:ab12"}),
        ("x:1@sha256:ab12", {"newName": "x", "digest": "sha256:ab12"}),
    ],
)
def test_an_image_is_split_as_kustomize_wants_it(image: str, entry: dict[str, str], tmp_path: Path) -> None:
    made = yaml.safe_load(kustomization([MANIFESTS / "base"], tmp_path, "ns", image))
    assert made["images"] == [{"name": "dev.local/tradewind", **entry}]
    assert made["namespace"] == "ns"
    assert (tmp_path / made["resources"][0]).resolve() == MANIFESTS / "base"


def test_a_wrong_image_or_overlay_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadReference, match="is no image"):
        kustomization([], tmp_path, "ns", "two words")
    with pytest.raises(
        BadReference, match=r"base, external-aerospike, .*, secure, secure/tracing, or a folder"
    ):
        find_overlay("moon")
    (tmp_path / "kustomization.yaml").touch()
    assert find_overlay(str(tmp_path)) == tmp_path.resolve()
    assert find_overlay("kafka") == MANIFESTS / "components" / "kafka"
    assert find_overlay("monitoring/secure") == MANIFESTS / "components" / "monitoring" / "secure"
    with pytest.raises(BadReference, match="are each a whole"):
        kustomization([find_overlay("base"), tmp_path], tmp_path, "ns", None)


def test_all_overlays_are_named(documents: list[tuple[Path, dict[str, Any]]]) -> None:
    """And what is only a part of another is not."""
    names = overlay_names()
    assert {*(path.name for path in (MANIFESTS / "overlays").glob("*/"))} <= {*names}
    assert {"external-aerospike", "secure/tracing", "monitoring/operator", "monitoring/secure"} <= {*names}
    taken = {
        (MANIFESTS.parent / path.parent / one).resolve()
        for path, document in documents
        if path.parts[1] != "overlays" and document["kind"] in {"Kustomization", "Component"}
        for one in document.get("components", ())
    }
    assert {MANIFESTS / "components" / name for name in PARTS} == taken
    for name in names:
        assert find_overlay(name) == MANIFESTS / "components" / name


def test_a_change_of_settings_changes_the_pods_that_read_them() -> None:
    reads = {"envFrom": [{"configMapRef": {"name": "tradewind-settings"}}]}

    def stamps(**settings: str) -> list[str | None]:
        documents = stamp(
            [
                {"kind": "ConfigMap", "metadata": {"name": "tradewind-settings"}, "data": settings},
                {"kind": "ConfigMap", "metadata": {"name": "other"}, "data": {"a": settings["a"] + "x"}},
                {
                    "kind": "Service",
                    "metadata": {"name": "f"},
                    "spec": {"template": {"spec": {"containers": [reads]}}},
                },
                {
                    "kind": "StatefulSet",
                    "metadata": {"name": "s"},
                    "spec": {"template": {"spec": {"containers": [{}]}}},
                },
            ]
        )
        templates = [document["spec"]["template"] for document in documents[2:]]
        return [template.get("metadata", {}).get("annotations", {}).get(STAMP) for template in templates]

    first = stamps(a="1", b="2")
    assert first[0]
    assert first[1] is None  # a store does not restart for it
    assert stamps(b="2", a="1") == first
    assert stamps(a="1", b="3") != first


ADDRESS = {"url": "http://broker-ingress.knative-eventing.svc.cluster.local/tradewind/default"}
DEPLOYED = [
    thing("Broker", "default", status={"address": ADDRESS}),
    thing("Service", "query", status={"url": "http://query.tradewind.example.com"}),
]


def test_usage_has_commands_to_copy() -> None:
    text = "\n".join(how_to_use(DEPLOYED, "tradewind"))
    assert "kubectl -n knative-eventing port-forward service/broker-ingress 8081:80 &" in text
    assert "curl -i --retry 5 --retry-connrefused http://127.0.0.1:8081/tradewind/default" in text
    assert "curl http://query.tradewind.example.com/v1/tickers/ASPS" in text
    assert "tradewind watch --namespace tradewind" in text


@pytest.mark.parametrize("asks_who_sends", [False, True])
def test_usage_keeps_to_the_context(asks_who_sends: bool) -> None:
    text = "\n".join(how_to_use(DEPLOYED, "x", "my prod", asks_who_sends=asks_who_sends))
    assert text.count("kubectl") == text.count("kubectl --context 'my prod' -n ") > 0
    assert "tradewind watch --context 'my prod' --namespace x" in text


def test_usage_of_a_broker_that_asks_who_sends() -> None:
    """No curl that it refuses."""
    text = "\n".join(how_to_use(DEPLOYED, "x", asks_who_sends=True))
    assert "ce-specversion" not in text
    assert 'kubectl -n x create token "$ACCOUNT" --audience "$AUDIENCE" > token' in text
    assert "OIDC_TOKEN_FILE=token tradewind send" in text
    assert "--sink http://127.0.0.1:8081/tradewind/default" in text


# The command, with a kubectl of ours

TRIGGER = thing("Trigger", "t")
MANIFEST = yaml.safe_dump_all(
    [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {}}, TRIGGER]
)


def test_deploy_applies_waits_and_tells(kubectl: FakeKubectl) -> None:
    ready = json.dumps(thing("Trigger", "t", condition("Ready", "True")))
    kubectl.answers(kustomize=MANIFEST, apply="trigger t created\n", get=ready)
    result = runner.invoke(app, ["deploy", "--image", "x:1", "--context", "there", "-n", "ns"])
    assert result.exit_code == 0, result.output
    assert "trigger t created" in result.output
    assert "Trigger t is ready (1 of 1)" in result.output
    assert "Everything is ready." in result.output
    assert kubectl.asked[1][:4] == ["--context", "there", "--namespace", "ns"]


def test_deploy_says_what_is_not_ready(kubectl: FakeKubectl) -> None:
    bad = json.dumps(thing("Trigger", "t", condition("Ready", "False", "NoBroker", "it is not there")))
    kubectl.answers(kustomize=MANIFEST, apply="", get={"--filename": bad, "get pods": "", "get events": ""})
    result = runner.invoke(app, ["deploy", "--timeout", "1s"])
    assert result.exit_code == 1
    assert "Trigger t: NoBroker: it is not there" in result.output


def test_who_sends_starts_when_all_others_are_ready(kubectl: FakeKubectl) -> None:
    sender = thing(
        "Deployment", "generator", spec={"replicas": 0}, metadata={"labels": {"tradewind/starts": "last"}}
    )
    bad = json.dumps(thing("Trigger", "t", condition("Ready", "False")))
    kubectl.answers(
        kustomize=yaml.safe_dump_all([sender, TRIGGER]), apply="applied\n", get={"--filename": bad}
    )
    result = runner.invoke(app, ["deploy", "--timeout", "1s"])
    assert (result.exit_code, result.output.count("applied")) == (1, 1)
    ready = json.dumps({"items": [thing("Trigger", "t", condition("Ready", "True"))]})
    kubectl.answers(kustomize=yaml.safe_dump_all([sender, TRIGGER]), apply="applied\n", get=ready)
    result = runner.invoke(app, ["deploy", "--timeout", "1s"])
    assert (result.exit_code, result.output.count("applied")) == (0, 2)


def test_the_time_is_for_all_stages_together(kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[float] = []

    def wait(_kubectl: object, stage: list[Any], ends_s: float, _say: object) -> list[Any]:
        ends.append(ends_s)
        return stage

    monkeypatch.setattr("tradewind.cluster.rollout.wait_until_ready", wait)
    sender = thing("Deployment", "generator", metadata={"labels": {"tradewind/starts": "last"}})
    kubectl.answers(kustomize=yaml.safe_dump_all([sender, TRIGGER]), apply="")
    assert runner.invoke(app, ["deploy"]).exit_code == 0
    assert len(ends) == 2
    assert ends[0] == ends[1]


def test_the_generator_is_the_one_that_starts_last(base: dict[tuple[str, str], dict[str, Any]]) -> None:
    last = {key for key, document in base.items() if starts_last(document)}
    assert last == {("Deployment", "generator"), ("SinkBinding", "generator")}


def test_dry_run_only_prints(kubectl: FakeKubectl) -> None:
    kubectl.answers(kustomize=MANIFEST)
    result = runner.invoke(app, ["deploy", "--dry-run"])
    assert result.exit_code == 0
    assert [document["kind"] for document in yaml.safe_load_all(result.output)] == ["ConfigMap", "Trigger"]
    assert len(kubectl.asked) == 1


def test_what_was_created_is_told_when_the_rest_fails(kubectl: FakeKubectl) -> None:
    said = "configmap/c created\nerror: no matches for kind Trigger in knative.dev/v1"
    kubectl.answers(kustomize=MANIFEST, apply=said)
    result = runner.invoke(app, ["deploy"])
    assert result.exit_code == 2
    assert "configmap/c created" in result.stdout
    assert "lacks Knative" in result.stderr


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "payments"}}
CLOSING = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "nothing"},
    "spec": {"podSelector": {}},
}
THEIRS = json.dumps(thing("Namespace", "payments", metadata={"labels": {"team": "payments"}}))
OURS = json.dumps(
    thing("Namespace", "payments", metadata={"labels": {"app.kubernetes.io/part-of": "tradewind"}})
)


def deploy_into(kubectl: FakeKubectl, found: str, *more: Any) -> Result:
    ready = json.dumps(thing("Trigger", "t", condition("Ready", "True")))
    kubectl.answers(
        kustomize=yaml.safe_dump_all([NAMESPACE, TRIGGER, *more]),
        apply="applied\n",
        get={"get namespace": found, "--filename": ready},
    )
    return runner.invoke(app, ["deploy", "-n", "payments"])


@pytest.mark.parametrize(
    ("found", "is_applied"),
    [("", True), (OURS, True), (THEIRS, False), ("error: Error from server (Forbidden): no", False)],
)
def test_the_namespace_of_others_stays_as_it_is(kubectl: FakeKubectl, found: str, is_applied: bool) -> None:
    result = deploy_into(kubectl, found)
    assert result.exit_code == 0, result.output
    assert ("kind: Namespace" in kubectl.texts[0]) == is_applied
    assert ("stays as it is" in result.output) != is_applied


def test_no_overlay_closes_the_namespace_of_others(kubectl: FakeKubectl) -> None:
    result = deploy_into(kubectl, THEIRS, CLOSING)
    assert result.exit_code == 2
    assert "label namespace payments app.kubernetes.io/part-of=tradewind" in result.output
    assert not any("apply" in one for one in kubectl.asked)
    assert deploy_into(kubectl, OURS, CLOSING).exit_code == 0


def test_a_cluster_that_does_not_answer_for_a_while_is_told_once(
    kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = [thing("Trigger", "t", condition("Ready", "True"))]
    given = iter([*["refused"] * 3, [], *["refused"] * 3, ready])

    def get(*_: Any, **__: Any) -> list[Any]:
        answer = next(given)
        if isinstance(answer, str):
            raise KubectlFailed(answer)
        return answer

    reach = Kubectl(None, "x")
    monkeypatch.setattr(reach, "get", get)
    said: list[str] = []
    assert wait_until_ready(reach, [TRIGGER], time.monotonic() + 60, said.append) == ready
    assert [line for line in said if "refused" in line] == ["  refused", "  refused"]


@pytest.mark.parametrize("broker_ready", ["True", "Unknown"])
def test_a_sink_binding_that_missed_its_brokers_address_is_woken(
    broker_ready: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """knative/eventing#9189: only a change of it helps."""
    binding = thing(
        "SinkBinding",
        "query",
        condition("Ready", "False", "NoAddressable"),
        api="sources.knative.dev/v1",
    )
    reach = Kubectl(None, "x")
    asked: list[tuple[str, ...]] = []
    things = [thing("Broker", "default", condition("Ready", broker_ready)), binding]
    monkeypatch.setattr(reach, "get", lambda *_, **__: things)
    monkeypatch.setattr(reach, "run", lambda *words, **_: asked.append(words))
    monkeypatch.setattr("tradewind.cluster.rollout.POLL_S", 0.01)
    said: list[str] = []
    assert wait_until_ready(reach, things, time.monotonic() + 0.03, said.append) is None
    woken = ("annotate", "--overwrite", "sinkbindings.sources.knative.dev", "query")
    assert any(words[:4] == woken for words in asked) == (broker_ready == "True")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ('error: no matches for kind "Broker" in version "eventing.knative.dev/v1"', "lacks Knative"),
        ("error: Get http://localhost:8080: connection refused", "kubectl knows no cluster"),
    ],
)
def test_what_a_cluster_refuses_is_explained(kubectl: FakeKubectl, said: str, advice: str) -> None:
    kubectl.answers(kustomize=MANIFEST, apply=said)
    result = runner.invoke(app, ["deploy"])
    assert result.exit_code == 2
    assert advice in result.output


def test_without_kubectl_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = runner.invoke(app, ["deploy"])
    assert result.exit_code == 2
    assert "kubectl is not on PATH" in result.output
