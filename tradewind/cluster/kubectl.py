"""kubectl, run as a program: it has the user's contexts, credentials and plugins, and kustomize."""

import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import msgspec

TIMEOUT_S = 120.0


class KubectlFailed(Exception):
    """kubectl is missing, or said no; the message is what it said."""


class Kubectl:
    """One cluster and namespace. Every call raises KubectlFailed."""

    def __init__(self, context: str | None, namespace: str) -> None:
        program = shutil.which("kubectl")
        if program is None:
            raise KubectlFailed(
                "kubectl is not on PATH: install it (https://kubernetes.io/docs/tasks/tools), "
                "or write the manifests with --dry-run elsewhere and apply them there"
            )
        self._program = program
        self._cluster = (*(("--context", context) if context else ()), "--namespace", namespace)

    def run(self, *arguments: str, text: str | None = None, timeout_s: float = TIMEOUT_S) -> str:
        """Its standard output; `text` goes to its standard input."""
        return self._run((*self._cluster, *arguments), text, timeout_s)

    def kustomize(self, folder: str) -> str:
        """The manifests of a kustomization. Asks no cluster."""
        return self._run(("kustomize", folder), None, TIMEOUT_S)

    def _run(self, arguments: Sequence[str], text: str | None, timeout_s: float) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - no shell; what users give are arguments of options
                (self._program, *arguments),
                input=text,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            said = " ".join(arguments)
            raise KubectlFailed(f"`kubectl {said}` was not done after {timeout_s:g} s") from None
        if done.returncode:
            raise KubectlFailed(done.stderr.strip() or f"kubectl ended with {done.returncode}")
        return done.stdout

    def get(self, *arguments: str, text: str | None = None) -> list[dict[str, Any]]:
        """Objects, none where there are none."""
        output = self.run("get", *arguments, "--ignore-not-found", "--output", "json", text=text)
        if not output.strip():
            return []
        found: dict[str, Any] = msgspec.json.decode(output)
        return list(found["items"]) if "items" in found else [found]
