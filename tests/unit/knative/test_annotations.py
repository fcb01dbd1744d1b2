"""Annotations that Knative does not check: a misspelt key or a wrong value has silently no effect there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

Document = dict[str, Any]

INTEGER, SECONDS, PERCENT = r"\d+", r"\d+(\.\d+)?(ms|s|m|h)", r"\d+(\.\d+)?"
# https://knative.dev/docs/serving/autoscaling, and serving's pkg/apis/autoscaling/register.go (1.15 to 1.21)
KNOWN = {
    "autoscaling.knative.dev/class": r"(kpa|hpa)\.autoscaling\.knative\.dev",
    "autoscaling.knative.dev/metric": r"concurrency|rps|cpu|memory",
    "autoscaling.knative.dev/target": r"\d+(\.\d+)?",
    "autoscaling.knative.dev/target-utilization-percentage": PERCENT,
    "autoscaling.knative.dev/target-burst-capacity": r"-1|\d+(\.\d+)?",
    "autoscaling.knative.dev/min-scale": INTEGER,
    "autoscaling.knative.dev/max-scale": INTEGER,
    "autoscaling.knative.dev/initial-scale": INTEGER,
    "autoscaling.knative.dev/activation-scale": INTEGER,
    "autoscaling.knative.dev/scale-down-delay": SECONDS,
    "autoscaling.knative.dev/scale-to-zero-pod-retention-period": SECONDS,
    "autoscaling.knative.dev/window": SECONDS,
    "autoscaling.knative.dev/panic-window-percentage": PERCENT,
    "autoscaling.knative.dev/panic-threshold-percentage": PERCENT,
    "autoscaling.knative.dev/metric-aggregation-algorithm": r"linear|weighted-exponential",
    "eventing.knative.dev/broker.class": r"MTChannelBasedBroker|Kafka|KafkaNamespaced|RabbitMQBroker",
    "kafka.eventing.knative.dev/delivery.order": r"ordered|unordered",
    "networking.knative.dev/visibility": r"cluster-local",
}


def problems(document: Any, in_template: bool = False) -> Iterator[str]:
    """Wrong keys and values of annotations and labels, and autoscaling ones outside of a pod template."""
    metadata = document.get("metadata") or {}
    marks = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
    for key, value in marks.items():
        if not re.search(r"(^|\.)knative\.dev/", key):
            continue
        if key not in KNOWN:
            yield f"{key} is no annotation of Knative"
        elif not re.fullmatch(KNOWN[key], str(value)) or not isinstance(value, str):
            yield f"{key}: {value!r} is no value of it"
        elif key.startswith("autoscaling.") and not in_template:
            yield f"{key} must be on the pod template: Knative does not look at it here"
    template = (document.get("spec") or {}).get("template")
    if isinstance(template, dict):
        yield from problems(template, in_template=True)


def test_manifests_have_none(documents: list[tuple[Path, Document]]) -> None:
    assert [(str(path), problem) for path, document in documents for problem in problems(document)] == []


@pytest.mark.parametrize(
    ("key", "value", "where"),
    [
        ("autoscaling.knative.dev/minScales", "1", "template"),
        ("autoscaling.knative.dev/min-scale", "one", "template"),
        ("autoscaling.knative.dev/min-scale", 1, "template"),
        ("autoscaling.knative.dev/scale-down-delay", "15", "template"),
        ("autoscaling.knative.dev/min-scale", "1", "service"),
        ("serving.knative.dev/visibility", "cluster-local", "service"),
    ],
)
def test_the_lint_finds(key: str, value: object, where: str) -> None:
    marked = {"metadata": {"annotations": {key: value}}}
    document = marked if where == "service" else {"metadata": {}, "spec": {"template": marked}}
    assert len(list(problems(document))) == 1
