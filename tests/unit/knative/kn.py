"""What `kn` makes of its flags, for as many of them as our document uses; an unknown one is an error.

After docs/cmd of knative.dev/client 1.21 and its pkg/flags; tests/oracles has the real program do the same.
"""

import shlex
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

_SCALE = {
    "--scale-metric": "metric",
    "--scale-target": "target",
    "--scale-min": "min-scale",
    "--scale-max": "max-scale",
}
_SINKS = {"ksvc": ("serving.knative.dev/v1", "Service"), "broker": ("eventing.knative.dev/v1", "Broker")}
STRICT = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def commands(text: str) -> list[list[str]]:
    """The commands of all shell blocks, as lists of words."""
    found = []
    for block in text.split("```sh\n")[1:]:
        lines = block.split("```")[0].replace("\\\n", " ").splitlines()
        found += [shlex.split(line, comments=True) for line in lines if line.strip()]
    return [words for words in found if words]


def make(words: list[str]) -> Object:
    """The object that one `kn … create` makes."""
    match words:
        case ["kn", "service", "create", name, *flags]:
            return _service(name, list(_pairs(flags)))
        case ["kn", "broker", "create", name, *flags]:
            return _broker(name, dict(_pairs(flags)))
        case ["kn", "trigger", "create", name, *flags]:
            return _trigger(name, dict(_pairs(flags)))
        case ["kn", "source", "binding", "create", name, *flags]:
            return _binding(name, dict(_pairs(flags)))
    raise ValueError(f"not known: {words}")


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    rest = iter(words)
    for word in rest:
        yield (word, "") if word == "--cluster-local" else (word, next(rest))


def _named(api: str, kind: str, name: str, spec: Object, **metadata: Any) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def _service(name: str, flags: list[tuple[str, str]]) -> Object:
    container: Object = {}
    pod: Object = {"containers": [container]}
    annotations: dict[str, str] = {}
    metadata: Object = {}
    for flag, value in flags:
        if flag in _SCALE:
            annotations[f"autoscaling.knative.dev/{_SCALE[flag]}"] = value
        elif not _set_on_container(container, flag, value):
            _set_on_pod(pod, annotations, metadata, flag, value)
    template = {"metadata": {"annotations": annotations}, "spec": pod}
    return _named("serving.knative.dev/v1", "Service", name, {"template": template}, **metadata)


def _set_on_container(container: Object, flag: str, value: str) -> bool:
    key, _, rest = value.partition("=")
    match flag:
        case "--image":
            container["image"] = value
        case "--env":
            container.setdefault("env", []).append({"name": key, "value": rest})
        case "--env-from":
            name = value.removeprefix("config-map:")
            container.setdefault("envFrom", []).append({"configMapRef": {"name": name}})
        case "--port":
            container["ports"] = [{"containerPort": int(value)}]
        case "--request" | "--limit":
            amounts = dict(part.split("=") for part in value.split(","))
            container.setdefault("resources", {})[f"{flag[2:]}s"] = amounts
        case "--security-context" if value == "strict":
            container["securityContext"] = STRICT
        case "--probe-readiness" | "--probe-liveness":
            scheme, _, port, path = value.split(":")
            assert (scheme, port) == ("http", "8080")
            container[f"{flag.removeprefix('--probe-')}Probe"] = {"httpGet": {"path": path}}
        case "--probe-liveness-opts":
            assert key == "PeriodSeconds"
            container["livenessProbe"]["periodSeconds"] = int(rest)
        case _:
            return False
    return True


def _set_on_pod(pod: Object, annotations: dict[str, str], metadata: Object, flag: str, value: str) -> None:
    key, _, rest = value.partition("=")
    match flag:
        case "-n":
            metadata["namespace"] = value
        case "--cluster-local":
            metadata["labels"] = {"networking.knative.dev/visibility": "cluster-local"}
        case "--concurrency-limit":
            pod["containerConcurrency"] = int(value)
        case "--timeout":
            pod["timeoutSeconds"] = int(value)
        case "--annotation-revision":
            annotations[key] = rest
        case "--mount":
            name = rest.removeprefix("emptyDir:")
            pod["containers"][0]["volumeMounts"] = [{"name": name, "mountPath": key}]
            pod["volumes"] = [{"name": name, "emptyDir": {}}]
        case _:
            raise ValueError(f"not known: {flag} {value}")


def _sink(text: str) -> Object:
    kind, _, name = text.partition(":")
    api, kind = _SINKS[kind]
    return {"ref": {"apiVersion": api, "kind": kind, "name": name}}


def _broker(name: str, flags: dict[str, str]) -> Object:
    delivery = {
        "retry": int(flags.pop("--retry")),
        "backoffPolicy": flags.pop("--backoff-policy"),
        "backoffDelay": flags.pop("--backoff-delay"),
        "timeout": flags.pop("--timeout"),
        "deadLetterSink": _sink(flags.pop("--dl-sink")),
    }
    metadata = {
        "namespace": flags.pop("-n"),
        "annotations": {"eventing.knative.dev/broker.class": flags.pop("--class")},
    }
    assert not flags, f"not known: {flags}"
    return _named("eventing.knative.dev/v1", "Broker", name, {"delivery": delivery}, **metadata)


def _trigger(name: str, flags: dict[str, str]) -> Object:
    key, _, value = flags.pop("--filter").partition("=")
    spec = {
        "broker": flags.pop("--broker"),
        "filter": {"attributes": {key: value}},
        "subscriber": _sink(flags.pop("--sink")),
    }
    namespace = flags.pop("-n")
    assert not flags, f"not known: {flags}"
    return _named("eventing.knative.dev/v1", "Trigger", name, spec, namespace=namespace)


def _binding(name: str, flags: dict[str, str]) -> Object:
    kind, api, subject = flags.pop("--subject").split(":")
    spec = {
        "subject": {"apiVersion": api, "kind": kind, "name": subject},
        "sink": _sink(flags.pop("--sink")),
    }
    namespace = flags.pop("-n")
    assert not flags, f"not known: {flags}"
    return _named("sources.knative.dev/v1", "SinkBinding", name, spec, namespace=namespace)
