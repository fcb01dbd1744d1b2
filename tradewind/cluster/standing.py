"""Is an object of the cluster ready, and if not, why: from what its status says. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]

MAX_MESSAGE = 300
MAX_EVENTS = 8
_BY_CONDITION = {"Broker", "EventPolicy", "Service", "SinkBinding", "Trigger"}  # Service: of Knative


@dataclass(frozen=True)
class Standing:
    """How one object stands. `ready` None: nothing decided yet."""

    kind: str
    name: str
    ready: bool | None
    reason: str = ""  # a word for programs
    message: str = ""  # a sentence for people

    @property
    def text(self) -> str:
        """Why it is not ready, in one line."""
        if self.ready:
            return "ready"
        return ": ".join(filter(None, (self.reason, self.message))) or "waiting"


def waits_for(thing: Object) -> bool:
    """Whether an object of this kind becomes ready at all."""
    return thing["kind"] in {"Deployment", "StatefulSet"} or is_knative(thing)


def is_knative(thing: Object) -> bool:
    return ".knative.dev/" in thing["apiVersion"] and thing["kind"] in _BY_CONDITION


def standing(thing: Object) -> Standing:
    """From the Ready condition of a Knative object, or from the counts of a Deployment or StatefulSet."""
    kind, name = thing["kind"], thing["metadata"]["name"]
    status = thing.get("status") or {}
    if status.get("observedGeneration", 0) < thing["metadata"].get("generation", 0):
        return Standing(kind, name, None, message="its controller has not looked at the change yet")
    if kind in {"Deployment", "StatefulSet"}:
        return _replicas(kind, name, thing.get("spec") or {}, status)
    condition = find_condition(thing, "Ready")
    if condition is None:
        return Standing(kind, name, None)
    ready = {"True": True, "False": False}.get(condition["status"])
    return Standing(kind, name, ready, condition.get("reason", ""), _cut(condition.get("message", "")))


def _replicas(kind: str, name: str, spec: Object, status: Object) -> Standing:
    wanted = spec.get("replicas", 1)
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    if ready >= wanted and updated >= wanted and status.get("replicas", 0) <= wanted:
        return Standing(kind, name, True)
    return Standing(
        kind, name, None, message=f"{min(ready, updated)} of {wanted} pods are ready and up to date"
    )


def find_condition(thing: Object, type_: str) -> Object | None:
    """The condition of a type, if the status has it."""
    conditions: list[Object] = (thing.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition["type"] == type_), None)


def diagnose(things: Iterable[Object], pods: Iterable[Object], events: Iterable[Object]) -> list[str]:
    """What is not well, one line each: conditions, then pods, then the newest warnings."""
    lines = []
    for thing in things:
        if standing(thing).ready:
            continue
        lines.append(f"{thing['kind']} {thing['metadata']['name']}: {standing(thing).text}")
        lines += [f"    {text}" for text in _bad_conditions(thing)]
    lines += [text for pod in pods for text in _pod_troubles(pod)]
    warnings = sorted((event for event in events if event.get("type") == "Warning"), key=_time)
    for event in warnings[-MAX_EVENTS:]:
        about = event.get("involvedObject") or {}
        text = _cut(event.get("message", ""))
        lines.append(f"warning: {about.get('kind')} {about.get('name')}: {event.get('reason')}: {text}")
    return lines


def _bad_conditions(thing: Object) -> list[str]:
    conditions: list[Object] = (thing.get("status") or {}).get("conditions") or []
    return [
        f"{condition['type']} is {condition['status']}: "
        f"{condition.get('reason', '')} {_cut(condition.get('message', ''))}".rstrip(": ")
        for condition in conditions
        if condition["status"] != "True" and condition["type"] != "Ready" and condition.get("reason")
    ]


def _pod_troubles(pod: Object) -> list[str]:
    status = pod.get("status") or {}
    name = pod["metadata"]["name"]
    lines = []
    scheduled = find_condition(pod, "PodScheduled")
    if scheduled and scheduled["status"] == "False":
        lines.append(f"pod {name}: {scheduled.get('reason')}: {_cut(scheduled.get('message', ''))}")
    for container in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
        state = container.get("state") or {}
        last = (container.get("lastState") or {}).get("terminated")
        trouble = state.get("waiting") or state.get("terminated")
        if trouble and trouble.get("reason") not in {"ContainerCreating", "PodInitializing", "Completed"}:
            text = f"pod {name}: {container['name']} {trouble.get('reason')}"
            lines.append(f"{text}: {_cut(trouble.get('message', ''))}".rstrip(": "))
        if last:
            code = last.get("exitCode")
            lines.append(f"pod {name}: {container['name']} ended before with {code} ({last.get('reason')})")
    return lines


def _time(event: Object) -> str:
    return str(
        event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    )


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"
