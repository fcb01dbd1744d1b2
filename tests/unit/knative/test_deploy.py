"""What `tradewind deploy` applies, says and prints; with a kubectl that writes down what it is asked."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.unit.knative.objects import condition, thing
from tradewind.cli import app
from tradewind.cluster.manifests import (
    MANIFESTS,
    STAMP,
    BadReference,
    find_overlay,
    kustomization,
    stamp,
    starts_last,
)
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
    with pytest.raises(BadReference, match="base, kafka, monitoring, scaled, secure"):
        find_overlay("moon")
    (tmp_path / "kustomization.yaml").touch()
    assert find_overlay(str(tmp_path)) == tmp_path.resolve()
    assert find_overlay("kafka") == MANIFESTS / "components" / "kafka"
    assert find_overlay("monitoring/secure") == MANIFESTS / "components" / "monitoring" / "secure"
    with pytest.raises(BadReference, match="are each a whole"):
        kustomization([find_overlay("base"), tmp_path], tmp_path, "ns", None)


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


def test_usage_has_commands_to_copy() -> None:
    address = {"url": "http://broker-ingress.knative-eventing.svc.cluster.local/tradewind/default"}
    lines = how_to_use(
        [
            thing("Broker", "default", status={"address": address}),
            thing("Service", "query", status={"url": "http://query.tradewind.example.com"}),
        ],
        "tradewind",
    )
    text = "\n".join(lines)
    assert "kubectl -n knative-eventing port-forward service/broker-ingress 8081:80 &" in text
    assert "curl -i --retry 5 --retry-connrefused http://127.0.0.1:8081/tradewind/default" in text
    assert "curl http://query.tradewind.example.com/v1/tickers/ASPS" in text


# The commands, with a kubectl of ours

FAKE = """#!/usr/bin/env python3
import json, os, sys
folder = os.environ["FAKE_KUBECTL"]
arguments = sys.argv[1:]
with open(folder + "/asked", "a") as log:
    log.write(json.dumps(arguments) + "\\n")
words = [word for word in arguments if word in {"kustomize", "apply", "get", "delete"}]
answer = json.load(open(folder + "/answers.json"))[" ".join(words[:1])]
text = sys.stdin.read() if "-" in arguments else ""
if isinstance(answer, dict):
    answer = next((value for key, value in answer.items() if key in " ".join(arguments)), "")
if answer.startswith("error"):
    sys.exit(answer)
sys.stdout.write(answer)
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_KUBECTL", str(tmp_path))
    monkeypatch.setattr("tradewind.cluster.rollout.POLL_S", 0.01)
    return tmp_path


def answers(folder: Path, **by_command: object) -> None:
    (folder / "answers.json").write_text(json.dumps(by_command))


def asked(folder: Path) -> list[list[str]]:
    return [json.loads(line) for line in (folder / "asked").read_text().splitlines()]


TRIGGER = thing("Trigger", "t")
MANIFEST = yaml.safe_dump_all(
    [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {}}, TRIGGER]
)


def test_deploy_applies_waits_and_tells(kubectl: Path) -> None:
    ready = json.dumps(thing("Trigger", "t", condition("Ready", "True")))
    answers(kubectl, kustomize=MANIFEST, apply="trigger t created\n", get=ready)
    result = runner.invoke(app, ["deploy", "--image", "x:1", "--context", "there", "-n", "ns"])
    assert result.exit_code == 0, result.output
    assert "trigger t created" in result.output
    assert "Trigger t is ready (1 of 1)" in result.output
    assert "Everything is ready." in result.output
    assert asked(kubectl)[1][:4] == ["--context", "there", "--namespace", "ns"]


def test_deploy_says_what_is_not_ready(kubectl: Path) -> None:
    bad = json.dumps(thing("Trigger", "t", condition("Ready", "False", "NoBroker", "it is not there")))
    answers(kubectl, kustomize=MANIFEST, apply="", get={"--filename": bad, "get pods": "", "get events": ""})
    result = runner.invoke(app, ["deploy", "--timeout", "1s"])
    assert result.exit_code == 1
    assert "Trigger t: NoBroker: it is not there" in result.output


