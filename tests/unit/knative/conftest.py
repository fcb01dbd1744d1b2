"""The manifests of knative/, read once; and a kubectl of ours."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.unit.knative.fake_kubectl import FakeKubectl
from tradewind.cluster.manifests import find_overlay, kustomization, read

REPOSITORY = Path(__file__).parents[3]
KNATIVE = REPOSITORY / "knative"

Document = dict[str, Any]
Render = Callable[..., list[Document]]
KUBECTL = shutil.which("kubectl")


def read_documents(folder: Path) -> Iterator[tuple[Path, Document]]:
    for path in sorted(folder.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if isinstance(document, dict):
                yield path.relative_to(REPOSITORY), document


@pytest.fixture(scope="session")
def documents() -> list[tuple[Path, Document]]:
    """All objects, with the file they are in. Patches that are lists of operations are left out."""
    return list(read_documents(KNATIVE))


@pytest.fixture(scope="session")
def base() -> dict[tuple[str, str], Document]:
    """The objects of knative/base, by kind and name."""
    return {
        (document["kind"], document["metadata"]["name"]): document
        for _, document in read_documents(KNATIVE / "base")
        if "metadata" in document
    }


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """`render("kafka", "scaled", namespace="tradewind")`: what `tradewind deploy` would apply."""
    if KUBECTL is None:
        pytest.skip("NOT RENDERED: there is no kubectl on PATH, whose kustomize puts overlays together")

    def made(*overlays: str, namespace: str = "tradewind") -> list[Document]:
        text = kustomization(map(find_overlay, overlays), tmp_path, namespace, None)
        (tmp_path / "kustomization.yaml").write_text(text)
        done = subprocess.run(
            [str(KUBECTL), "kustomize", tmp_path], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return read(done.stdout)

    return made


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    """The kubectl on PATH. It is no program: `Kubectl` with one is in test_kubectl.py."""
    fake = FakeKubectl()
    program = tmp_path / "kubectl"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    stand_in = SimpleNamespace(run=fake.run, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr("tradewind.cluster.kubectl.subprocess", stand_in)
    monkeypatch.setattr("tradewind.cluster.rollout.POLL_S", 0.01)
    return fake
