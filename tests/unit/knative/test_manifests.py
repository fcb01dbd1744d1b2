"""Do the manifests agree with the functions, with each other, and with the pod security standard?"""

import re
from pathlib import Path
from typing import Any

import pytest

import functions.main
from eventing.delivery import delay_ms, parse_delivery
from eventing.durations import duration_ms
from runtime.settings import ALL_SETTINGS, FunctionSettings, GeneratorSettings

Document = dict[str, Any]
Base = dict[tuple[str, str], Document]

KNATIVE = Path(__file__).parents[3] / "knative"


def services(base: Base) -> list[Document]:
    return [
        document for (_, _), document in base.items() if document["apiVersion"] == "serving.knative.dev/v1"
    ]


def pod_specs(documents: list[tuple[Path, Document]]) -> list[tuple[str, Document]]:
    found = []
    for path, document in documents:
        template = (document.get("spec") or {}).get("template")
        is_patch = path.parts[-2] in {"kafka", "scaled", "shared"}
        if template and not is_patch:
            found.append((f"{path}: {document['metadata']['name']}", template["spec"]))
    return found


def test_every_function_is_there(base: Base) -> None:
    targets = {env["value"] for service in services(base) for env in container(service)["env"]}
    assert targets == {"store_trade", "update_summary", "dead_letter", "query"}
    for target in targets:
        assert callable(getattr(functions.main, target))


def container(service: Document) -> Document:
    (only,) = service["spec"]["template"]["spec"]["containers"]
    return dict(only)


def test_a_pod_is_asked_no_more_than_its_process_can_queue(base: Base) -> None:
    for service in services(base):
        spec = service["spec"]["template"]["spec"]
        annotations = service["spec"]["template"]["metadata"]["annotations"]
        assert spec["containerConcurrency"] < FunctionSettings().queue_max_events
        assert int(annotations["autoscaling.knative.dev/target"]) <= spec["containerConcurrency"]
        assert annotations["autoscaling.knative.dev/min-scale"] == "0"


def test_each_deadline_is_longer_than_the_one_inside_of_it(base: Base) -> None:
    function_ms = FunctionSettings().deadline_ms
    delivery = base["Broker", "default"]["spec"]["delivery"]
    delivery_ms = duration_ms(delivery["timeout"])
    assert function_ms < delivery_ms
    for service in services(base):
        assert delivery_ms < 1000 * service["spec"]["template"]["spec"]["timeoutSeconds"]