def test_who_sends_starts_when_all_others_are_ready(kubectl: Path) -> None:
    sender = thing(
        "Deployment", "generator", spec={"replicas": 0}, metadata={"labels": {"tradewind/starts": "last"}}
    )
    bad = json.dumps(thing("Trigger", "t", condition("Ready", "False")))
    answers(
        kubectl, kustomize=yaml.safe_dump_all([sender, TRIGGER]), apply="applied\n", get={"--filename": bad}
    )
    result = runner.invoke(app, ["deploy", "--timeout", "1s"])
    assert (result.exit_code, result.output.count("applied")) == (1, 1)
    ready = json.dumps({"items": [thing("Trigger", "t", condition("Ready", "True"))]})
    answers(kubectl, kustomize=yaml.safe_dump_all([sender, TRIGGER]), apply="applied\n", get=ready)
    result = runner.invoke(app, ["deploy", "--timeout", "1s"])
    assert (result.exit_code, result.output.count("applied")) == (0, 2)


def test_the_time_is_for_all_stages_together(kubectl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[float] = []

    def wait(_kubectl: object, stage: list[Any], ends_s: float, _say: object) -> list[Any]:
        ends.append(ends_s)
        return stage

    monkeypatch.setattr("tradewind.cluster.rollout.wait_until_ready", wait)
    sender = thing("Deployment", "generator", metadata={"labels": {"tradewind/starts": "last"}})
    answers(kubectl, kustomize=yaml.safe_dump_all([sender, TRIGGER]), apply="")
    assert runner.invoke(app, ["deploy"]).exit_code == 0
    assert len(ends) == 2
    assert ends[0] == ends[1]


def test_the_generator_is_the_one_that_starts_last(base: dict[tuple[str, str], dict[str, Any]]) -> None:
    last = {key for key, document in base.items() if starts_last(document)}
    assert last == {("Deployment", "generator"), ("SinkBinding", "generator")}


def test_dry_run_only_prints(kubectl: Path) -> None:
    answers(kubectl, kustomize=MANIFEST)
    result = runner.invoke(app, ["deploy", "--dry-run"])
    assert result.exit_code == 0
    assert [document["kind"] for document in yaml.safe_load_all(result.output)] == ["ConfigMap", "Trigger"]
    assert len(asked(kubectl)) == 1


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ('error: no matches for kind "Broker" in version "eventing.knative.dev/v1"', "lacks Knative"),
        ("error: Get http://localhost:8080: connection refused", "kubectl knows no cluster"),
    ],
)
def test_what_a_cluster_refuses_is_explained(kubectl: Path, said: str, advice: str) -> None:
    answers(kubectl, kustomize=MANIFEST, apply=said)
    result = runner.invoke(app, ["deploy"])
    assert result.exit_code == 2
    assert advice in result.output


def test_without_kubectl_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = runner.invoke(app, ["deploy"])
    assert result.exit_code == 2
    assert "kubectl is not on PATH" in result.output


def test_undeploy_removes_triggers_one_by_one_and_keeps_the_data(kubectl: Path) -> None:
    """All of our Broker's, those of attached functions too."""
    brokers = {"a": "default", "mine": "default", "other": "another"}
    items = [thing("Trigger", name, spec={"broker": broker}) for name, broker in brokers.items()]
    triggers = json.dumps({"items": items})
    gone = {
        "eventpolicies": 'error: the server doesn\'t have a resource type "eventpolicies"',
        "delete": "ok\n",
    }
    answers(kubectl, get=triggers, delete=gone)
    result = runner.invoke(app, ["undeploy"])
    assert result.exit_code == 0, result.output
    deletes = [
        [word for word in one[2:] if not word.startswith("--timeout")]
        for one in asked(kubectl)
        if "delete" in one
    ]
    assert deletes[0][1:3] == ["deployments.apps", "generator"]
    names = [one[2] for one in deletes if one[1].startswith("triggers.")]
    assert names == ["a", "mine"]
    assert all("--cascade=foreground" in one for one in deletes)
    assert not any(one[1] in {"namespace", "persistentvolumeclaims"} for one in deletes)
    assert "are still there" in result.output


def test_undeploy_all_removes_the_namespace(kubectl: Path) -> None:
    answers(kubectl, get="", delete="ok\n")
    assert runner.invoke(app, ["undeploy", "--all", "-n", "ns"]).exit_code == 0
    deleted = [one[3:5] for one in asked(kubectl) if "delete" in one]
    assert deleted[1:] == [
        ["namespace", "ns"],
        ["clusterrolebindings.rbac.authorization.k8s.io", "tradewind-prometheus-ns"],
        ["clusterroles.rbac.authorization.k8s.io", "tradewind-prometheus-ns"],
    ]


def test_undeploy_ends_when_the_cluster_refuses(kubectl: Path) -> None:
    answers(kubectl, get="", delete="error: forbidden")
    result = runner.invoke(app, ["undeploy"])
    assert result.exit_code == 2
    assert "forbidden" in result.output
