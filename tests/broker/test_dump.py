"""The kn commands of what runs: each makes the very object, or kubectl makes it from its YAML."""

import shlex
from typing import Any

import pytest
import yaml

from eventing.broker.dump import as_kn

BROKER = {
    "apiVersion": "eventing.knative.dev/v1",
    "kind": "Broker",
    "metadata": {"name": "default", "namespace": "shop"},
}
TRIGGER: dict[str, Any] = {
    "apiVersion": "eventing.knative.dev/v1",
    "kind": "Trigger",
    "metadata": {"name": "hello", "namespace": "shop"},
    "spec": {"broker": "default", "subscriber": {"uri": "http://x/y"}},
}


def with_spec(document: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return document | {"spec": document.get("spec", {}) | spec}


@pytest.mark.parametrize(
    ("spec", "flags"),
    [
        ({}, "--sink http://x/y"),
        ({"filter": {"attributes": {"type": "a b"}}}, "--filter 'type=a b' --sink http://x/y"),
        (
            {"filters": [{"exact": {"type": "a"}}, {"exact": {"subject": "b"}}]},
            "--filter type=a --filter subject=b",
        ),
    ],
)
def test_what_kn_can_say(spec: dict[str, Any], flags: str) -> None:
    said = as_kn([with_spec(TRIGGER, **spec)])
    assert said.startswith("kn trigger create hello --namespace shop --broker default")
    assert " ".join(map(shlex.quote, shlex.split(flags))) in said


@pytest.mark.parametrize(
    ("document", "lacks"),
    [
        (with_spec(TRIGGER, filters=[{"prefix": {"type": "a"}}]), "filters of Trigger shop/hello"),
        (with_spec(TRIGGER, filters=[{"exact": {"type": "a"}}, {"exact": {"type": "b"}}]), "filters"),
        (with_spec(TRIGGER, delivery={"format": "json"}), "delivery.format"),
        (TRIGGER | {"metadata": TRIGGER["metadata"] | {"annotations": {"a": "b"}}}, "annotation a"),
        (with_spec(BROKER, delivery={"format": "json"}), "delivery.format of Broker shop/default"),
        (with_spec(BROKER, config={"kind": "ConfigMap", "name": "c", "apiVersion": "v1"}), "config"),
    ],
)
def test_what_kn_cannot_say_is_left_to_kubectl(document: dict[str, Any], lacks: str) -> None:
    """A kn command without the filters would make a Trigger that gets every event."""
    note, apply, *text, end = as_kn([document]).splitlines()
    assert note.startswith("# kn has no flag for")
    assert lacks in note
    assert (apply, end) == ("kubectl apply --namespace shop -f - <<'EOF'", "EOF")
    assert yaml.safe_load("\n".join(text)) == document
