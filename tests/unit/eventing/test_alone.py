"""eventing/ can be installed alone: what it imports is what its own pyproject.toml asks for."""

import ast
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
FOLDER = REPOSITORY / "eventing"
DISTRIBUTIONS = {"yaml": "pyyaml", "prometheus_client": "prometheus-client"}

Requirements = dict[str, str]


def project(folder: Path) -> dict[str, list[str]]:
    read = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return {"": read["dependencies"], **read["optional-dependencies"]}


def names(requirements: list[str]) -> Requirements:
    """`uvicorn[standard]>=0.54` by its name."""
    split = ((one.partition(">=")[0].partition("[")[0], one) for one in requirements)
    return {name: f"{name}>={one.partition('>=')[2]}" for name, one in split}


def imported() -> tuple[set[str], set[str]]:
    """Packages imported at the top of modules, and inside of functions or for types only."""
    top, within = set[str](), set[str]()
    for path in FOLDER.rglob("*.py"):
        tree = ast.parse(path.read_text(), str(path))
        for node in ast.walk(tree):
            found = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            (top if node in tree.body else within).update(name.partition(".")[0] for name in found)
    known = sys.stdlib_module_names | {"eventing"}
    return top - known, within - known - top


def test_what_it_imports_is_what_it_asks_for() -> None:
    top, within = imported()
    asked = project(FOLDER)
    assert {DISTRIBUTIONS.get(name, name) for name in top} == set(names(asked[""]))
    optional = [name for extra, requirements in asked.items() if extra for name in names(requirements)]
    for name in within:
        assert any(one.startswith(name) for one in optional), name


def test_the_versions_are_those_of_the_project() -> None:
    ours, whole = project(FOLDER), project(REPOSITORY)
    for extra, requirements in ours.items():
        assert names(requirements).items() <= names(whole[extra]).items()
