"""`tradewind deploy`: the pipeline on a cluster with Knative."""

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tradewind.cluster import NAMESPACE, Context, Namespace
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
            help="kafka, secure, scaled, monitoring; or a folder. Give it again to have several.",
        ),
    ] = None,
    context: Context = None,
    namespace: Namespace = NAMESPACE,
    timeout: Annotated[str, typer.Option(metavar="TIME", help="How long to wait until all is ready.")] = "5m",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the manifests that would be applied, and change nothing.")
    ] = False,
) -> None:
    """Put the pipeline on a cluster with Knative, and wait until it is ready.

    It does what `kubectl apply -k knative/base` does, for the image, overlays and namespace that you name; a
    change of settings starts new pods. At the end it prints how to send a trade and how to ask for it.

    Exit code: 0; 1 if something did not become ready in time (it says what and why); 2 if it could not begin.
    """
    from tradewind.cluster.kubectl import Kubectl, KubectlFailed
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
        things = []
        for stage in _stages(documents):
            say(kubectl.run("apply", "--filename", "-", text=write(stage)), end="")
            ready = wait_until_ready(kubectl, stage, ends_s, say)
            if ready is None:
                say("\nWhat can still become ready does so by itself: `tradewind watch` shows it.")
                raise typer.Exit(BROKEN)
            things += ready
    except BadReference as error:
        fail(str(error))
    except KubectlFailed as error:
        fail(_explain(str(error)))
    say("\n".join(["", "Everything is ready.", "", *how_to_use(things, namespace)]))


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


def _explain(said: str) -> str:
    if "no matches for kind" in said and "knative.dev" in said:
        return (
            f"{said}\n\nThis cluster lacks Knative Serving or Knative Eventing. `kn quickstart kind` makes a "
            "cluster with both; https://knative.dev/docs/install tells how to add them to yours."
        )
    if "localhost:8080" in said and "refused" in said:
        return "kubectl knows no cluster: set KUBECONFIG, or name one of its contexts with --context"
    return said
