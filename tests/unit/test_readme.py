"""The README's settings table is the settings."""

import re
from pathlib import Path

from runtime.settings import ALL_SETTINGS

README = Path(__file__).parents[2] / "README.md"


def settings_table() -> list[str]:
    rows = []
    for settings in ALL_SETTINGS:
        for name, _, default, description in settings.about():
            shown = (
                ""
                if default in ("", None)
                else f"`{default:g}`"
                if isinstance(default, float)
                else f"`{default}`"
            )
            rows.append(f"| `{name.upper()}` | {shown} | {description} |")
    return rows


def test_the_settings_table_is_complete_and_true() -> None:
    lines = README.read_text().splitlines()
    start = lines.index("| variable | default | meaning |") + 2
    table = lines[start : lines.index("", start)]
    assert table == settings_table()


def test_every_setting_says_what_it_is() -> None:
    for settings in ALL_SETTINGS:
        for one in settings.about():
            assert one.description, f"{settings.__name__}.{one.name} has no description"


def test_files_that_the_readme_links_to_are_there() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README.read_text()):
        assert (README.parent / target).exists(), target
