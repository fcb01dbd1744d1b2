"""How far a command that reads the whole store has come, while it reads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(doing: str, read_total: Callable[[], int | None]) -> Iterator[Callable[[int], None]]:
    """On a terminal only. Yields what to tell of each portion read. A total of None: nobody knows."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda portion: None
        return
    columns = (BarColumn(), TextColumn("{task.completed:,.0f}"), TimeRemainingColumn())
    with Progress("{task.description}", *columns, console=console, transient=True) as progress:
        task = progress.add_task(doing, total=read_total())
        yield lambda portion: progress.advance(task, portion)
