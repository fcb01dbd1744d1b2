"""Dashboards and alerts against a real Prometheus that scrapes a running pipeline.

Without prometheus and promtool on PATH these are skipped, or fail with REQUIRE_PROMETHEUS=1. Knative's own
numbers are recorded ones (knative-metrics.txt): what is asked of them is asked, but no cluster scales here.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.integration.conftest import Up, free_port, run
from tests.integration.prometheus import (
    DASHBOARDS,
    MONITORING,
    Prometheus,
    alert_rules,
    dashboard_queries,
    knative_numbers,
    quick_rules,
)
from tradewind.laptop.monitoring import make_config

Start = Callable[..., Up]

INTERVAL = "10s"
# What SQLite has no numbers of: it keeps no marks and no shards.
AEROSPIKE_ONLY = re.compile("store_marks|store_shard")


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        reason = f"there is no {name} on PATH (Debian: apt install prometheus)"
        if os.environ.get("REQUIRE_PROMETHEUS") == "1":
            pytest.fail(f"REQUIRE_PROMETHEUS=1, but {reason}")
        pytest.skip(f"NO PROMETHEUS, NOT TESTED: {reason}")
    return path


def monitored(start: Start, *arguments: str) -> tuple[Up, Prometheus]:
    """A pipeline that counts, and the Prometheus that it started."""
    tool("prometheus")
    up = start("--fresh", "--monitoring", *arguments)
    up.until_counted()
    found = re.search(r"^Prometheus +(\S+)$", up.output, re.MULTILINE)
    assert found, up.output
    return up, Prometheus(found[1])


@contextmanager
def knative_beside(up: Up) -> Iterator[None]:
    with knative_numbers() as address:
        targets = [{"targets": [address], "labels": {"job": "knative-queue-proxy", "service": "store-trade"}}]
        (up.data / "monitoring" / "targets-knative.json").write_text(json.dumps(targets))
        yield


def queries() -> set[str]:
    return {query for path in DASHBOARDS for query in dashboard_queries(path, INTERVAL)}


@contextmanager
def prometheus_of(config: object, folder: Path) -> Iterator[Prometheus]:
    """One that runs with this configuration, its log in `folder`."""
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                tool("prometheus"),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stderr=log,
        )
        try:
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait()


def quick_prometheus(up: Up, folder: Path) -> AbstractContextManager[Prometheus]:
    """Another one with the same targets, whose alerts do not wait."""
    return prometheus_of(make_config(up.data / "monitoring", quick_rules(folder)), folder)


def make_trouble(up: Up) -> None:
    """A conflict and a broken trade, which become dead letters; an event for a broker that is not there."""
    for name, volume in (("one", "100"), ("one", "200"), ("broken", "0")):
        run("send", "WIND", "32.10", volume, "--id", name, "--time", "2026-01-31T09:30:00Z", data=up.data)
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/tests", "ce-type": "t"}
    nowhere = f"{up.run['broker_url']}/tradewind/nowhere"
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        urlopen(Request(nowhere, b"{}", headers | {"content-type": "application/json"}), timeout=10)
    refused.value.close()


@contextmanager
def summaries_held(up: Up) -> Iterator[None]:
    """Another program has the file of the summaries: the function's commits fail after five seconds."""
    holder = sqlite3.connect(up.data / "store" / "summaries.db", isolation_level=None, timeout=20)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


