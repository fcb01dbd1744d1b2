"""What runs here, as the YAML for `kubectl apply -f` and as `kn` commands."""

import shlex
from collections.abc import Iterable

import yaml

from eventing.broker.files import Document
from eventing.destinations import parse_destination

BROKER_CLASS = "eventing.knative.dev/broker.class"
_DELIVERY_FLAGS = {
    "deadLetterSink": "--dl-sink",
    "retry": "--retry",
    "backoffPolicy": "--backoff-policy",
    "backoffDelay": "--backoff-delay",
    "timeout": "--timeout",
    "retryAfterMax": "--retry-after-max",
}


def as_yaml(documents: Iterable[Document]) -> str:
    """A multi-document file that this broker and a cluster both read."""
    return yaml.safe_dump_all(documents, sort_keys=False)


def as_kn(documents: Iterable[Document]) -> str:
    """`kn broker create` and `kn trigger create`; by kubectl, with a comment, what kn has no flags for.

    A kn command that leaves out a filter would make a Trigger that gets every event.
    """
    return "\n".join(map(_command, documents)) + "\n"


def _command(document: Document) -> str:
    name, namespace = document["metadata"]["name"], document["metadata"].get("namespace") or "default"
    flags, missing = _broker(document) if document["kind"] == "Broker" else _trigger(document)
    if not missing:
        kind = document["kind"].lower()
        return shlex.join(["kn", kind, "create", name, "--namespace", namespace, *flags])
    return (
        f"# kn has no flag for {', '.join(missing)} of {document['kind']} {namespace}/{name}\n"
        f"kubectl apply --namespace {namespace} -f - <<'EOF'\n{as_yaml([document])}EOF"
    )


def _broker(document: Document) -> tuple[list[str], list[str]]:
    """kn's flags for a Broker, and the fields that it has none for."""
    spec = document.get("spec") or {}
    flags = []
    if broker_class := (document["metadata"].get("annotations") or {}).get(BROKER_CLASS):
        flags += ["--class", broker_class]
    delivery = spec.get("delivery") or {}
    for member, flag in _DELIVERY_FLAGS.items():
        if member in delivery:
            value = delivery[member]
            flags += [flag, parse_destination(value) if member == "deadLetterSink" else str(value)]
    missing = ["config"] if spec.get("config") else []
    return flags, missing + [f"delivery.{member}" for member in delivery if member not in _DELIVERY_FLAGS]


def _trigger(document: Document) -> tuple[list[str], list[str]]:
    """kn's flags for a Trigger, and the fields that it has none for."""
    spec = document["spec"]
    attributes, missing = _filters(spec)
    flags = ["--broker", spec.get("broker") or "default"]
    for name, value in attributes.items():
        flags += ["--filter", f"{name}={value}"]
    flags += ["--sink", parse_destination(spec["subscriber"])]
    missing += [f"delivery.{member}" for member in spec.get("delivery") or {}]
    missing += [f"annotation {name}" for name in document["metadata"].get("annotations") or {}]
    return flags, missing


def _filters(spec: Document) -> tuple[dict[str, str], list[str]]:
    """kn's `--filter` is `filter.attributes`; of `filters` it can say only exact ones that must all match."""
    if not spec.get("filters"):
        return dict((spec.get("filter") or {}).get("attributes") or {}), []
    attributes: dict[str, str] = {}
    for entry in spec["filters"]:
        if set(entry) != {"exact"} or set(entry["exact"]) & set(attributes):
            return {}, ["filters"]
        attributes |= entry["exact"]
    return attributes, []
