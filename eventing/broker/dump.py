"""What runs here, as the YAML for `kubectl apply -f` and as `kn` commands."""

import shlex
from collections.abc import Iterable
from typing import Any

import yaml

from eventing.broker.config import Document
from eventing.destinations import parse_destination


def as_yaml(documents: Iterable[Document]) -> str:
    """A multi-document file that this broker and a cluster both read."""
    return yaml.safe_dump_all(documents, sort_keys=False)


def as_kn(documents: Iterable[Document]) -> str:
    """`kn broker create` and `kn trigger create`; a comment says what kn has no flag for."""
    return "\n".join(_lines(documents)) + "\n"


def _lines(documents: Iterable[Document]) -> Iterable[str]:
    for document in documents:
        metadata, spec = document["metadata"], document.get("spec") or {}
        namespace = metadata.get("namespace") or "default"
        delivery = dict(spec.get("delivery") or {})
        if document["kind"] == "Broker":
            flags = ["broker", "create", metadata["name"], "--namespace", namespace]
            if broker_class := (metadata.get("annotations") or {}).get("eventing.knative.dev/broker.class"):
                flags += ["--class", broker_class]
            flags += _delivery_flags(delivery)
            missing: list[str] = []
        else:
            flags = ["trigger", "create", metadata["name"], "--namespace", namespace]
            flags += ["--broker", spec.get("broker") or "default"]
            attributes, missing = _filters(spec)
            for name, value in attributes.items():
                flags += ["--filter", f"{name}={value}"]
            flags += ["--sink", parse_destination(spec["subscriber"])]
            missing += [f"delivery.{name}" for name in delivery]
            missing += [f"annotation {name}" for name in metadata.get("annotations") or {}]
        if missing:
            yield f"# kn has no flag for {', '.join(missing)}: use the YAML for the next one"
        yield shlex.join(["kn", *flags])


def _delivery_flags(delivery: dict[str, Any]) -> list[str]:
    flags = {
        "deadLetterSink": "--dl-sink",
        "retry": "--retry",
        "backoffPolicy": "--backoff-policy",
        "backoffDelay": "--backoff-delay",
        "timeout": "--timeout",
        "retryAfterMax": "--retry-after-max",
    }
    found = []
    for name, flag in flags.items():
        if name in delivery:
            value = delivery[name]
            found += [flag, parse_destination(value) if name == "deadLetterSink" else str(value)]
    return found


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
