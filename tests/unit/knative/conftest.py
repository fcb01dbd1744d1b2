"""The manifests of knative/, read once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[3]
KNATIVE = REPOSITORY / "knative"

Document = dict[str, Any]


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