def test_the_generator_waits_until_its_event_is_delivered_or_a_dead_letter(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A producer that gives up sooner ends the delivery: tests/oracles/test_delivery.py.

    The worst case, where each attempt takes its whole time and the dead-letter function's as well: then too
    it ends in a dead letter, and is not begun again for ever.
    """
    delivery = parse_delivery(base["Broker", "default"]["spec"]["delivery"])
    assert delivery.timeout_ms is not None
    waits_ms = sum(delay_ms(delivery, attempt) for attempt in range(delivery.retry))
    assert waits_ms == 204_600  # the 205 s of comments and docs
    longest_ms = waits_ms + (delivery.retry + 1) * delivery.timeout_ms + delivery.timeout_ms
    (generator,) = base["Deployment", "generator"]["spec"]["template"]["spec"]["containers"]
    (given,) = (env["value"] for env in generator["env"] if env["name"] == "SEND_TIMEOUT_MS")
    monkeypatch.setenv("SEND_TIMEOUT_MS", given)
    assert GeneratorSettings.read().send_timeout_ms > longest_ms


def test_subscribers_and_dead_letter_sink_exist(base: Base) -> None:
    names = {service["metadata"]["name"] for service in services(base)}
    triggers = [document for (kind, _), document in base.items() if kind == "Trigger"]
    assert {trigger["spec"]["subscriber"]["ref"]["name"] for trigger in triggers} == {
        "store-trade",
        "update-summary",
    }
    assert base["Broker", "default"]["spec"]["delivery"]["deadLetterSink"]["ref"]["name"] in names
    for trigger in triggers:
        assert trigger["spec"]["broker"] == "default"
        assert trigger["spec"]["subscriber"]["ref"]["name"] in names


def test_every_setting_is_one_of_ours(documents: list[tuple[Path, Document]]) -> None:
    ours = {one.name.upper() for settings in ALL_SETTINGS for one in settings.about()}
    ours |= {"FUNCTION_TARGET", "NAMESPACE"}
    given = set()
    for _, document in documents:
        if document["kind"] == "ConfigMap" and document["metadata"]["name"] == "tradewind-settings":
            given |= set(document["data"])
            assert all(isinstance(value, str) for value in document["data"].values())
    for _, spec in pod_specs(documents):
        given |= {env["name"] for one in spec["containers"] for env in one.get("env", ())}
    assert given <= ours
    assert {"STORE", "STORE_WORKERS", "TRADES_PER_SECOND"} <= given


def test_the_tools_in_the_generators_pod_reach_the_store(base: Base) -> None:
    """`kubectl exec deploy/generator -- tradewind verify` needs what a function has of it."""
    (generator,) = base["Deployment", "generator"]["spec"]["template"]["spec"]["containers"]
    assert generator["envFrom"] == container(services(base)[0])["envFrom"]


def test_settings_are_valid(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in base["ConfigMap", "tradewind-settings"]["data"].items():
        monkeypatch.setenv(name, value)
    for settings in ALL_SETTINGS:
        settings()


def test_pods_pass_the_restricted_standard(documents: list[tuple[Path, Document]]) -> None:
    """What its level `restricted` asks: kubernetes.io/docs/concepts/security/pod-security-standards."""
    specs = pod_specs(documents)
    assert len(specs) == 8
    for where, spec in specs:
        for one in [*spec["containers"], *spec.get("initContainers", ())]:
            context = {**spec.get("securityContext", {}), **one["securityContext"]}
            assert context["runAsNonRoot"] is True, where
            assert context["allowPrivilegeEscalation"] is False, where
            assert context["capabilities"] == {"drop": ["ALL"]}, where
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}, where
            assert context["readOnlyRootFilesystem"] is True, where
            assert "memory" in one["resources"]["limits"], where
        if "serviceAccountName" not in spec:  # Prometheus asks the cluster for pods, by an account of its own
            assert spec["automountServiceAccountToken"] is False, where
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), where


def test_every_pod_can_write_to_tmp(documents: list[tuple[Path, Document]]) -> None:
    """HOME is /tmp in the image, and gunicorn wants a writable one."""
    for where, spec in pod_specs(documents):
        (one,) = spec["containers"]
        assert {"name": "tmp", "mountPath": "/tmp"} in one["volumeMounts"], where
        assert {"name": "tmp", "emptyDir": {}} in spec["volumes"], where


def test_objects_can_be_found_by_their_label(documents: list[tuple[Path, Document]]) -> None:
    """`tradewind undeploy` removes by label."""
    for path, document in documents:
        if path.parts[-2] == "scaled" or path.parts[-2:] == ("kafka", "broker.yaml"):
            continue  # patches of objects that have it
        if document["kind"] not in {"Kustomization", "Component"}:
            assert document["metadata"]["labels"]["app.kubernetes.io/part-of"] == "tradewind", path


def test_aerospike_has_the_namespaces_that_the_settings_name() -> None:
    text = (KNATIVE / "components/aerospike/aerospike.conf").read_text()
    from runtime.settings import AerospikeSettings

    settings = AerospikeSettings()
    assert set(re.findall(r"^namespace (\S+)", text, re.MULTILINE)) == {
        settings.aerospike_trades_namespace,
        settings.aerospike_summary_namespace,
    }
    folders = set(re.findall(r"/opt/aerospike(?=[/\s])", text))
    assert folders == {"/opt/aerospike"}


def test_only_the_query_is_reached_from_outside(base: Base) -> None:
    outside = {
        service["metadata"]["name"]
        for service in services(base)
        if service["metadata"]["labels"].get("networking.knative.dev/visibility") != "cluster-local"
    }
    assert outside == {"query"}
