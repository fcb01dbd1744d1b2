"""Overlays, one and several together, as kustomize renders them."""

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.knative.conftest import KNATIVE, KUBECTL, Document, Render
from tradewind.cluster.manifests import read, starts_last
from tradewind.cluster.removal import CLUSTER_WIDE, KINDS

NAMES = sorted(path.name for path in (KNATIVE / "overlays").glob("*/"))
OWN_STORE = ("external-aerospike", "secure", "external-aerospike/secure", "secure/tracing")
COMBINED = [(), *itertools.combinations(NAMES, 2), tuple(NAMES), OWN_STORE]  # a pair shows what one would
together = pytest.mark.parametrize("overlays", COMBINED, ids="+".join)
IN_NO_NAMESPACE = {"Namespace", "ClusterRole", "ClusterRoleBinding"}


def key(document: Document) -> tuple[str, str, str]:
    return document["apiVersion"], document["kind"], document["metadata"]["name"]


def references(value: Any) -> Iterator[tuple[str, str]]:
    """Kind and name of all that an object refers to."""
    if isinstance(value, dict):
        if "kind" in value and "name" in value:
            yield value["kind"], value["name"]
        for held in value.values():
            yield from references(held)
    elif isinstance(value, list):
        for held in value:
            yield from references(held)


@together
def test_they_go_together_in_any_namespace(overlays: tuple[str, ...], render: Render) -> None:
    documents = render(*overlays, namespace="other")
    assert len(set(map(key, documents))) == len(documents)
    for document in documents:
        if document["kind"] not in IN_NO_NAMESPACE:
            assert document["metadata"]["namespace"] == "other", key(document)
    for document in documents:
        if document["kind"] == "ClusterRoleBinding":
            assert [subject["namespace"] for subject in document["subjects"]] == ["other"]
    roles = {document["metadata"]["name"] for document in documents if "ClusterRole" in document["kind"]}
    assert roles == ({"tradewind-prometheus-other"} if "monitoring" in overlays else set())


@together
def test_nothing_waits_for_what_is_to_start_after_it(overlays: tuple[str, ...], render: Render) -> None:
    """A policy that names a SinkBinding which is not there is never ready, and its Broker is not either."""
    documents = render(*overlays)
    last = {key(document)[1:] for document in documents if starts_last(document)}
    assert ("Deployment", "generator") in last
    for document in documents:
        if not starts_last(document):
            assert not last & set(references(document.get("spec"))), key(document)


@pytest.mark.parametrize("overlays", [*COMBINED, ("monitoring/operator",)], ids="+".join)
def test_undeploy_knows_all_kinds(overlays: tuple[str, ...], render: Render) -> None:
    removed = {*KINDS, *CLUSTER_WIDE, "namespaces", "triggers.eventing.knative.dev"}
    for document in render(*overlays):
        group = document["apiVersion"].rpartition("/")[0]
        kind = document["kind"].lower()
        plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
        assert ".".join(filter(None, (plural, group))) in removed, key(document)


def test_policies_let_the_store_be_reached_by_all_that_have_its_address(render: Render) -> None:
    """From both ends: functions, and the generator, in whose pod `tradewind verify` runs."""
    policies = {
        one["metadata"]["name"]: one["spec"] for one in render("secure") if one["kind"] == "NetworkPolicy"
    }
    ends = [policies[name]["podSelector"] for name in ("functions-to-aerospike", "generator")]
    store = {"podSelector": {"matchLabels": {"app": "aerospike"}}}
    for name in ("functions-to-aerospike", "generator"):
        ways = [rule["ports"] for rule in policies[name]["egress"] if rule["to"] == [store]]
        assert [port["port"] for ports in ways for port in ports] == [3000]
    (clients,) = (
        rule["from"] for rule in policies["aerospike"]["ingress"] if rule["ports"][0]["port"] == 3000
    )
    assert [client["podSelector"] for client in clients] == ends


def test_the_generator_waits_long_for_a_broker_in_memory_only(render: Render) -> None:
    def timeout_ms(*overlays: str) -> int:
        (spec,) = (
            one["spec"]["template"]["spec"]
            for one in render(*overlays)
            if key(one)[2] == "generator"
            if one["kind"] == "Deployment"
        )
        (given,) = (env["value"] for env in spec["containers"][0]["env"] if env["name"] == "SEND_TIMEOUT_MS")
        return int(given)

    assert timeout_ms() == timeout_ms("scaled") == 600_000
    assert timeout_ms("kafka") == timeout_ms("kafka", "scaled") == 30_000


def test_a_node_of_three_is_ready_when_every_record_has_its_copies(render: Render) -> None:
    documents = render("scaled")
    (store,) = (one for one in documents if one["kind"] == "StatefulSet")
    (container,) = store["spec"]["template"]["spec"]["containers"]
    assert list(container["readinessProbe"]) == ["exec", "periodSeconds", "timeoutSeconds"]
    script = container["readinessProbe"]["exec"]["command"][-1]
    assert f"cluster-stable:size={store['spec']['replicas']}\\n" in script
    (config,) = (one for one in documents if one["metadata"]["name"].startswith("aerospike-config"))
    for number in range(store["spec"]["replicas"]):
        assert f"mesh-seed-address-port aerospike-{number}.aerospike 3002" in config["data"]["aerospike.conf"]


@pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl on PATH")
@pytest.mark.parametrize("name", NAMES)
def test_an_overlay_is_the_base_and_a_component(name: str, render: Render) -> None:
    """`kubectl apply -k` and `tradewind deploy --overlay` are one."""
    folder: Path = KNATIVE / "overlays" / name
    text = subprocess.run(
        [str(KUBECTL), "kustomize", folder], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert {key(one): one for one in read(text)} == {key(one): one for one in render(name)}
