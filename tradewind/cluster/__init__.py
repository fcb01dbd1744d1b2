"""The pipeline on Knative, seen from outside: how it is put there, and how it stands."""

from typing import Annotated

import typer

NAMESPACE = "tradewind"
OURS = "app.kubernetes.io/part-of=tradewind"  # the label of all objects in our manifests

Context = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="Of kubectl's contexts. Default: the current.")
]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NAME", help="Where it is on the cluster.")
]


class NoCluster(Exception):
    """No cluster is known, or it shows nothing; the message says why and what to do."""
