"""docs/security.md says what is so."""

import re
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from runtime.reading import Settings

PAGE = Path(__file__).parents[3] / "docs" / "security.md"
ROWS = re.findall(r"^\| .+ \| ([\d,]+) \| `([\w.]+)` \|$", PAGE.read_text(), re.MULTILINE)


def test_there_are_bounds() -> None:
    assert len(ROWS) > 20
    table = PAGE.read_text().split("## Bounds")[1].split("##")[0]
    assert len(ROWS) == sum(line.startswith("|") for line in table.splitlines()) - 2


@pytest.mark.parametrize(("value", "place"), ROWS, ids=[place for _, place in ROWS])
def test_a_bound_is_what_the_code_has(value: str, place: str) -> None:
    holder, _, name = place.rpartition(".")
    found: Any = resolve_name(holder)
    if isinstance(found, type) and issubclass(found, Settings):
        bound = getattr(found(), name)
    else:
        bound = getattr(found, name)
    assert bound == int(value.replace(",", ""))
