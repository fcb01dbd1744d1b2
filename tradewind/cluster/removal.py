"""Taking the pipeline off a cluster, in the order in which nothing that was accepted gets lost."""

from collections.abc import Callable, Iterable
from typing import Any

from tradewind.cluster import BROKER, OURS
from tradewind.cluster.kubectl import Kubectl, KubectlFailed
from tradewind.cluster.manifests import cluster_wide

TIMEOUT_S = 120
# Knative gives our label to what it makes for our Services, and removes that itself.
_NOT_KNATIVES = f"{OURS},!serving.knative.dev/service,!serving.knative.dev/route"
_TRIGGERS = "triggers.eventing.knative.dev"
_BROKERS = "brokers.eventing.knative.dev"
KINDS = (
    "deployments.apps",
    "sinkbindings.sources.knative.dev",
    "eventpolicies.eventing.knative.dev",
    _BROKERS,
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
# The Broker that answers 202 only when all Triggers have been served, and so keeps nothing that was accepted.
_SYNCHRONOUS = ("MTChannelBasedBroker", "InMemoryChannel")

Say = Callable[[str], None]


def find_log(kubectl: Kubectl) -> str | None:
    """What of our Broker keeps accepted events until they are delivered: its class, or its channel's kind.

    None where it keeps none, or there is no Broker. Raises KubectlFailed.
    """
    for broker in _find(kubectl, _BROKERS, BROKER):
        class_ = (broker["metadata"].get("annotations") or {}).get("eventing.knative.dev/broker.class", "")
        channel = (broker.get("status", {}).get("annotations") or {}).get(
            "knative.dev/channelKind", _SYNCHRONOUS[1]
        )
        if class_ != _SYNCHRONOUS[0]:
            return str(class_ or "unknown")
        if channel != _SYNCHRONOUS[1]:
            return str(channel)
    return None


def find_others(kubectl: Kubectl) -> list[str]:
    """What is in the namespace and not ours, as `Kind/name`; not what that makes. Raises KubectlFailed."""
    # Aerospike's volumes are made by its StatefulSet, with `app` alone on them.
    selector = f"{OURS.replace('=', '!=')},app!=aerospike"
    found = kubectl.get("all,persistentvolumeclaims", "--selector", selector)
    return list(dict.fromkeys(map(_title, filter(_is_of_its_own, found))))


def remove(kubectl: Kubectl, say: Say) -> None:
    """All but the namespace and the volumes. Raises KubectlFailed."""
    _remove_senders(kubectl, say)
    for kind in KINDS:
        try:
            _delete(kubectl, say, kind, "--selector", _NOT_KNATIVES)
        except KubectlFailed as error:
            if not error.lacks_kind:
                raise


def remove_namespace(kubectl: Kubectl, say: Say) -> None:
    """Everything, and Prometheus' role where there is one. Raises KubectlFailed."""
    _remove_senders(kubectl, say)
    role = cluster_wide(kubectl.namespace)
    try:
        for kind in CLUSTER_WIDE:
            _delete(kubectl, say, kind, role)
    except KubectlFailed as error:
        if not error.is_forbidden:
            raise
        say(f"If the overlay monitoring was there: you may not delete its ClusterRole and binding {role}.")
    _delete(kubectl, say, "namespace", kubectl.namespace, timeout_s=3 * TIMEOUT_S)


def _remove_senders(kubectl: Kubectl, say: Say) -> None:
    """The generator, then what has the Broker deliver."""
    _delete(kubectl, say, "deployments.apps", "generator")
    # One by one, each until its Subscription is gone too: Triggers that are deleted together can leave dead
    # subscribers in an in-memory channel.
    for trigger in _find(kubectl, _TRIGGERS):
        if _is_of_our_broker(trigger, kubectl.namespace):
            _delete(kubectl, say, _TRIGGERS, trigger["metadata"]["name"])


def _is_of_our_broker(trigger: dict[str, Any], namespace: str) -> bool:
    ref = trigger["spec"].get("brokerRef") or {"name": trigger["spec"].get("broker")}
    return (ref.get("name"), ref.get("namespace") or namespace) == (BROKER, namespace)


def _find(kubectl: Kubectl, *arguments: str) -> Iterable[dict[str, Any]]:
    """None where the cluster has no such kind, as one from which Knative was taken."""
    try:
        return kubectl.get(*arguments)
    except KubectlFailed as error:
        if error.lacks_kind:
            return []
        raise


def _is_of_its_own(thing: dict[str, Any]) -> bool:
    return not thing["metadata"].get("ownerReferences")


def _title(thing: dict[str, Any]) -> str:
    return f"{thing['kind']}/{thing['metadata']['name']}"


def _delete(kubectl: Kubectl, say: Say, *arguments: str, timeout_s: int = TIMEOUT_S) -> None:
    """Until it is gone, with all that belongs to it."""
    options = ("--ignore-not-found", "--cascade=foreground", f"--timeout={timeout_s}s")
    kubectl.do("delete", *arguments, *options, say=say, timeout_s=timeout_s + 10)
