"""`tradewind undeploy`: takes the pipeline off a cluster."""

from typing import TYPE_CHECKING, Annotated

import typer

from tradewind.cluster import NAMESPACE, OURS, Context, Namespace
from tradewind.options import fail

if TYPE_CHECKING:
    from tradewind.cluster.kubectl import Kubectl

TIMEOUT_S = 120
BROKER = "default"
# Knative gives our label to what it makes for our Services, and removes that itself.
_NOT_KNATIVES = f"{OURS},!serving.knative.dev/service,!serving.knative.dev/route"
_TRIGGERS = "triggers.eventing.knative.dev"
KINDS = (
    "deployments.apps",
    "sinkbindings.sources.knative.dev",
    "eventpolicies.eventing.knative.dev",
    "brokers.eventing.knative.dev",
    "services.serving.knative.dev",
    "statefulsets.apps",
    "poddisruptionbudgets.policy",
    "networkpolicies.networking.k8s.io",
    "podmonitors.monitoring.coreos.com",
    "servicemonitors.monitoring.coreos.com",
    "prometheusrules.monitoring.coreos.com",
    "services",
    "serviceaccounts",
    "configmaps",
)
CLUSTER_WIDE = ("clusterrolebindings.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io")


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
) -> None:
    """Take the pipeline off the cluster. Aerospike's volumes, and so all trades, stay unless --all is given.

    The generator ends first, then the Broker's Triggers one by one, so that what was sent is delivered.
    Functions of your own stay, without their Triggers.

    Exit code: 0; 2 if the cluster refused something.
    """
    from tradewind.cluster.kubectl import Kubectl, KubectlFailed

    try:
        remove(Kubectl(context, namespace), whole_namespace=namespace if all_ else None)
    except KubectlFailed as error:
        fail(str(error))
    if not all_:
        print(f"The namespace {namespace} and Aerospike's volumes are still there: --all removes them, too.")


def remove(kubectl: "Kubectl", whole_namespace: str | None) -> None:
    """Raises KubectlFailed."""
    from tradewind.cluster.kubectl import KubectlFailed
    from tradewind.cluster.manifests import cluster_wide

    _delete(kubectl, "deployments.apps", "generator")
    # One by one, each until its Subscription is gone too: Triggers that are deleted together can leave dead
    # subscribers in an in-memory channel.
    for trigger in kubectl.get(_TRIGGERS):
        if trigger["spec"]["broker"] == BROKER:
            _delete(kubectl, _TRIGGERS, trigger["metadata"]["name"])
    if whole_namespace:
        _delete(kubectl, "namespace", whole_namespace, timeout_s=3 * TIMEOUT_S)
        for kind in CLUSTER_WIDE:
            _delete(kubectl, kind, cluster_wide(whole_namespace))
        return
    for kind in KINDS:
        try:
            _delete(kubectl, kind, "--selector", _NOT_KNATIVES)
        except KubectlFailed as error:
            if "doesn't have a resource type" not in str(error):
                raise


def _delete(kubectl: "Kubectl", *arguments: str, timeout_s: int = TIMEOUT_S) -> None:
    """Until it is gone, with all that belongs to it."""
    options = ("--ignore-not-found", "--cascade=foreground", f"--timeout={timeout_s}s")
    print(kubectl.run("delete", *arguments, *options, timeout_s=timeout_s + 10), end="", flush=True)
