"""`tradewind deploy`: the pipeline on a cluster with Knative."""

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tradewind.cluster import NAMESPACE, OURS, Context, Namespace, in_kubectl, in_tradewind, is_ours
from tradewind.exits import BROKEN
from tradewind.options import duration, fail

if TYPE_CHECKING:
    from tradewind.cluster.kubectl import Kubectl
    from tradewind.cluster.manifests import Document


def deploy(
    *,
    image: Annotated[
        str | None,
        typer.Option(
            metavar="REF", help="The image, as registry.example/tradewind:1. Default: dev.local/tradewind:1."
        ),
    ] = None,
    overlay: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="kafka, secure, scaled, monitoring, or another of knative/components; or a folder. Give it "
            "again to have several.",
        ),
    ] = None,
    context: Context = None,
    namespace: Namespace = NAMESPACE,
    timeout: Annotated[str, typer.Option(metavar="TIME", help="How long to wait until all is ready.")] = "5m",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the manifests that would be applied, and change nothing. No cluster is asked: the "
            "Namespace is among them.",
        ),
    ] = False,
) -> None:
    """Put the pipeline on a cluster with Knative, and wait until it is ready.

    It does what `kubectl apply -k knative/base` does, for the image, overlays and namespace that you name; a
    change of settings starts new pods. At the end it prints how to send a trade and how to ask for it.

    A namespace that is there already and is not tradewind's own (it lacks our label) stays as it is: no label
    and no pod security standard is put on it.

    Exit code: 0; 1 if something did not become ready in time (it says what and why); 2 if it could not begin.
    """
    from tradewind.cluster.kubectl import Kubectl, KubectlFailed, explain
    from tradewind.cluster.manifests import BadReference, find_overlay, write
    from tradewind.cluster.rollout import wait_until_ready
    from tradewind.cluster.usage import how_to_use

    ends_s = time.monotonic() + (duration(timeout) or 0.0)
    say = partial(print, flush=True)
    try:
        kubectl = Kubectl(context, namespace)
        documents = _render(kubectl, [find_overlay(name) for name in overlay or ()], namespace, image)
        if dry_run:
            print(write(documents), end="")
            return
        kubectl.check_context()
        documents = _spare_namespace(kubectl, documents)
        things = []
        for stage in _stages(documents):
            kubectl.do("apply", "--filename", "-", text=write(stage), say=say)
            ready = wait_until_ready(kubectl, stage, ends_s, say)
            if ready is None:
                watch = in_tradewind("watch", context, namespace)
                say(f"\nWhat can still become ready does so by itself: `{watch}` shows it.")
                raise typer.Exit(BROKEN)
            things += ready
    except BadReference as error:
        fail(str(error))
    except KubectlFailed as error:
        fail(explain(error))
    asks_who_sends = any(document["kind"] == "EventPolicy" for document in documents)
    usage = how_to_use(things, namespace, context, asks_who_sends=asks_who_sends)
    say("\n".join(["", "Everything is ready.", "", *usage]))


def _stages(documents: "list[Document]") -> "list[list[Document]]":
    """What takes events, then what sends them."""
    from tradewind.cluster.manifests import starts_last

    first = [document for document in documents if not starts_last(document)]
    last = [document for document in documents if starts_last(document)]
    return [first, last] if last else [first]


def _render(kubectl: "Kubectl", overlays: list[Path], namespace: str, image: str | None) -> "list[Document]":
    from tradewind.cluster.manifests import kustomization, read, stamp

    with tempfile.TemporaryDirectory(prefix="tradewind-") as name:
        folder = Path(name)
        (folder / "kustomization.yaml").write_text(kustomization(overlays, folder, namespace, image))
        return stamp(read(kubectl.kustomize(name)))


def _spare_namespace(kubectl: "Kubectl", documents: "list[Document]") -> "list[Document]":
    """The documents, without the Namespace where there is one that is not ours. Raises KubectlFailed."""
    from tradewind.cluster.kubectl import KubectlFailed

    name = kubectl.namespace
    try:
        found = kubectl.get("namespace", name)
    except KubectlFailed as error:
        if not error.is_forbidden:
            raise
        found = [{"metadata": {}}]  # who may not even look at it works in a namespace that others made
    if all(map(is_ours, found)):
        return documents
    if any(map(_closes_the_namespace, documents)):
        fail(
            f"An overlay closes the network of all pods in its namespace, and {name} is not tradewind's own: "
            "take another with --namespace. If it is for tradewind alone, say so:\n"
            f"    {in_kubectl(kubectl.context)} label namespace {name} {OURS}"
        )
    print(f"The namespace {name} is not tradewind's own and stays as it is.", flush=True)
    return [document for document in documents if document["kind"] != "Namespace"]


def _closes_the_namespace(document: "Document") -> bool:
    return document["kind"] == "NetworkPolicy" and not document["spec"]["podSelector"]
