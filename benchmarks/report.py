"""Figures for people: a list of them, or two results side by side."""

import json
from collections.abc import Mapping
from pathlib import Path


def print_figures(title: str, figures: Mapping[str, float]) -> None:
    """One line a group of names: `cpu_us  all 12.3  broker 1.1 ...`."""
    print(f"\n{title}")
    groups: dict[str, list[str]] = {}
    for name, value in figures.items():
        group, _, rest = name.partition(".")
        groups.setdefault(group, []).append(f"{rest} {_short(value)}".strip())
    for group, values in groups.items():
        print(f"  {group:16} " + "  ".join(values), flush=True)


def compare(old: Path, new: Path) -> None:
    """The medians of two results of `--json`, and how the new one differs."""
    results = [json.loads(path.read_text()) for path in (old, new)]
    for path, result in zip((old, new), results, strict=True):
        print(f"{path}: {result['store']}, {', '.join(map(str, result['machine'].values()))}")
    before, after = (result["scenarios"] for result in results)
    for scenario in before.keys() & after.keys():
        print(f"\n{scenario:32} {'old':>14} {'new':>14}")
        medians = before[scenario]["median"], after[scenario]["median"]
        for name in medians[0]:
            if name in medians[1]:
                was, now = medians[0][name], medians[1][name]
                change = f"{100 * (now / was - 1):+8.1f} %" if was else ""
                print(f"{name:32} {_short(was):>14} {_short(now):>14} {change}")


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.2f}"
