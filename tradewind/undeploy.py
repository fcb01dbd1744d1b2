"""`tradewind undeploy`: takes the pipeline off a cluster."""

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tradewind.cluster import NAMESPACE, OURS, Context, Namespace, in_kubectl, in_tradewind, is_ours
from tradewind.options import fail

if TYPE_CHECKING:
    from tradewind.cluster.kubectl import Kubectl

MAX_OTHERS = 20  # told one by one


def undeploy(
    *,
    context: Context = None,
    namespace: Namespace = NAMESPACE,
    all_: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Also the namespace, and with it Aerospike's volumes: all data; and Prometheus' role.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --all.")] = False,
    drop_backlog: Annotated[
        bool,
        typer.Option(
            "--drop-backlog", help="Also where a Broker keeps events: what it has not delivered is lost."
        ),
    ] = False,
) -> None:
    """Take the pipeline off the cluster. Aerospike's volumes, and so all trades, stay unless --all is given.

    The generator ends first, then the Broker's Triggers one by one. With the in-memory Broker nothing that
    was accepted is lost by that: it accepts what is delivered. A Broker that keeps events, as Kafka's does,
    would take with it those that still wait: then nothing is removed without --drop-backlog, and you are told
    how to wait for them.

    Functions of your own stay, without their Triggers. --all removes them too: it shows what else is in the
    namespace and asks first, and removes no namespace without tradewind's label.

    Exit code: 0; 2 if nothing was removed for one of these reasons, or the cluster refused something.
    """
    from tradewind.cluster.kubectl import Kubectl, KubectlFailed, explain
    from tradewind.cluster.removal import remove, remove_namespace

    say = partial(print, flush=True)
    try:
        kubectl = Kubectl(context, namespace)
        kubectl.check_context()
        say(f"Tradewind in the namespace {namespace}, {_where(kubectl)}")
        if not drop_backlog:
            _keep_backlog(kubectl)
        if all_:
            _check_namespace(kubectl, is_sure=yes)
            remove_namespace(kubectl, say)
        else:
            remove(kubectl, say)
    except KubectlFailed as error:
        fail(explain(error))
    if not all_:
        say(f"The namespace {namespace} and Aerospike's volumes are still there: --all removes them, too.")


def _where(kubectl: "Kubectl") -> str:
    from tradewind.cluster.kubectl import KubectlFailed

    try:
        return f"context {kubectl.current_context()}"
    except KubectlFailed:  # in a pod there is none
        return "in the cluster that kubectl uses"


def _keep_backlog(kubectl: "Kubectl") -> None:
    """End where the Broker may hold events that it accepted. Raises KubectlFailed.

    How many there are the Kubernetes API does not know: a consumer group's lag is Kafka's to tell.
    """
    from tradewind.cluster.removal import find_log

    log = find_log(kubectl)
    if log is None:
        return
    stop = f"{in_kubectl(kubectl.context, kubectl.namespace)} scale deployment/generator --replicas 0"
    fail(
        f"Nothing was removed: the Broker ({log}) keeps what it accepted until it is delivered, and with it "
        "goes what still waits.\n"
        f"Stop what sends ({stop}), wait until the Triggers' consumer groups have no lag "
        "(docs/knative.md tells how to look), then give --drop-backlog."
    )


def _check_namespace(kubectl: "Kubectl", *, is_sure: bool) -> None:
    """Tell what goes with the namespace, and ask; end where it is not ours. Raises KubectlFailed."""
    from tradewind.cluster.removal import find_others

    name = kubectl.namespace
    for namespace in kubectl.get("namespace", name):
        if not is_ours(namespace):
            fail(
                f"Nothing was removed: the namespace {name} is not tradewind's own, it has no label {OURS}.\n"
                f"`{in_tradewind('undeploy', kubectl.context, name)}` takes the pipeline out and leaves the "
                f"rest; `{in_kubectl(kubectl.context)} delete namespace {name}` would remove everything."
            )
        others = find_others(kubectl)
        if others:
            more = f" and {len(others) - MAX_OTHERS} more" if len(others) > MAX_OTHERS else ""
            print(f"Also in it, and not tradewind's: {', '.join(others[:MAX_OTHERS])}{more}")
        if is_sure:
            return
        if not is_terminal():
            fail(
                "Nothing was removed: --all removes the namespace with all data. Give --yes if that is meant."
            )
        if not typer.confirm(f"Remove the namespace {name} with all that is in it, Aerospike's data too?"):
            fail("Nothing was removed.")


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()