@contextmanager
def frozen(up: Up, name: str) -> Iterator[None]:
    pid = up.pid(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def restart(up: Up, prometheus: Prometheus, name: str) -> None:
    """Kill it, and return when Prometheus has seen its next life."""
    pid = up.pid(name)
    started = f'process_start_time_seconds{{service="{name}"}}'
    [before] = prometheus.query(started)
    os.kill(pid, signal.SIGKILL)
    up.until(lambda: up.pid(name) not in (0, pid), f"{name} runs again")
    prometheus.until(f"{started} > {before['value'][1]}")


LIVE = frozenset(
    {
        "TradewindDeadLetters",
        "TradewindConflict",
        "TradewindPodsMissing",  # the recorded numbers ask for three pods and have two
        "TradewindBrokerRefuses",
        "TradewindStoreErrors",
        "TradewindUnavailable",
        "TradewindTargetDown",
        "TradewindNothingCounted",
        "TradewindLagging",
        "TradewindLatencyHigh",
        "TradewindGeneratorBehind",
        "TradewindRestarting",
    }
)
# What would take minutes, or a store whose claims stay open, to bring about: fired by rules_test.yml only.
TESTED_WITH_SERIES = {"TradewindDeadLettersKept", "TradewindDispatchFails", "TradewindMarksPile"}


@pytest.mark.timeout(400)
def test_each_dashboard_query_has_data_and_alerts_fire(start: Start, tmp_path: Path) -> None:
    up, prometheus = monitored(start, "--rate", "500")
    with knative_beside(up), quick_prometheus(up, tmp_path) as quick:
        quick.until("tradewind_trades_total")
        make_trouble(up)
        quick.until_fires(
            "TradewindDeadLetters", "TradewindConflict", "TradewindPodsMissing", "TradewindBrokerRefuses"
        )
        with summaries_held(up):
            quick.until_fires("TradewindStoreErrors", "TradewindUnavailable")
        prometheus.until_all_have_data({query for query in queries() if not AEROSPIKE_ONLY.search(query)})
        with frozen(up, "update-summary"):
            quick.until_fires("TradewindTargetDown", "TradewindNothingCounted", "TradewindLagging")
        quick.until_fires("TradewindLatencyHigh")
        with frozen(up, "broker"):
            quick.until_fires("TradewindGeneratorBehind")
        for _ in range(3):
            restart(up, quick, "dead-letter")
        quick.until_fires("TradewindRestarting")
        assert fired(quick) >= LIVE
    up.until_counted()
    assert up.stop() == 0, up.output
    assert "All adds up" in up.output


def fired(prometheus: Prometheus) -> set[str]:
    seen = prometheus.query('max_over_time(ALERTS{alertstate="firing"}[10m])')
    return {sample["metric"]["alertname"] for sample in seen}


@pytest.mark.aerospike
@pytest.mark.timeout(200)
def test_what_only_aerospike_tells(start: Start, aerospike_server: str) -> None:
    """A few tickers in many events, so that records are trimmed."""
    store = ("--store", f"aerospike://{aerospike_server}")
    up, prometheus = monitored(start, *store, "--rate", "500", "--trades-per-event", "5", "--symbols", "3")
    marks_pile = next(rule["expr"] for rule in alert_rules() if rule["alert"] == "TradewindMarksPile")
    prometheus.until_all_have_data({query for query in queries() if AEROSPIKE_ONLY.search(query)})
    prometheus.until(marks_pile.replace("> 512", ">= 0"))
    prometheus.until("tradewind_store_trims_total > 0 and tradewind_store_trimmed_marks_total > 0")
    assert up.stop() == 0, up.output


def test_all_alerts_are_shown_to_fire() -> None:
    assert {rule["alert"] for rule in alert_rules()} == LIVE | TESTED_WITH_SERIES
    series = (MONITORING / "rules_test.yml").read_text()
    for rule in alert_rules():
        assert f'{rule["alert"]}", alertstate="firing", ' in series, f"no test in which {rule['alert']} fires"


def test_rules_with_series() -> None:
    done = subprocess.run(
        [tool("promtool"), "test", "rules", str(MONITORING / "rules_test.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(120)
def test_metrics_are_well_named(start: Start) -> None:
    up, prometheus = monitored(start)
    prometheus.until("tradewind_generator_trades_accepted_total")
    targets = [target["scrapeUrl"] for target in prometheus.ask("targets")["activeTargets"]]
    assert len(targets) == 6
    for target in targets:
        with urlopen(target, timeout=10) as answer:
            text = answer.read()
        done = subprocess.run(
            [tool("promtool"), "check", "metrics"], input=text, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, b""), target
        assert b"ticker" not in re.sub(rb"(?m)^#.*|operation=\"\w+\"", b"", text), target
    assert up.stop() == 0, up.output


def test_without_prometheus_it_says_so_and_runs(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    up = start("--fresh", "--monitoring", "--for", "1s", "--no-generator")
    assert up.process.wait(60) == 0, up.output
    assert "There is no prometheus on PATH" in up.output


PODS = {
    "function": {"label_serving_knative_dev_service": "store-trade", "container_port_name": "user-port"},
    "queue-proxy": {
        "label_serving_knative_dev_service": "store-trade",
        "container_port_name": "http-usermetric",
    },
    "generator": {"label_app": "generator", "container_port_name": "metrics"},
    "autoscaler": {"container_port_name": "metrics"},
    "other-port": {"label_serving_knative_dev_service": "store-trade", "container_port_name": "queue-port"},
    "ended": {
        "label_serving_knative_dev_service": "query",
        "container_port_name": "user-port",
        "phase": "Succeeded",
    },
}


def test_the_clusters_configuration_picks_its_pods(tmp_path: Path) -> None:
    """The labels by which Kubernetes tells of pods, from a file: Debian's Prometheus knows no Kubernetes."""
    with knative_numbers() as address:
        pods = [
            {
                "targets": [address],
                "labels": {
                    f"__meta_kubernetes_pod_{key}": value
                    for key, value in {"name": name, "phase": "Running", **labels}.items()
                },
            }
            for name, labels in PODS.items()
        ]
        (tmp_path / "pods.json").write_text(json.dumps(pods))
        config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        config["rule_files"] = [str(MONITORING / "rules.yml")]
        for job in config["scrape_configs"]:
            assert job.pop("kubernetes_sd_configs")
            job["file_sd_configs"] = [{"files": [str(tmp_path / "pods.json")]}]
        with prometheus_of(config, tmp_path) as prometheus:
            prometheus.until('kn_revision_pods_count and on (job) up{job="knative"}')
            prometheus.until('kn_serving_queue_depth{job="knative-queue-proxy", service="store-trade"}')
            scraped = {
                (
                    target["labels"]["job"],
                    target["labels"].get("pod", ""),
                    target["labels"].get("service", ""),
                )
                for target in prometheus.ask("targets")["activeTargets"]
            }
            # In a cluster this job's pods are those of Knative's namespaces.
            assert {("knative", "generator", ""), ("knative", "autoscaler", "")} <= scraped
            assert {each for each in scraped if each[0] != "knative"} == {
                ("tradewind-functions", "function", "store-trade"),
                ("knative-queue-proxy", "queue-proxy", "store-trade"),
                ("tradewind-generator", "generator", "generator"),
            }
            dispatched = '{job="knative", __name__=~"kn_eventing_dispatch_.+", cloudevents_source%s""}'
            assert not prometheus.query(dispatched % "!=")
            assert prometheus.query(dispatched % "=")
