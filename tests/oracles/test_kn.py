"""The commands of docs/knative.md, done by the real `kn` into files: are our readings of its flags right?"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.knative.kn import commands, make

DOCUMENT = Path(__file__).parents[2] / "docs" / "knative.md"
SERVICES = [words for words in commands(DOCUMENT.read_text()) if words[:3] == ["kn", "service", "create"]]
KN = shutil.which("kn")


def without_empty(value: Any) -> Any:
    """As kn writes it, without members that say nothing, and with amounts as texts."""
    if isinstance(value, dict):
        found = {name: without_empty(one) for name, one in value.items()}
        return {
            name: one for name, one in found.items() if one not in (None, "", [], {}) or name == "emptyDir"
        }
    if isinstance(value, list):
        return [without_empty(one) for one in value]
    return value


@pytest.mark.skipif(KN is None, reason="kn is not on PATH: what it makes of our commands is not compared")
@pytest.mark.parametrize("words", SERVICES, ids=lambda words: words[3])
def test_a_service_is_what_we_read(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    subprocess.run([str(KN), *words[1:], "--target", str(file)], check=True, capture_output=True, timeout=60)
    by_kn = without_empty(yaml.safe_load(file.read_text()))
    ours = without_empty(make(words))
    by_kn.pop("status", None)
    template = by_kn["spec"]["template"]["metadata"]["annotations"]
    template.pop("client.knative.dev/updateTimestamp", None)
    template.pop("client.knative.dev/user-image", None)
    (container,) = by_kn["spec"]["template"]["spec"]["containers"]
    (volume,) = by_kn["spec"]["template"]["spec"]["volumes"]
    for probe in (container["readinessProbe"], container["livenessProbe"]):
        assert probe["httpGet"].pop("port") == 8080
        assert probe["httpGet"].pop("scheme", "HTTP") == "HTTP"
    assert volume["name"] == container["volumeMounts"][0]["name"]
    volume["name"] = container["volumeMounts"][0]["name"] = "tmp"  # kn adds a digest to it
    assert by_kn == ours
