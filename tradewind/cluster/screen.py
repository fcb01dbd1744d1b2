"""How a board looks in a terminal."""

from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from tradewind.cluster.board import Board, FunctionRow

MAX_BARS = 20
_COLUMNS = (
    "function",
    "pods",
    "",
    "desired",
    "to zero in",
    "target a pod",
    "waiting",
    "retried",
    "state",
    "revision",
)
_SHRINKING = {"", "revision"}
_LEFT = {"function", "", "state", "revision", "target a pod"}


def board_view(board: Board) -> RenderableType:
    """Functions with a bar a pod, then everything else, then troubles.

    A column in which nothing stands is left out. On a narrow terminal bars and revisions are cut first. Of a
    state only its first word is in the table, the rest stands below.
    """
    letters = "?" if board.dead_letters is None else f"{board.dead_letters:,}"
    title = Text.assemble((f"Tradewind on {board.where}", "bold"), f"   dead letters: {letters}")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    rows = [_cells(row) for row in board.functions]
    shown = [number for number in range(len(_COLUMNS)) if any(str(row[number]) for row in rows)]
    for name in (_COLUMNS[number] for number in shown):
        justify: JustifyMethod = "left" if name in _LEFT else "right"
        table.add_column(name, justify=justify, no_wrap=name not in _SHRINKING)
    for row in rows:
        table.add_row(*(row[number] for number in shown))
    parts = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for part in board.parts:
        style = "green" if part.ready else "yellow" if part.ready is None else "bold red"
        parts.add_row(Text(part.kind, "dim"), part.name, Text(part.text, style))
    states = [f"{row.name}: {row.state}" for row in board.functions if ": " in row.state]
    troubles = [Text(trouble, "bold red") for trouble in [*states, *board.troubles]]
    return Group(title, Text(), table, Text(), parts, *troubles)


def _cells(row: FunctionRow) -> list[str | Text]:
    style = "green" if row.ready else "yellow" if row.ready is None else "bold red"
    return [
        row.name,
        _number(row.actual),
        _bars(row),
        _number(row.desired),
        "" if row.to_zero_s is None else f"{row.to_zero_s:.0f} s",
        row.target,
        _number(row.waiting),
        _number(row.retried),
        Text(row.state.partition(": ")[0], style),
        Text(row.revision, "dim", no_wrap=True, overflow="ellipsis"),
    ]


def _bars(row: FunctionRow) -> Text:
    """A block a pod: ready, starting, ending."""
    ready, starting = row.ready_pods or 0, (row.actual or 0) - (row.ready_pods or 0)
    blocks = [("■", "green")] * ready + [("□", "yellow")] * starting + [("·", "red")] * row.ending
    text = Text.assemble(*blocks[:MAX_BARS], no_wrap=True, overflow="ellipsis")
    return text.append("…") if len(blocks) > MAX_BARS else text


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
