"""Objects as a cluster gives them, with as much of them as is looked at."""

from typing import Any

Object = dict[str, Any]


def condition(type_: str, status: str, reason: str = "", message: str = "", since: str = "") -> Object:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or "2026-01-05T14:30:00Z",
    }


def thing(
    kind: str, name: str, *conditions: Object, api: str = "", version: str = "1", **more: Any
) -> Object:
    apis = {"Service": "serving.knative.dev/v1", "Trigger": "eventing.knative.dev/v1"}
    apis |= {
        "Deployment": "apps/v1",
        "StatefulSet": "apps/v1",
        "Broker": "eventing.knative.dev/v1",
        "Pod": "v1",
    }
    metadata = {"name": name, "resourceVersion": version, "generation": 1}
    status = {"observedGeneration": 1, "conditions": list(conditions), **more.pop("status", {})}
    return {
        "apiVersion": api or apis.get(kind, "v1"),
        "kind": kind,
        "metadata": metadata | more.pop("metadata", {}),
        "status": status,
        **more,
    }


def pod(name: str, service: str, revision: str, *, ready: bool = True, ending: bool = False) -> Object:
    labels = {"serving.knative.dev/service": service, "serving.knative.dev/revision": revision}
    metadata: Object = {"labels": labels} | ({"deletionTimestamp": "2026-01-05T14:30:00Z"} if ending else {})
    return thing("Pod", name, condition("Ready", str(ready)), metadata=metadata)


def autoscaler(
    revision: str,
    service: str,
    *,
    active: str = "True",
    since: str = "",
    desired: int = 1,
    **annotations: str,
) -> Object:
    known = {
        f"autoscaling.knative.dev/{name.replace('_', '-')}": value for name, value in annotations.items()
    }
    return thing(
        "PodAutoscaler",
        revision,
        condition("Active", active, "NoTraffic" if active == "False" else "", since=since),
        metadata={"labels": {"serving.knative.dev/service": service}, "annotations": known},
        status={"desiredScale": desired, "actualScale": desired},
    )
