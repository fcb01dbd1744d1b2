"""What `tradewind watch` shows, made from what the cluster's objects say. Pure: the clock is an argument."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tradewind.cluster.mirror import Mirror
from tradewind.cluster.scaling import AUTOSCALING, Scaling
from tradewind.cluster.standing import Standing, find_condition, standing

Object = Mapping[str, Any]

_SERVICE = "serving.knative.dev/service"
_REVISION = "serving.knative.dev/revision"
_DEFAULT_TARGET = {"concurrency": "100", "rps": "200"}  # config-autoscaler, as Knative releases it


@dataclass(frozen=True)
class FunctionRow:
    """One revision of a function, or one process of it. None: not known, or there is no such thing here."""

    name: str
    ready: bool | None
    state: str  # in words
    revision: str = ""
    desired: int | None = None  # pods that the autoscaler wants
    actual: int | None = None  # pods that are there and are not ending
    ready_pods: int | None = None
    ending: int = 0
    target: str = ""  # what one pod is to bear
    to_zero_s: float | None = None  # until an idle function has no pods
    waiting: int | None = None  # events: the local broker only
    retried: int | None = None
    dead_lettered: int | None = None


@dataclass(frozen=True)
class Board:
    """Everything at one moment."""

    where: str
    functions: list[FunctionRow] = field(default_factory=list)
    parts: list[Standing] = field(default_factory=list)  # broker, triggers, generator, store …
    dead_letters: int | None = None  # None: nobody could be asked without starting a pod
    troubles: list[str] = field(default_factory=list)


def cluster_board(
    where: str, mirror: Mirror, now: datetime, scaling: Scaling, dead_letters: int | None = None
) -> Board:
    """From the copies of Knative's and Kubernetes' objects."""
    pods = mirror.of("Pod")
    functions = []
    for service in mirror.of("Service"):
        functions += _function_rows(service, mirror.of("PodAutoscaler"), pods, now, scaling)
    parts = [
        standing(thing)
        for kind in ("Broker", "Trigger", "SinkBinding", "Deployment", "StatefulSet")
        for thing in mirror.of(kind)
    ]
    return Board(where, functions, parts, dead_letters, _troubles(mirror.failures))


def _troubles(failures: Mapping[str, str]) -> list[str]:
    """One line a reason: mostly all kinds have the same."""
    kinds: dict[str, list[str]] = {}
    for kind, reason in sorted(failures.items()):
        kinds.setdefault(reason, []).append(kind)
    return [f"{', '.join(names)}: {reason}" for reason, names in kinds.items()]


def _function_rows(
    service: Object, autoscalers: Iterable[Object], pods: list[Object], now: datetime, scaling: Scaling
) -> list[FunctionRow]:
    """The newest revision, and older ones that still have pods, as in a rolling update."""
    name, status = service["metadata"]["name"], service.get("status") or {}
    newest = status.get("latestCreatedRevisionName", "")
    rows = []
    for autoscaler in autoscalers:
        revision = autoscaler["metadata"]["name"]
        if (autoscaler["metadata"].get("labels") or {}).get(_SERVICE) != name:
            continue
        own = [pod for pod in pods if (pod["metadata"].get("labels") or {}).get(_REVISION) == revision]
        if revision == newest or own:
            rows.append(_revision_row(service, autoscaler, own, now, scaling))
    return rows or [FunctionRow(name, standing(service).ready, standing(service).text, newest)]


def _revision_row(
    service: Object, autoscaler: Object, pods: list[Object], now: datetime, scaling: Scaling
) -> FunctionRow:
    status = autoscaler.get("status") or {}
    there = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    ready_pods = sum(1 for pod in there if (find_condition(pod, "Ready") or {}).get("status") == "True")
    stands = standing(service)
    to_zero_s = scaling.to_zero_s(autoscaler, now) if there else None
    return FunctionRow(
        name=service["metadata"]["name"],
        ready=stands.ready,
        state=_state(stands, there, ready_pods, to_zero_s),
        revision=autoscaler["metadata"]["name"],
        desired=status.get("desiredScale"),
        actual=len(there),
        ready_pods=ready_pods,
        ending=len(pods) - len(there),
        target=_target(autoscaler),
        to_zero_s=to_zero_s,
    )


def _state(stands: Standing, pods: list[Object], ready_pods: int, to_zero_s: float | None) -> str:
    if stands.ready is False or (stands.ready is None and not pods):
        return stands.text
    if not pods:
        return "scaled to zero"
    if ready_pods < len(pods):
        return "starting"
    return "idle" if to_zero_s is not None else "serving"


def _target(autoscaler: Object) -> str:
    """`concurrency 32`: what the autoscaler divides the load by, before its own utilization of 70%."""
    annotations = autoscaler["metadata"].get("annotations") or {}
    metric = annotations.get(f"{AUTOSCALING}/metric", "concurrency")
    return f"{metric} {annotations.get(f'{AUTOSCALING}/target', _DEFAULT_TARGET.get(metric, ''))}".strip()
