"""Readiness and diagnosis from objects' statuses."""

import pytest

from tests.unit.knative.objects import condition, thing
from tradewind.cluster.standing import MAX_EVENTS, MAX_MESSAGE, diagnose, standing, waits_for


@pytest.mark.parametrize(
    ("status", "ready", "text"),
    [
        ("True", True, "ready"),
        ("False", False, "NoBroker: it is not there"),
        ("Unknown", None, "NoBroker: it is not there"),
    ],
)
def test_the_ready_condition_decides(status: str, ready: bool | None, text: str) -> None:
    trigger = thing("Trigger", "t", condition("Ready", status, "NoBroker", "it is not there"))
    assert standing(trigger).ready is ready
    assert standing(trigger).text == text


def test_nothing_is_ready_before_its_controller_has_looked() -> None:
    changed = thing("Trigger", "t", condition("Ready", "True"), metadata={"generation": 2})
    assert standing(changed).ready is None
    assert standing(thing("Trigger", "t")).ready is None
    assert (
        standing({"apiVersion": "x.knative.dev/v1", "kind": "Broker", "metadata": {"name": "b"}}).ready
        is None
    )


@pytest.mark.parametrize(
    ("counts", "ready"),
    [
        ({"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}, True),
        ({"replicas": 2, "readyReplicas": 1, "updatedReplicas": 2}, None),
        ({"replicas": 2, "readyReplicas": 2, "updatedReplicas": 1}, None),
        ({"replicas": 3, "readyReplicas": 3, "updatedReplicas": 2}, None),  # an old one still runs
        ({}, None),
    ],
)
def test_a_deployment_is_ready_with_all_pods_new(counts: dict[str, int], ready: bool | None) -> None:
    assert standing(thing("Deployment", "d", spec={"replicas": 2}, status=counts)).ready is ready


def test_a_deployment_of_none_is_ready() -> None:
    assert standing(thing("Deployment", "d", spec={"replicas": 0})).ready is True


def test_what_is_waited_for() -> None:
    assert waits_for(thing("Service", "s"))
    assert waits_for(thing("StatefulSet", "s"))
    assert not waits_for(thing("Service", "s", api="v1"))
    assert not waits_for(thing("ConfigMap", "s"))


def test_a_diagnosis_says_what_and_why() -> None:
    service = thing(
        "Service",
        "query",
        condition("Ready", "False", "RevisionFailed", "see there"),
        condition("ConfigurationsReady", "False", "RevisionFailed", "image x not found"),
        condition("RoutesReady", "True"),
    )
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    starting = {"waiting": {"reason": "ContainerCreating"}}
    died = {"running": {}}
    statuses = [
        {"name": "user-container", "state": waiting},
        {"name": "queue-proxy", "state": starting},
        {"name": "other", "state": died, "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}}},
    ]
    pods = [thing("Pod", "query-1", status={"containerStatuses": statuses})]
    pods.append(thing("Pod", "query-2", condition("PodScheduled", "False", "Unschedulable", "no cpu")))
    events = [
        {
            "type": "Warning",
            "reason": "Failed",
            "message": f"number {number} " + "x" * 500,
            "lastTimestamp": f"2026-01-05T14:{number:02}:00Z",
            "involvedObject": {"kind": "Pod", "name": "query-1"},
            "metadata": {},
        }
        for number in range(20)
    ]
    events.append({"type": "Normal", "reason": "Pulled", "metadata": {}})
    ready = thing("Broker", "default", condition("Ready", "True"))
    lines = diagnose([service, ready], pods, events)
    assert lines[:5] == [
        "Service query: RevisionFailed: see there",
        "    ConfigurationsReady is False: RevisionFailed image x not found",
        "pod query-1: user-container ImagePullBackOff: no such image",
        "pod query-1: other ended before with 2 (Error)",
        "pod query-2: Unschedulable: no cpu",
    ]
    assert len(lines) == 5 + MAX_EVENTS
    assert lines[-1].startswith("warning: Pod query-1: Failed: number 19 ")
    assert all(len(line) < MAX_MESSAGE + 60 for line in lines)
