"""What `tradewind up` shows: a live table on a terminal, else a line every few seconds; totals at the end."""

import os
import sys
from types import TracebackType
from typing import IO, Any, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tradewind.laptop.process import State
from tradewind.laptop.snapshot import ProcessRow, Snapshot
from tradewind.laptop.totals import Totals

_STYLES = {State.READY: "green", State.FINISHED: "green", State.SILENT: "bold red", State.FAILED: "bold red"}


class WhileRead:
    """A file for as long as somebody reads it: what is written after that goes nowhere.

    A run must end in order when its terminal is closed, and go on when `| head` has had enough.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> None:
        try:
            self._file.write(text)
        except OSError:
            self._lead_nowhere()

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError:
            self._lead_nowhere()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def _lead_nowhere(self) -> None:
        """The descriptor, so that what is left in the file's buffer has somewhere to go, too."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._file.fileno())
        os.close(nowhere)


def make_console() -> Console:
    """On standard output."""
    return Console(file=cast(IO[str], WhileRead(sys.stdout)))


class PlainScreen:
    """Lines, for logs and pipes. The first comes after a second, so that a short run shows some, too."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = 0
        self.interval_s = 1.0

    def __enter__(self) -> "PlainScreen":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, snapshot: Snapshot) -> None:
        self._shown += 1
        if snapshot.store.trades_counted or self._shown > 2:
            self.interval_s = 5.0
        self.say(progress_line(snapshot))


class LiveScreen:
    """A table that is drawn again each second, or each other one while nothing happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)
        self.interval_s = 1.0

    def __enter__(self) -> "LiveScreen":
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, snapshot: Snapshot) -> None:
        self.interval_s = 1.0 if snapshot.sent_per_s or snapshot.counted_per_s or snapshot.waiting else 2.0
        self._live.update(live_view(snapshot), refresh=True)


def progress_line(snapshot: Snapshot) -> str:
    """`12 s  sent 3,600 (300/s)  stored 3,600  counted 3,590 …`: one line that says it all."""
    store = snapshot.store
    parts = [
        f"{snapshot.elapsed_s:4.0f} s",
        f"sent {snapshot.sent:,} ({snapshot.sent_per_s:,.0f}/s)" + (" paused" if snapshot.paused else ""),
        f"stored {store.trades_stored:,}",
        f"counted {store.trades_counted:,} ({snapshot.counted_per_s:,.0f}/s)",
        f"waiting {snapshot.waiting:,}",
        f"dead letters {store.dead_letters_waiting:,}",
    ]
    if snapshot.cpu_percent is not None:
        parts.append(f"cpu {snapshot.cpu_percent:.0f}%")
    parts += [
        f"{row.name} {row.state}" + (f" ({row.reason})" if row.reason else "")
        for row in snapshot.processes
        if row.state not in (State.READY, State.FINISHED)
    ]
    return "  ".join(parts)


def live_view(snapshot: Snapshot) -> RenderableType:
    """Processes, queues and numbers."""
    processes = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("process", "state", "restarts", "cpu", "waiting", "retried", "dead-lettered", "at"):
        processes.add_column(name, justify="left" if name in ("process", "state", "at") else "right")
    for row in snapshot.processes:
        processes.add_row(*_cells(row, snapshot))
    return Group(Text(progress_line(snapshot), style="bold"), processes)


def _cells(row: ProcessRow, snapshot: Snapshot) -> list[RenderableType]:
    queue = snapshot.queues.get(row.name)
    state = Text(f"{row.state} ({row.reason})" if row.reason else row.state, _STYLES.get(row.state, "yellow"))
    state.truncate(60, overflow="ellipsis")
    return [
        row.name,
        state,
        str(row.restarts or ""),
        "" if row.cpu_percent is None else f"{row.cpu_percent:.0f}%",
        f"{queue.pending:,}" if queue else "",
        f"{queue.total.retried:,}" if queue else "",
        f"{queue.total.dead_lettered:,}" if queue else "",
        Text(row.url, style="dim"),
    ]


def totals_table(totals: Totals) -> Table:
    """What the run did."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    rows = [
        ("sent", totals.sent, "trades, by the generator"),
        ("accepted", totals.accepted, "trades, by the broker"),
        ("stored", totals.stored, f"trades in the store ({totals.previous:,} of them before this run)"),
        ("counted", totals.counted, "trades in the summaries"),
        ("duplicates", totals.duplicate_events, "deliveries of events that were done before"),
        ("retried", totals.retried_events, "deliveries made again by the broker"),
        ("dead letters", totals.dead_letters, "events that wait for a person"),
    ]
    if totals.refused_events:
        rows.insert(2, ("refused", totals.refused_events, "events that the broker would not take"))
    for name, value, meaning in rows:
        table.add_row(name, f"{value:,}", meaning)
    return table
