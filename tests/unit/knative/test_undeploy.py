"""What `tradewind undeploy` removes, in which order, and what it asks first; with a kubectl of ours."""

import json
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.unit.knative.fake_kubectl import FakeKubectl
from tests.unit.knative.objects import thing
from tradewind.cli import app

runner = CliRunner()

LABEL = {"app.kubernetes.io/part-of": "tradewind"}
NAMESPACE = json.dumps(thing("Namespace", "ns", metadata={"labels": LABEL}))
CLASS = "eventing.knative.dev/broker.class"


def undeploy(*arguments: str, **options: Any) -> Result:
    return runner.invoke(app, ["undeploy", "-n", "ns", *arguments], **options)


def test_triggers_are_removed_one_by_one_and_the_data_stays(kubectl: FakeKubectl) -> None:
    """All of our Broker's, those of attached functions too."""
    specs: dict[str, Any] = {
        "a": {"broker": "default"},
        "mine": {"broker": "default"},
        "other": {"broker": "another"},
        "linked": {"brokerRef": {"kind": "Broker", "name": "default", "namespace": "elsewhere"}},
        "ours": {"brokerRef": {"kind": "Broker", "name": "default", "namespace": "ns"}},
    }
    items = [thing("Trigger", name, spec=spec) for name, spec in specs.items()]
    gone = {
        "eventpolicies": 'error: the server doesn\'t have a resource type "eventpolicies"',
        "delete": "ok\n",
    }
    kubectl.answers(get={"triggers": json.dumps({"items": items})}, delete=gone, config="there\n")
    result = undeploy()
    assert result.exit_code == 0, result.output
    assert "namespace ns, context there" in result.output.splitlines()[0]
    deletes = kubectl.deleted()
    assert deletes[0] == ["deployments.apps", "generator"]
    names = [name for kind, name in deletes if kind.startswith("triggers.")]
    assert names == ["a", "mine", "ours"]
    assert all("--cascade=foreground" in one for one in kubectl.asked if "delete" in one)
    assert not any(kind in {"namespace", "persistentvolumeclaims"} for kind, _ in deletes)
    assert "are still there" in result.output


def test_a_cluster_from_which_knative_was_taken(kubectl: FakeKubectl) -> None:
    kubectl.answers(get='error: the server doesn\'t have a resource type "x"', delete="ok\n")
    assert undeploy().exit_code == 0


def broker(class_: str, channel: str = "") -> str:
    status = {"annotations": {"knative.dev/channelKind": channel}} if channel else {}
    return json.dumps(thing("Broker", "default", metadata={"annotations": {CLASS: class_}}, status=status))


@pytest.mark.parametrize("all_", [(), ("--all", "--yes")])
@pytest.mark.parametrize(
    ("found", "log"),
    [
        (broker("Kafka"), "Kafka"),
        (broker("MTChannelBasedBroker", "KafkaChannel"), "KafkaChannel"),
        (broker("MTChannelBasedBroker", "InMemoryChannel"), None),
        (broker("MTChannelBasedBroker"), None),
        ("", None),
    ],
)
def test_a_backlog_is_not_lost_unasked(
    kubectl: FakeKubectl, found: str, log: str | None, all_: tuple[str]
) -> None:
    kubectl.answers(get={"brokers": found, "get namespace": NAMESPACE}, delete="ok\n")
    result = undeploy(*all_, "--context", "prod")
    if log is None:
        assert result.exit_code == 0, result.output
        return
    assert (result.exit_code, kubectl.deleted()) == (2, [])
    assert f"({log})" in result.output
    assert "kubectl --context prod -n ns scale deployment/generator --replicas 0" in result.output
    assert undeploy(*all_, "--drop-backlog").exit_code == 0
    assert kubectl.deleted()


def test_all_removes_the_namespace_after_what_lies_in_none(kubectl: FakeKubectl) -> None:
    kubectl.answers(get={"get namespace": NAMESPACE}, delete="ok\n")
    assert undeploy("--all", "--yes").exit_code == 0
    assert kubectl.deleted()[1:] == [
        ["clusterrolebindings.rbac.authorization.k8s.io", "tradewind-prometheus-ns"],
        ["clusterroles.rbac.authorization.k8s.io", "tradewind-prometheus-ns"],
        ["namespace", "ns"],
    ]


def test_all_needs_no_right_to_what_lies_in_none(kubectl: FakeKubectl) -> None:
    """Who had no monitoring had no role either."""
    forbidden = 'error: Error from server (Forbidden): clusterrolebindings "x" is forbidden'
    kubectl.answers(get={"get namespace": NAMESPACE}, delete={"clusterrole": forbidden, "delete": "ok\n"})
    result = undeploy("--all", "--yes")
    assert result.exit_code == 0, result.output
    assert kubectl.deleted()[-1] == ["namespace", "ns"]
    assert "you may not delete its ClusterRole and binding tradewind-prometheus-ns" in result.output


def test_the_namespace_of_others_is_not_removed(kubectl: FakeKubectl) -> None:
    theirs = json.dumps(thing("Namespace", "ns", metadata={"labels": {"team": "payments"}}))
    kubectl.answers(get={"get namespace": theirs}, delete="ok\n")
    result = undeploy("--all", "--yes", "--context", "prod")
    assert (result.exit_code, kubectl.deleted()) == (2, [])
    assert "`tradewind undeploy --context prod --namespace ns`" in result.output
    assert undeploy().exit_code == 0


OTHERS = json.dumps(
    {
        "items": [
            thing("Deployment", "shop"),
            thing("ReplicaSet", "shop-1", metadata={"ownerReferences": [{"kind": "Deployment"}]}),
            thing("PersistentVolumeClaim", "orders"),
        ]
    }
)


@pytest.mark.parametrize("said", ["y", "n"])
def test_on_a_terminal_it_asks(kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr("tradewind.undeploy.is_terminal", lambda: True)
    kubectl.answers(get={"get namespace": NAMESPACE, "get all": OTHERS}, delete="ok\n")
    result = undeploy("--all", input=f"{said}\n")
    assert "not tradewind's: Deployment/shop, PersistentVolumeClaim/orders\n" in result.output
    assert result.exit_code == (0 if said == "y" else 2)
    assert bool(kubectl.deleted()) == (said == "y")


def test_where_nobody_can_be_asked_nothing_is_removed(kubectl: FakeKubectl) -> None:
    kubectl.answers(get={"get namespace": NAMESPACE, "get all": OTHERS}, delete="ok\n")
    result = undeploy("--all")
    assert (result.exit_code, kubectl.deleted()) == (2, [])
    assert "--yes" in result.output
    assert "Deployment/shop" in result.output


def test_a_namespace_that_is_not_there_needs_no_question(kubectl: FakeKubectl) -> None:
    kubectl.answers(get="", delete="")
    assert undeploy("--all").exit_code == 0


def test_it_ends_when_the_cluster_refuses(kubectl: FakeKubectl) -> None:
    kubectl.answers(get="", delete="deployment.apps generator deleted\nerror: forbidden")
    result = undeploy()
    assert result.exit_code == 2
    assert "generator deleted" in result.stdout
    assert "forbidden" in result.stderr


def test_what_a_cluster_refuses_is_explained(kubectl: FakeKubectl) -> None:
    kubectl.answers(get="error: Get http://localhost:8080: connection refused")
    result = undeploy()
    assert result.exit_code == 2
    assert "kubectl knows no cluster" in result.output
