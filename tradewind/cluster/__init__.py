"""The pipeline on Knative, seen from outside: how it is put there, and how it stands."""

import shlex
from typing import Annotated, Any

import typer

NAMESPACE = "tradewind"
OURS = "app.kubernetes.io/part-of=tradewind"  # the label of all objects in our manifests
BROKER = "default"

Context = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="Of kubectl's contexts. Default: the current.")
]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NAME", help="Where it is on the cluster.")
]


class NoCluster(Exception):
    """No cluster is known, or it shows nothing; the message says why and what to do."""


def is_ours(thing: dict[str, Any]) -> bool:
    """Whether an object bears our label."""
    label, _, value = OURS.partition("=")
    return bool((thing["metadata"].get("labels") or {}).get(label) == value)


def in_kubectl(context: str | None, namespace: str | None = None) -> str:
    """How a kubectl command begins that people are told to type."""
    words = [
        "kubectl",
        *(("--context", context) if context else ()),
        *(("-n", namespace) if namespace else ()),
    ]
    return shlex.join(words)


def in_tradewind(command: str, context: str | None, namespace: str) -> str:
    """A command of ours that people are told to type, for this cluster and namespace."""
    options = (*(("--context", context) if context else ()), "--namespace", namespace)
    return shlex.join(("tradewind", command, *options))
