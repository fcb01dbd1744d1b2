"""How a board looks in a terminal."""

from rich.cells import cell_len
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
_SHRINKING = {"": 4, "revision": 8}  # to how many columns
_DROPPED = ("revision", "target a pod", "desired", "retried", "waiting", "", "to zero in")  # in this order
_GAP = 2
_LEAST_NAME = 8
_LEFT = {"function", "", "state", "revision", "target a pod"}


def board_view(board: Board, width: int) -> RenderableType:
    """Functions with a bar a pod, then everything else, then troubles, for a terminal of that many columns.

    A column in which nothing stands is left out. On a narrow terminal bars and revisions are cut first, then
    columns are left out. Of a state only its first word is in the table, the rest stands below.
    """
    letters = "?" if board.dead_letters is None else f"{board.dead_letters:,}"
    title = Text.assemble((f"Tradewind on {board.where}", "bold"), f"   dead letters: {letters}")
    table = Table(box=None, padding=(0, _GAP, 0, 0), header_style="dim")
    rows = [dict(zip(_COLUMNS, _cells(row), strict=True)) for row in board.functions]
    shown = _fitting(rows, width)
    lacking = sum(shown.values()) - width
    for name in shown:
        justify: JustifyMethod = "left" if name in _LEFT else "right"
        if name == "function" and lacking > 0:
            table.add_column(name, max_width=max(_LEAST_NAME, shown[name] - _GAP - lacking), overflow="fold")
        else:
            table.add_column(name, justify=justify, no_wrap=name not in _SHRINKING)
    for row in rows:
        table.add_row(*(row[name] for name in shown))
    parts = Table(box=None, padding=(0, _GAP, 0, 0), show_header=False)
    for part in board.parts:
        style = "green" if part.ready else "yellow" if part.ready is None else "bold red"
        parts.add_row(Text(part.kind, "dim"), part.name, Text(part.text, style))
    states = [f"{row.name}: {row.state}" for row in board.functions if ": " in row.state]
    troubles = [Text(trouble, "bold red") for trouble in [*states, *board.troubles]]
    return Group(title, Text(), table, Text(), parts, *troubles)


def _fitting(rows: list[dict[str, str | Text]], width: int) -> dict[str, int]:
    """The columns in which something stands and their widths, without those for which there is no room."""
    shown = {}
    for name in _COLUMNS:
        size = max((cell_len(str(row[name])) for row in rows), default=0)
        if size:
            size = max(size, cell_len(name))
            shown[name] = min(size, _SHRINKING.get(name, size)) + _GAP
    for name in _DROPPED:
        if sum(shown.values()) > width:
            shown.pop(name, None)
    return shown


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
