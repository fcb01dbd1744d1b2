"""Reading Knative's YAML: what it means here, and what a mistake in it says."""

from pathlib import Path

import pytest

from eventing.broker.config import AddressMap, Config, load
from eventing.broker.files import ConfigError, documents_of, files_of, read_map

BASE = Path(__file__).parents[2] / "knative" / "base"
URLS = {
    name: f"http://127.0.0.1:{port}"
    for port, name in enumerate(("store-trade", "update-summary", "dead-letter"), 9001)
}
BROKER = """
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default, namespace: ns}
spec:
  delivery:
    retry: 4
    backoffPolicy: linear
    backoffDelay: PT1S
    deadLetterSink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: dead-letter}}
"""
TRIGGER = """
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: t, namespace: ns}
spec:
  broker: default
  subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: store-trade}}
"""


def read(tmp_path: Path, *parts: str, urls: dict[str, str] = URLS) -> Config:
    file = tmp_path / "broker.yaml"
    file.write_text("---\n".join(parts))
    return load(documents_of([file]), AddressMap(urls))


def test_the_base_runs_here_as_it_stands() -> None:
    config = load(documents_of(files_of([BASE])), AddressMap(URLS))

    broker = config.brokers["tradewind/default"]
    assert (broker.delivery.retry, broker.delivery.timeout_ms) == (10, 30_000)
    for name in ("store-trade", "update-summary"):
        trigger = config.triggers[f"tradewind/{name}"]
        assert trigger.subscriber_url == URLS[name]
        assert trigger.dead_letter_url == URLS["dead-letter"]
        assert trigger.delivery == broker.delivery
        assert [trigger.matches({"type": f"trade.{kind}.v1"}) for kind in ("executed", "batch", "other")] == [
            True,
            True,
            False,
        ]


def test_a_delivery_of_the_trigger_replaces_the_brokers_as_a_whole(tmp_path: Path) -> None:
    config = read(tmp_path, BROKER, TRIGGER + "  delivery: {retry: 1}\n")

    trigger = config.triggers["ns/t"]
    assert (trigger.delivery.retry, trigger.delivery.backoff_delay_ms, trigger.dead_letter_url) == (
        1,
        0,
        None,
    )


def test_a_broker_without_delivery_has_knatives_default(tmp_path: Path) -> None:
    delivery = read(tmp_path, BROKER.partition("spec:")[0]).brokers["ns/default"].delivery
    assert (delivery.retry, delivery.backoff_policy, delivery.backoff_delay_ms) == (10, "exponential", 200)


@pytest.mark.parametrize(
    ("subscriber", "url", "on_a_cluster"),
    [
        ("{uri: 'http://example.com/x'}", "http://example.com/x", "http://example.com/x"),
        (
            "{uri: 'http://store-trade.ns.svc.cluster.local/in'}",
            "http://127.0.0.1:9001/in",
            "http://store-trade.ns.svc.cluster.local/in",
        ),
        (
            "{ref: {apiVersion: v1, kind: Service, name: store-trade}, uri: /in}",
            "http://127.0.0.1:9001/in",
            "http://store-trade.ns.svc.cluster.local/in",
        ),
        (
            "{ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: store-trade}}",
            "http://127.0.0.1:9001",
            "http://store-trade.ns.svc.cluster.local",
        ),
    ],
)
def test_addresses(tmp_path: Path, subscriber: str, url: str, on_a_cluster: str) -> None:
    text = TRIGGER.partition("  subscriber")[0] + f"  subscriber: {subscriber}\n"
    trigger = read(tmp_path, BROKER, text).triggers["ns/t"]
    assert (trigger.subscriber_url, trigger.cluster_url) == (url, on_a_cluster)


def test_annotations(tmp_path: Path) -> None:
    notes = (
        "{kafka.eventing.knative.dev/delivery.order: ordered, rabbitmq.eventing.knative.dev/parallelism: '7'}"
    )
    trigger = read(
        tmp_path, BROKER, TRIGGER.replace("namespace: ns", f"namespace: ns, annotations: {notes}")
    ).triggers["ns/t"]
    assert (trigger.ordered, trigger.parallelism) == (True, 7)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("broker: default", "broker: other", "there is no Broker ns/other (Brokers here: ns/default)"),
        ("broker: default", "brokr: default", "unknown field brokr"),
        ("broker: default", "filters: [{exakt: {type: a}}]", "exakt"),
        ("broker: default", "filters: [{cesql: 'type ='}]", "cesql"),
        ("broker: default", "delivery: {retry: -1}", "retry"),
        ("broker: default", "delivery: {retries: 1}", "retries"),
        ("broker: default", "delivery: 5", "delivery"),
        ("broker: default", "filters: 5", "filters"),
        ("broker: default", "filter: 5", "filter"),
        ("broker: default", "broker: [1]", "there is no Broker"),
        ("namespace: ns", "namespace: ns, annotations: [1]", "annotations"),
        ("namespace: ns", "namespace: [ns]", "not a Kubernetes name"),
        ("name: store-trade", "name: nobody", "--map nobody=http://127.0.0.1:PORT"),
        ("subscriber: {ref", "subscribers: {ref", "subscribers"),
        ("name: t,", "name: T,", "not a Kubernetes name"),
        ("eventing.knative.dev/v1\n", "eventing.knative.dev/v1beta9\n", "apiVersion must be"),
        (
            "namespace: ns",
            "namespace: ns, annotations: {kafka.eventing.knative.dev/delivery.order: x}",
            "ordered or",
        ),
        (
            "namespace: ns",
            "namespace: ns, annotations: {rabbitmq.eventing.knative.dev/parallelism: 0}",
            "1 to 1000",
        ),
    ],
)
def test_a_mistake_says_where_and_what(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TRIGGER
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, BROKER, TRIGGER.replace(old, new))
    assert message in str(caught.value)
    assert str(tmp_path / "broker.yaml") in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "- a", "just text", "a: 1"])
def test_what_is_not_a_kubernetes_object_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"broker\.yaml"):
        read(tmp_path, text)


def test_names_must_differ_and_other_kinds_are_passed_over(tmp_path: Path) -> None:
    other = "apiVersion: v1\nkind: ConfigMap\nwhatever: 1\n"
    assert set(read(tmp_path, other, BROKER, TRIGGER).triggers) == {"ns/t"}
    with pytest.raises(ConfigError, match="twice"):
        read(tmp_path, BROKER, TRIGGER, TRIGGER)


def test_map_files(tmp_path: Path) -> None:
    file = tmp_path / "map"
    file.write_text("# local\nstore-trade = http://127.0.0.1:9001 # here\n\n")
    assert read_map(file) == {"store-trade": "http://127.0.0.1:9001"}
    file.write_text("store-trade\n")
    with pytest.raises(ConfigError, match="map:1: expected name=url"):
        read_map(file)
    with pytest.raises(ConfigError, match="http://"):
        AddressMap({"a": "127.0.0.1:1"})
