"""All of knative/ through the code of Knative's webhooks: files, and what kustomize makes of overlays."""

import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

KNATIVE = Path(__file__).parents[2] / "knative"
OVERLAYS = ["base", *sorted(f"overlays/{path.name}" for path in (KNATIVE / "overlays").glob("*/"))]
IN_EVERY = Counter({"Service": 4, "Broker": 1, "Trigger": 2, "SinkBinding": 2})

Document = dict[str, Any]


def validate(oracles: Path, *files: Path) -> tuple[int, str]:
    """How many objects it knew and found valid, and what it said."""
    done = subprocess.run([oracles / "knvalidate", *files], capture_output=True, text=True, check=False)
    checked, invalid = (int(word) for word in done.stdout.splitlines()[-1].split() if word.isdigit())
    assert (done.returncode == 0) == (invalid == 0), done.stdout
    return checked - invalid, done.stdout


def build(kustomize: Path, folder: Path) -> str:
    return subprocess.run([kustomize, "build", folder], capture_output=True, text=True, check=True).stdout


def test_each_file_of_the_base_is_valid(oracles: Path) -> None:
    valid, said = validate(oracles, *sorted((KNATIVE / "base").glob("*.yaml")))
    assert valid == IN_EVERY.total(), said


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_overlay_is_valid(overlay: str, oracles: Path, kustomize: Path, tmp_path: Path) -> None:
    text = build(kustomize, KNATIVE / overlay)
    (tmp_path / "all.yaml").write_text(text)
    documents = list(yaml.safe_load_all(text))
    kinds = Counter(document["kind"] for document in documents if ".knative.dev/" in document["apiVersion"])
    assert kinds - Counter({"EventPolicy": 1}) == IN_EVERY
    valid, said = validate(oracles, tmp_path / "all.yaml")
    assert valid == kinds.total(), said
    for document in documents:
        if document["kind"] not in {"Namespace", "ClusterRole", "ClusterRoleBinding"}:
            assert document["metadata"]["namespace"] == "tradewind", document["metadata"]


def find(text: str, kind: str, name: str) -> Document:
    (found,) = (
        document
        for document in yaml.safe_load_all(text)
        if (document["kind"], document["metadata"]["name"]) == (kind, name)
    )
    return dict(found)


def test_kafka_is_durable_and_unordered(kustomize: Path) -> None:
    text = build(kustomize, KNATIVE / "overlays/kafka")
    broker = find(text, "Broker", "default")
    assert broker["metadata"]["annotations"]["eventing.knative.dev/broker.class"] == "Kafka"
    settings = find(text, "ConfigMap", broker["spec"]["config"]["name"])["data"]
    assert int(settings["default.topic.replication.factor"]) > int(
        settings["default.topic.config.min.insync.replicas"]
    )
    delivery = broker["spec"]["delivery"]
    base = find(build(kustomize, KNATIVE / "base"), "Broker", "default")["spec"]["delivery"]
    assert (delivery["deadLetterSink"], delivery["timeout"]) == (base["deadLetterSink"], base["timeout"])
    # its Broker keeps nowhere what it gives up: the store may be away for hours
    assert (delivery["backoffPolicy"], delivery["backoffDelay"]) == ("linear", "PT1S")
    assert delivery["retry"] * (delivery["retry"] + 1) / 2 >= 12 * 3600
    for name in ("store-trade", "update-summary"):
        annotations = find(text, "Trigger", name)["metadata"]["annotations"]
        assert annotations["kafka.eventing.knative.dev/delivery.order"] == "unordered"


def test_scaled_has_more_of_everything(kustomize: Path) -> None:
    text = build(kustomize, KNATIVE / "overlays/scaled")
    assert find(text, "Deployment", "generator")["spec"]["replicas"] == 4
    assert find(text, "StatefulSet", "aerospike")["spec"]["replicas"] == 3
    settings = find(text, "ConfigMap", "tradewind-settings")["data"]
    assert settings["CONTRACT_RECORD_SHARD_COUNT"] == "64"
    assert settings["STORE"].count("aerospike-") == 3
    template = find(text, "Service", "update-summary")["spec"]["template"]
    assert template["metadata"]["annotations"]["autoscaling.knative.dev/max-scale"] == "50"


def test_secure_lets_in_knative_and_nobody_else(kustomize: Path) -> None:
    text = build(kustomize, KNATIVE / "overlays/secure")
    closed = find(text, "NetworkPolicy", "nothing")["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for document in yaml.safe_load_all(text):
        if document["kind"] == "NetworkPolicy":
            for rule in document["spec"].get("ingress", []):
                assert rule["from"], document["metadata"]["name"]
                assert rule["ports"], document["metadata"]["name"]
    sources = find(text, "EventPolicy", "generator-and-replay")["spec"]["from"]
    assert {source["ref"]["name"] for source in sources} == {"generator", "query"}


def test_the_store_of_ones_own_takes_the_place_of_the_demo(kustomize: Path, tmp_path: Path) -> None:
    """As the component's comment tells to write it."""
    text = (KNATIVE / "components/external-aerospike/kustomization.yaml").read_text()
    lines = [
        line.removeprefix("#").removeprefix("     ")
        for line in text.splitlines()
        if line.startswith("#     ")
    ]
    folder = KNATIVE.parent / "knative" / "overlays" / "kafka"
    example = "\n".join(lines).replace("../../", f"{_relative(tmp_path, folder.parents[1])}/")
    (tmp_path / "kustomization.yaml").write_text(example)
    made = build(kustomize, tmp_path)
    kinds = {(document["kind"], document["metadata"]["name"]) for document in yaml.safe_load_all(made)}
    assert not kinds & {
        ("StatefulSet", "aerospike"),
        ("Service", "aerospike"),
        ("PodDisruptionBudget", "aerospike"),
    }
    assert find(made, "ConfigMap", "tradewind-settings")["data"]["STORE"].startswith(
        "aerospike://as1.example"
    )


def _relative(start: Path, target: Path) -> Path:
    return Path(*[".."] * len(start.resolve().parts[1:])) / target.resolve().relative_to("/")


@pytest.mark.parametrize(
    ("file", "was", "becomes"),
    [
        ("services.yaml", "containerConcurrency: 64", "containerConcurrency: many"),
        ("services.yaml", "timeoutSeconds: 60", "timeoutSecond: 60"),
        ("services.yaml", 'max-scale: "20"', 'max-scale: "-2"'),
        ("broker.yaml", "timeout: PT30S", "timeout: 30s"),
        ("triggers.yaml", "- exact:", "- exactly:"),
        ("bindings.yaml", "  subject:", "  subjects:"),
    ],
)
def test_a_mistake_is_found(file: str, was: str, becomes: str, oracles: Path, tmp_path: Path) -> None:
    text = (KNATIVE / "base" / file).read_text()
    assert was in text
    (tmp_path / file).write_text(text.replace(was, becomes))
    _, said = validate(oracles, tmp_path / file)
    assert " 0 invalid" not in said.splitlines()[-1]
