"""docs/monitoring.md tells all metrics and alerts there are; dashboards and alerts ask for no other."""

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.core import Metric

from eventing import __version__
from eventing.broker.buckets import Buckets
from eventing.broker.engine import Engine
from eventing.broker.metrics import Metrics
from functions import metrics
from generator.metrics import GeneratorMetrics
from runtime.build import build

REPOSITORY = Path(__file__).parents[2]
MONITORING = REPOSITORY / "knative" / "components" / "monitoring"
DASHBOARDS = sorted((MONITORING / "shared" / "dashboards").glob("*.json"))
DOCUMENT = (REPOSITORY / "docs" / "monitoring.md").read_text()
RECORDED = (REPOSITORY / "tests" / "integration" / "knative-metrics.txt").read_text()
PREFIXES = ("tradewind_", "broker_")
# From Prometheus itself, and from its client in every process.
STANDARD = {
    "up",
    "ALERTS",
    "process_start_time_seconds",
    "process_cpu_seconds",
    "process_resident_memory_bytes",
}
FORBIDDEN_LABELS = {"ticker", "id", "source", "subject", "event"}


def broker_metrics() -> list[Metric]:
    engine = SimpleNamespace(accepted=0, refused={}, log=SimpleNamespace(waiting_events=0), dispatchers={})
    found = Metrics()
    found.watch(cast(Engine, engine))
    return list(found._registry.collect())


def all_metrics() -> list[Metric]:
    metrics.exposition()
    families = [*REGISTRY.collect(), *broker_metrics(), *GeneratorMetrics().registry.collect()]
    return list({each.name: each for each in families if each.name.startswith(PREFIXES)}.values())


def shown_name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def metrics_table() -> list[str]:
    """The rows of the document's table."""
    return [
        f"| `{shown_name(metric)}` | {metric.type} | {metric.documentation.rstrip('.')} |"
        for metric in all_metrics()
    ]


def alert_rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"]
    return list(group["rules"])


def table_of(heading: str) -> list[str]:
    lines = DOCUMENT.splitlines()
    start = lines.index(heading) + 2
    return lines[start : lines.index("", start)]


def test_the_document_lists_all_metrics() -> None:
    assert table_of("| metric | kind | what |") == metrics_table()


def test_each_alert_says_what_to_do() -> None:
    headings = set(re.findall(r"^### (\w+)$", DOCUMENT, re.MULTILINE))
    assert headings == {rule["alert"] for rule in alert_rules()}
    for rule in alert_rules():
        assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
        assert {"summary", "description"} <= rule["annotations"].keys()
        assert rule["labels"]["severity"] in ("warning", "critical")


def asked_for(expression: str) -> set[str]:
    """Names of metrics in a query, without what histograms and counters add."""
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\b(by|offset) *(\([^)]*\)|\d+m)', " ", expression)
    names = set(
        re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b|\bup\b|\bALERTS\b", re.sub(r"\w+ *(=|!)~?", " ", bare))
    )
    names -= {"histogram_quantile"}
    return {re.sub(r"_(bucket|total|sum)$", "", name) for name in names}


def queries() -> Iterable[tuple[str, str]]:
    for rule in alert_rules():
        yield rule["alert"], rule["expr"]
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                yield f"{path.name}: {panel['title']}", target["expr"]
        for annotation in dashboard["annotations"]["list"]:
            yield f"{path.name}: {annotation['name']}", annotation["expr"]


def test_queries_ask_for_what_there_is() -> None:
    knative = {re.sub(r"_(bucket|sum)$", "", name) for name in re.findall(r"^kn_\w+", RECORDED, re.MULTILINE)}
    known = STANDARD | knative | {metric.name for metric in all_metrics()}
    for where, expression in queries():
        names = {name if name in known else name.removesuffix("_count") for name in asked_for(expression)}
        assert names, where
        assert names <= known, where


def test_what_is_measured_is_shown() -> None:
    """A metric that neither a dashboard nor an alert has is a cost to nobody's use."""
    asked = {name for _, expression in queries() for name in asked_for(expression)}
    asked |= {name.removesuffix("_count") for name in asked}
    assert {metric.name for metric in all_metrics()} - asked == {
        "broker_waiting_events",
        "broker_trigger_backlog_bytes",
        "broker_trigger_delivered",
        "broker_trigger_in_flight",
        "tradewind_generator_achieved_trades_per_second",
        "tradewind_generator_events_accepted",
        "tradewind_generator_trades_refused",
        "tradewind_generator_trades_sent",
    }


def test_no_label_grows_with_the_trades() -> None:
    declared = {
        label
        for metric in vars(metrics).values()
        if hasattr(metric, "_labelnames")
        for label in metric._labelnames
    }
    assert declared == {
        *("function", "verdict", "outcome", "stage", "call", "error", "shard", "operation", "status"),
        *("version", "python"),
    }
    assert not declared & FORBIDDEN_LABELS


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_can_be_provisioned(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    assert dashboard["uid"].startswith("tradewind")
    assert "id" not in dashboard
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        mine = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not mine & cells, panel["title"]
        cells |= mine
        if panel["type"] != "row":
            assert panel["description"], panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"


def test_the_operators_alerts_are_the_same() -> None:
    made = yaml.safe_load((MONITORING / "operator" / "rules.yaml").read_text())
    assert made["spec"] == yaml.safe_load((MONITORING / "rules.yml").read_text())


def test_the_broker_says_the_version_of_the_project() -> None:
    alone = tomllib.loads((REPOSITORY / "eventing" / "pyproject.toml").read_text())
    assert __version__ == build()[0] == alone["project"]["version"]


def test_buckets() -> None:
    buckets = Buckets((0.5, 1))
    for value in (0.25, 0.5, 0.75, 1, 8):
        buckets.add(value)
    assert buckets.cumulative() == [("0.5", 2), ("1.0", 4), ("+Inf", 5)]
    assert buckets.sum == 10.5
