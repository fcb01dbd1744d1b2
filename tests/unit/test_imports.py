"""Who may import whom, checked in the source of every module, imports inside of functions included."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ROOMS = ("trades", "eventing", "functions", "generator", "runtime", "tradewind")
MAY_IMPORT = {
    "trades": {"trades"},
    "eventing": {"eventing"},
    "runtime": {"runtime"},
    "functions": {"functions", "trades", "eventing", "runtime"},
    "generator": {"generator", "trades", "eventing", "runtime"},
    "tradewind": set(ROOMS),
}
# A package outside, and the folders whose modules alone may import it.
HELD_BY = {
    "aerospike": ["trades/stores/aerospike"],
    "aerospike_helpers": ["trades/stores/aerospike"],
    "sqlite3": ["trades/stores/sqlite", "eventing/broker", "functions/volume_windows.py"],
    "flask": ["functions"],
    "werkzeug": ["functions"],
    "functions_framework": ["functions"],
    "starlette": ["functions"],
    "cloudevents": ["functions"],
    "opentelemetry": ["eventing/tracing.py"],
    "kubernetes": ["tradewind/cluster/api.py"],
}
# Modules of ours that are not for everyone in the rooms that may import their room.
PARTS_HELD_BY = {
    "trades.stores": ["trades/stores", "functions/stores.py"],
    "functions.query": ["functions/query", "functions/compose.py"],
    "eventing.broker": ["eventing/broker", "tradewind"],
}

SOURCES = sorted(
    path.relative_to(REPOSITORY).as_posix() for room in ROOMS for path in (REPOSITORY / room).rglob("*.py")
)


def imported(source: str) -> Iterator[tuple[str, int]]:
    """Dotted names that a module imports, and the dots of relative imports before them."""
    for node in ast.walk(ast.parse((REPOSITORY / source).read_text(), source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module or ''}.{alias.name}", node.level) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            texts = (arg.value for arg in node.args if isinstance(arg, ast.Constant))
            yield from ((text, 0) for text in texts if isinstance(text, str))


def is_in(source: str, places: list[str]) -> bool:
    return any(source == place or source.startswith(f"{place}/") for place in places)


def test_there_are_modules_to_look_at() -> None:
    for room in ROOMS:
        assert is_in(f"{room}/__init__.py", SOURCES), room
    assert ("functions_framework.aio", 0) in imported("functions/main.py")
    assert ("kubernetes.dynamic", 0) in imported("tradewind/cluster/api.py")


@pytest.mark.parametrize("source", SOURCES)
def test_imports(source: str) -> None:
    room = source.partition("/")[0]
    for name, dots in imported(source):
        package = name.partition(".")[0]
        assert dots == 0, f"{source}: write the import of {name} with its full name"
        if package in ROOMS:
            assert package in MAY_IMPORT[room], f"{source} imports {name}: {room} may not know {package}"
        if package in HELD_BY:
            assert is_in(source, HELD_BY[package]), f"{source} imports {name}: only {HELD_BY[package]} may"
        for part, places in PARTS_HELD_BY.items():
            if f"{name}.".startswith(f"{part}."):
                assert is_in(source, places), f"{source} imports {name}: only {places} may"


DOMAIN = [source for source in SOURCES if is_in(source, ["trades"]) and not is_in(source, ["trades/stores"])]


@pytest.mark.parametrize("source", DOMAIN)
def test_the_domain_needs_the_standard_library_and_msgspec(source: str) -> None:
    outside = {name.partition(".")[0] for name, _ in imported(source)} - {"trades", "msgspec"}
    assert outside <= sys.stdlib_module_names
