"""kubectl, run as a program: it has the user's contexts, credentials and plugins, and kustomize."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

TIMEOUT_S = 120.0
_NO_CLUSTER = "kubectl knows no cluster: set KUBECONFIG, or name one of its contexts with --context"
# What its libraries log beside the reason, several times over and with the time in it.
_LOGGED = re.compile(r"^[EIW]\d{4} .*\n?", re.MULTILINE)


class KubectlFailed(Exception):
    """kubectl is missing, or said no; the message is what it said, `output` what it had done until then."""

    def __init__(self, said: str, output: str = "") -> None:
        super().__init__(said)
        self.output = output

    @property
    def is_forbidden(self) -> bool:
        """Whether this user may not do it."""
        return "(Forbidden)" in str(self)

    @property
    def lacks_kind(self) -> bool:
        """Whether the cluster does not know the kind of object that was asked for."""
        return "doesn't have a resource type" in str(self)


class Kubectl:
    """One cluster and namespace. Every call raises KubectlFailed."""

    def __init__(self, context: str | None, namespace: str) -> None:
        program = shutil.which("kubectl")
        if program is None:
            raise KubectlFailed(
                "kubectl is not on PATH: install it (https://kubernetes.io/docs/tasks/tools), "
                "or write the manifests with --dry-run elsewhere and apply them there"
            )
        self.context, self.namespace = context, namespace
        self._program = program
        self._cluster = (*(("--context", context) if context else ()), "--namespace", namespace)

    def run(self, *arguments: str, text: str | None = None, timeout_s: float = TIMEOUT_S) -> str:
        """Its standard output; `text` goes to its standard input."""
        return self._run((*self._cluster, *arguments), text, timeout_s)

    def do(
        self,
        *arguments: str,
        say: Callable[[str], None],
        text: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Run it and `say` what it did, also where it fails after a part."""
        try:
            done = self.run(*arguments, text=text, timeout_s=timeout_s)
        except KubectlFailed as error:
            _say_lines(error.output, say)
            raise
        _say_lines(done, say)

    def kustomize(self, folder: str) -> str:
        """The manifests of a kustomization. Asks no cluster."""
        return self._run(("kustomize", folder), None, TIMEOUT_S)

    def current_context(self) -> str:
        """The name of the context that is used. Asks no cluster."""
        return self.context or self._run(("config", "current-context"), None, TIMEOUT_S).strip()

    def check_context(self) -> None:
        """That there is one: without, kubectl takes whoever listens on localhost:8080 for a cluster."""
        if self.context or "KUBERNETES_SERVICE_HOST" in os.environ:  # the latter in a pod
            return
        try:
            self.current_context()
        except KubectlFailed:
            raise KubectlFailed(_NO_CLUSTER) from None

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
        except subprocess.TimeoutExpired as error:
            said = " ".join(arguments)
            raise KubectlFailed(
                f"`kubectl {said}` was not done after {timeout_s:g} s", _text(error.stdout)
            ) from None
        if done.returncode:
            said = _LOGGED.sub("", done.stderr).strip() or done.stderr.strip()
            raise KubectlFailed(said or f"kubectl ended with {done.returncode}", done.stdout)
        return done.stdout

    def get(self, *arguments: str, text: str | None = None) -> list[dict[str, Any]]:
        """Objects, none where there are none."""
        output = self.run("get", *arguments, "--ignore-not-found", "--output", "json", text=text)
        if not output.strip():
            return []
        found: dict[str, Any] = msgspec.json.decode(output)
        return list(found["items"]) if "items" in found else [found]


def explain(error: KubectlFailed) -> str:
    """What it said, and what to do about it where that is known."""
    said = str(error)
    if "no matches for kind" in said and "knative.dev" in said:
        return (
            f"{said}\n\nThis cluster lacks Knative Serving or Knative Eventing. `kn quickstart kind` makes a "
            "cluster with both; https://knative.dev/docs/install tells how to add them to yours."
        )
    if "localhost:8080" in said and "refused" in said:
        return _NO_CLUSTER
    return said


def _say_lines(output: str, say: Callable[[str], None]) -> None:
    if output.strip():
        say(output.rstrip("\n"))


def _text(output: bytes | str | None) -> str:
    """A program that was stopped gives bytes, whatever was asked for."""
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""
