"""`Kubectl` with a program: what goes to it, and what is left of what it says when it fails."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tradewind.cluster.kubectl import Kubectl, KubectlFailed

Program = Callable[[str], Kubectl]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """`program("echo x")`: with a kubectl that does this."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def write(script: str) -> Kubectl:
        path = tmp_path / "kubectl"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return Kubectl("there", "ns")

    return write


def test_a_text_goes_to_its_standard_input(program: Program) -> None:
    kubectl = program('echo "$@"; cat')
    assert (
        kubectl.run("apply", "-f", "-", text="kind: X")
        == "--context there --namespace ns apply -f -\nkind: X"
    )


@pytest.mark.parametrize(
    ("script", "why"),
    [("echo made; echo no >&2; exit 1", "no"), ("echo made; exec sleep 30", "not done after 2 s")],
)
def test_what_it_had_done_is_told_when_it_fails(program: Program, script: str, why: str) -> None:
    said: list[str] = []
    with pytest.raises(KubectlFailed, match=why):
        program(script).do("apply", say=said.append, timeout_s=2)
    assert said == ["made"]


def test_what_its_libraries_log_is_left_out(program: Program) -> None:
    logged = 'E1128 20:29:07.574 29929 memcache.go:265] "Unhandled Error"'
    kubectl = program(f"echo '{logged}' >&2; echo '{logged}' >&2; echo refused >&2; exit 1")
    with pytest.raises(KubectlFailed) as failed:
        kubectl.get("pods")
    assert str(failed.value) == "refused"
    with pytest.raises(KubectlFailed, match="Unhandled"):
        program(f"echo '{logged}' >&2; exit 1").get("pods")


def test_a_context_that_was_not_named(program: Program, tmp_path: Path) -> None:
    assert program("exit 1").current_context() == "there"
    program("echo kind-knative")
    assert Kubectl(None, "ns").current_context() == "kind-knative"


def test_without_a_context_nobody_is_asked(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """kubectl would ask localhost:8080, where our own query function listens."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    program("echo error: current-context is not set >&2; exit 1").check_context()  # it was named
    with pytest.raises(KubectlFailed, match="set KUBECONFIG"):
        Kubectl(None, "ns").check_context()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    Kubectl(None, "ns").check_context()
