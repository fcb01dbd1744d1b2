"""How far a run is, once a second: JSON lines for a program, a bar for a terminal, or entries in the log."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import Final

import msgspec
import rich.progress
from rich.console import Console

Report = Mapping[str, int | float | bool]
Show = Callable[[Report], None]

LOG_EVERY_S: Final = 10.0

logger = logging.getLogger(__name__)


class Progress(StrEnum):
    """Which form it takes. TEXT: a bar on a terminal, else the log."""

    TEXT = "text"
    JSON = "json"
    NONE = "none"


def show_progress(form: Progress) -> AbstractContextManager[Show]:
    """What to call with each report, while inside."""
    if form is Progress.JSON:
        return json_lines()
    if form is Progress.NONE:
        return nothing()
    console = Console(stderr=True)
    return bar(console) if console.is_terminal else log_entries()


@contextmanager
def json_lines() -> Iterator[Show]:
    """One JSON object a line on standard output; the last one has `"final": true`.

    `show` raises BrokenPipeError, once, when nobody reads them any more.
    """

    def show(report: Report) -> None:
        try:
            print(msgspec.json.encode(report).decode(), flush=True)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())  # what is still to be flushed, at the latest at the exit
            os.close(nowhere)
            raise

    yield show


@contextmanager
def nothing() -> Iterator[Show]:
    yield lambda report: None


@contextmanager
def log_entries() -> Iterator[Show]:
    """An entry every LOG_EVERY_S seconds, and one at the end."""
    next_s = time.monotonic() + LOG_EVERY_S

    def show(report: Report) -> None:
        nonlocal next_s
        if report.get("final") or time.monotonic() >= next_s:
            next_s = time.monotonic() + LOG_EVERY_S
            logger.info("progress", extra=report)

    yield show


@contextmanager
def bar(console: Console) -> Iterator[Show]:
    """A bar where the end is known (it has the time left, then), else a line that counts."""
    columns = (
        rich.progress.SpinnerColumn(),
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(bar_width=20),
        rich.progress.TaskProgressColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    with rich.progress.Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=None)

        def show(report: Report) -> None:
            fraction = report.get("fraction")
            progress.update(
                task,
                description=describe(report),
                total=None if fraction is None else 1.0,
                completed=fraction,
                refresh=True,
            )

        yield show


def describe(report: Report) -> str:
    """The report in words: `12,300 trades taken, 299/s of 300/s asked, 2 on the way`."""
    rate = f"{report['achieved_per_s']:,.0f}/s"
    if report["asked_per_s"]:
        rate += f" of {report['asked_per_s']:,.0f}/s asked"
    words = [f"{report['accepted_trades']:,} trades taken", rate, f"{report['in_flight']:,} on the way"]
    counted = ("resent", "refused", "missed_trades", "bad_rows")
    words += [f"{report[name]:,} {name.replace('_', ' ')}" for name in counted if report.get(name)]
    if report["paused"]:
        words.append("paused")
    return ", ".join(words)
