"""The Trigger of an attached function: the same here and on a cluster."""

from collections.abc import Iterable, Mapping
from typing import Any

from tradewind.attached.attachment import CannotAttach

NAMESPACE = "tradewind"
BROKER = "default"

Trigger = dict[str, Any]


def make_trigger(name: str, attributes: Mapping[str, str], expression: str | None) -> Trigger:
    """A Trigger as Kubernetes takes it. Raises CannotAttach for a filter that can't be."""
    from eventing.filters import BadFilter, compile_filters

    if not attributes and not expression:
        raise CannotAttach(
            "say which events it gets: --filter type=trade.executed.v1, or --expression. "
            "(With all of them it would get its own answers, too, without end.)"
        )
    spec: dict[str, Any] = {"broker": BROKER}
    if expression:
        exact = [{"exact": dict(attributes)}] if attributes else []
        spec["filters"] = [*exact, {"cesql": expression}]
    else:
        spec["filter"] = {"attributes": dict(attributes)}
    try:
        compile_filters(spec.get("filter"), spec.get("filters"))
    except BadFilter as error:
        raise CannotAttach(str(error)) from None
    service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {**spec, "subscriber": {"ref": service}},
    }


def as_yaml(trigger: Trigger) -> str:
    """For `kubectl apply -f -`, with the `kn` command as a comment."""
    from eventing.broker import dump

    if "filters" in trigger["spec"]:  # without them, kn's Trigger would get every event
        command = "kn has no flag for an expression: give this to `kubectl apply -f -`"
    else:
        command = dump.as_kn([trigger]).rstrip()
    return f"# {command}\n{dump.as_yaml([trigger])}"


def parse_pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """`["type=a"]` as a mapping. Raises CannotAttach."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not name or not sign:
            raise CannotAttach(f"{option} {text}: write NAME=VALUE")
        if name in pairs:
            hint = (
                f" (for either of two: --expression \"{name} IN ('a', 'b')\")" if option == "--filter" else ""
            )
            raise CannotAttach(f"{option} {name} is there twice{hint}")
        pairs[name] = value
    return pairs
