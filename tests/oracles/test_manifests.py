"""What a Trigger's delivery, filters and subscriber may say: our parsers beside Knative's webhook."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from eventing.delivery import BadDelivery, parse_delivery
from eventing.destinations import BadDestination, parse_destination
from eventing.filters import BadFilter, compile_filters

KSVC = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "a"}
GOOD: list[dict[str, Any]] = [
    {},
    {"delivery": {"retry": 0}},
    {"delivery": {"retry": 5, "backoffPolicy": "linear", "backoffDelay": "PT0.2S", "timeout": "PT10S"}},
    {"delivery": {"backoffPolicy": "exponential", "backoffDelay": "P1DT2H3M4.5S"}},
    {"delivery": {"backoffDelay": "P0"}},
    {"delivery": {"backoffDelay": "PT0S"}},
    {"delivery": {"backoffDelay": "PT0,5S"}},
    {"delivery": {"backoffDelay": "P2W"}},
    {"delivery": {"deadLetterSink": {"ref": KSVC}}},
    {"delivery": {"deadLetterSink": {"ref": KSVC, "uri": "/x"}}},
    {"delivery": {"deadLetterSink": {"uri": "http://x/y"}}},
    {"delivery": {"format": "binary"}},
    {"delivery": {"format": "json"}},
    {"subscriber": {"uri": "https://x"}},
    {"subscriber": {"ref": {"apiVersion": "v1", "kind": "Service", "name": "a"}}},
    {"filter": {"attributes": {"type": "x", "a1": ""}}},
    {
        "filters": [
            {"exact": {"type": "x"}},
            {"any": [{"prefix": {"a": "b"}}, {"not": {"suffix": {"a": "b"}}}]},
        ]
    },
    {"filters": [{"cesql": "type = 'x' AND EXISTS subject"}]},
]
BAD: list[dict[str, Any]] = [
    {"delivery": {"retry": -1}},
    {"delivery": {"retry": "5"}},
    {"delivery": {"retry": 1.5}},
    {"delivery": {"retry": 2**31}},
    {"delivery": {"retries": 5}},
    {"delivery": {"backoffPolicy": "constant"}},
    {"delivery": {"backoffPolicy": "Linear"}},
    {"delivery": {"backoffDelay": "1s"}},
    {"delivery": {"backoffDelay": "0.5"}},
    {"delivery": {"backoffDelay": "PT"}},
    {"delivery": {"backoffDelay": "P"}},
    {"delivery": {"backoffDelay": ""}},
    {"delivery": {"backoffDelay": "PT1S1M"}},
    {"delivery": {"backoffDelay": "pt1s"}},
    {"delivery": {"backoffDelay": 5}},
    {"delivery": {"timeout": "PT0S"}},
    {"delivery": {"timeout": "soon"}},
    {"delivery": {"format": "xml"}},
    {"delivery": {"deadLetterSink": {}}},
    {"delivery": {"deadLetterSink": {"uri": "/x"}}},
    {"delivery": {"deadLetterSink": {"uri": "http:///x"}}},
    {"delivery": {"deadLetterSink": {"ref": {"kind": "Service", "name": "a"}}}},
    {"delivery": {"deadLetterSink": {"ref": KSVC | {"name": ""}}}},
    {"subscriber": {"ref": KSVC, "uri": "http://x/"}},
    {"filter": {"attributes": {"Type": "x"}}},
    {"filters": [{"exact": {"1a": "x"}}]},
    {"filters": [{"exact": {"a": "x"}, "prefix": {"a": "x"}}]},
    {"filters": [{"exact": {"a": "x"}, "cesql": "TRUE"}]},
    {"filters": [{"all": [{"not": {"exact": {"a-b": "x"}}}]}]},
    {"filters": [{"cesql": "type = "}]},
    {"filters": [{"is": {"a": "x"}}]},
    {"filters": {"exact": {"a": "x"}}},
]
# The webhook lets these pass; each would do nothing, never what it says, or cannot be done here.
STRICTER: list[dict[str, Any]] = [
    {
        "filter": {"attributes": {"type": 5}}
    },  # this reader of YAML makes it a string; the API server refuses it
    {"delivery": {"backoffDelay": "-PT1S"}},
    {"delivery": {"timeout": "-PT1S"}},
    {"filters": [{}]},
    {"filters": [{"all": []}]},
    {"filters": [{"exact": {"type": ""}}]},
    {"filters": [{"cesql": "1 + 1"}]},
    {"filters": [{"cesql": "NOPE(1) = 1"}]},
]


def trigger(number: int, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": f"t{number}", "namespace": "default"},
        "spec": {"broker": "default", "subscriber": {"ref": KSVC}} | spec,
    }


def ours(spec: dict[str, Any]) -> bool:
    try:
        parse_delivery(spec.get("delivery"))
        parse_destination(spec.get("subscriber", {"ref": KSVC}))
        compile_filters(spec.get("filter"), spec.get("filters"))
    except (BadDelivery, BadDestination, BadFilter):
        return False
    return True


def test_manifests_are_accepted_and_refused_as_by_the_webhook(oracles: Path, tmp_path: Path) -> None:
    specs = GOOD + BAD + STRICTER
    manifest = tmp_path / "triggers.yaml"
    manifest.write_text(yaml.safe_dump_all([trigger(number, spec) for number, spec in enumerate(specs)]))
    done = subprocess.run([oracles / "knvalidate", manifest], capture_output=True, text=True, timeout=60)
    theirs = [f"Trigger/t{number}: ok\n" in done.stdout for number in range(len(specs))]
    expected = [spec not in BAD for spec in specs]
    assert [
        spec for spec, accepted, good in zip(specs, theirs, expected, strict=True) if accepted != good
    ] == []
    assert [spec for spec in specs if ours(spec) != (spec in GOOD)] == []
