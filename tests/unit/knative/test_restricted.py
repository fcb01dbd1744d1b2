"""What the `restricted` Pod Security Standard forbids stands nowhere, in the overlays' patches neither."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FORBIDDEN = {
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostPath",
    "hostPort",
    "privileged",
    "procMount",
    "sysctls",
}
VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """All names and values, at any depth."""
    if isinstance(value, dict):
        for name, held in value.items():
            yield name, held
            yield from members(held)
    elif isinstance(value, list):
        for held in value:
            yield from members(held)


def test_nothing_that_is_forbidden(documents: list[tuple[Path, dict[str, Any]]]) -> None:
    for path, document in documents:
        for name, value in members(document.get("spec") or {}):
            assert name not in FORBIDDEN, path
            if name in ("runAsUser", "runAsGroup"):
                assert value != 0, path
            if name in ("runAsNonRoot", "readOnlyRootFilesystem"):
                assert value is True, path
            if name == "allowPrivilegeEscalation":
                assert value is False, path
            if name == "capabilities":
                assert value == {"drop": ["ALL"]}, path
            if name == "seccompProfile":
                assert value == {"type": "RuntimeDefault"}, path


def test_volumes_are_of_the_kinds_that_are_allowed(documents: list[tuple[Path, dict[str, Any]]]) -> None:
    found = 0
    for path, document in documents:
        for name, value in members(document.get("spec") or {}):
            if name == "volumes" and isinstance(value, list):
                for volume in value:
                    assert set(volume) - {"name"} <= VOLUMES, path
                    found += 1
    assert found > 5


def test_the_namespace_enforces_it(documents: list[tuple[Path, dict[str, Any]]]) -> None:
    namespaces = [document for _, document in documents if document["kind"] == "Namespace"]
    assert namespaces
    for namespace in namespaces:
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_it_would_be_found(name: str) -> None:
    assert name in dict(members({"template": {"spec": {"containers": [{name: True}]}}}))
