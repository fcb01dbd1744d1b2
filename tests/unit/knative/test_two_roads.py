"""The `kn` commands of docs/knative.md and the YAML of knative/base: the same objects, in what matters."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventing.filters import compile_filters
from tests.unit.knative.kn import STRICT, commands, make

REPOSITORY = Path(__file__).parents[3]
DOCUMENT = REPOSITORY / "docs" / "knative.md"
OWN_FUNCTION = REPOSITORY / "docs" / "your-own-function.md"

Object = dict[str, Any]
Base = dict[tuple[str, str], Object]


@pytest.fixture(scope="module")
def road() -> list[list[str]]:
    return commands(DOCUMENT.read_text())


@pytest.fixture(scope="module")
def made(road: list[list[str]]) -> list[Object]:
    return [make(words) for words in road if words[0] == "kn"]


def comparable(given: Object) -> Object:
    """Without what kn can't say, and without the labels by which we find our own."""
    found = copy.deepcopy(given)
    found["metadata"] = {
        "name": found["metadata"]["name"],
        "class": found["metadata"].get("annotations"),
        "visibility": (found["metadata"].get("labels") or {}).get("networking.knative.dev/visibility"),
    }
    template = found["spec"].get("template")
    if template:
        template["metadata"].pop("labels", None)
        template["spec"].pop("automountServiceAccountToken", None)
        (container,) = template["spec"]["containers"]
        container["securityContext"].pop("readOnlyRootFilesystem", None)
        container["envFrom"] = [source for source in container["envFrom"] if "secretRef" not in source]
    return found


@pytest.mark.parametrize("kind", ["Service", "Broker", "SinkBinding"])
def test_the_objects_are_the_same(kind: str, made: list[Object], base: Base) -> None:
    by_kn = {one["metadata"]["name"]: comparable(one) for one in made if one["kind"] == kind}
    by_yaml = {name: comparable(one) for (of, name), one in base.items() if of == kind}
    assert by_kn == by_yaml
    assert by_kn


@pytest.mark.parametrize("type_", ["trade.executed.v1", "trade.batch.v1", "other.v1", "trade.executed.v2"])
def test_the_triggers_send_the_same_events_to_the_same_functions(
    type_: str, made: list[Object], base: Base
) -> None:
    """kn makes two Triggers where the YAML has one with two types; no event may come twice."""
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": type_}

    def subscribers(triggers: list[Object]) -> list[str]:
        return sorted(
            trigger["spec"]["subscriber"]["ref"]["name"]
            for trigger in triggers
            if compile_filters(trigger["spec"].get("filter"), trigger["spec"].get("filters"))(event)
        )

    by_kn = subscribers([one for one in made if one["kind"] == "Trigger"])
    assert by_kn == subscribers([one for (kind, _), one in base.items() if kind == "Trigger"])
    assert by_kn == (["store-trade", "update-summary"] if type_.endswith(("executed.v1", "batch.v1")) else [])


def test_everything_goes_into_the_namespace_of_the_manifests(road: list[list[str]], base: Base) -> None:
    for words in road:
        if words[:2] == ["kubectl", "create"]:
            assert ("Namespace", words[3]) in base
        else:
            assert words[words.index("-n") + 1] == "tradewind"


def test_the_files_of_the_kubectl_commands_are_there(road: list[list[str]], base: Base) -> None:
    """What kn does not make comes from files, and together that is all of the base."""
    named = [words[place + 1] for words in road for place, word in enumerate(words) if word in {"-f", "-k"}]
    assert named
    for name in named:
        assert (REPOSITORY / name).exists()
    files = {Path(name).name for name in named} | {
        "services.yaml",
        "broker.yaml",
        "triggers.yaml",
        "bindings.yaml",
    }
    resources = (REPOSITORY / "knative/base/kustomization.yaml").read_text()
    listed = set(re.findall(r"^  - (?:\.\./components/)?([\w.]+)", resources, re.MULTILINE))
    assert listed == files | {"namespace.yaml"}


def test_a_function_of_ones_own_passes_the_namespaces_standard() -> None:
    """`kn` gives a pod no security context by itself, and the namespace enforces `restricted`."""
    text = OWN_FUNCTION.read_text()
    made = [make(words) for words in commands(text) if words[0] == "kn"]
    (written,) = re.findall(r"(?s)```yaml\n(.*?)```", text)
    claim, service = yaml.safe_load_all(written)
    assert [one["metadata"]["name"] for one in (*made, service)] == ["largest", "volume-alert"]
    for one in (*made, service):
        assert one["metadata"]["namespace"] == "tradewind"
        spec = one["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert container["securityContext"] == STRICT
        assert container["envFrom"] == [{"configMapRef": {"name": "tradewind-settings"}}]
    (volume,) = service["spec"]["template"]["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert "for flag in persistent-volume-claim persistent-volume-write securitycontext; do" in text


def test_what_kn_lacks_is_told() -> None:
    text = " ".join(DOCUMENT.read_text().split())
    for words in ("read-only", "service account token", "optional Secret"):
        assert words in text
