"""`tradewind query`: the summaries, a ticker's trades, its price levels."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradewind.exits import BROKEN
from tradewind.options import DEFAULT_DATA, Data, Json, QueryUrl, fail, print_json, query_base, table_console
from tradewind.words import plural, printable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_LIST = ("ticker", "name", "price", "volume", "value", "trade_count", "last_trade_time")
_LEFT = ("ticker", "name", "id", "source", "time", "latest_time", "last_trade_time")


class Sort(StrEnum):
    """Columns to sort by; numbers sort as numbers, the largest first."""

    TICKER = "ticker"
    NAME = "name"
    PRICE = "price"
    VOLUME = "volume"
    VALUE = "value"
    TRADES = "trade_count"
    TIME = "last_trade_time"


def query(
    ticker: Annotated[str | None, typer.Argument(help="A symbol, such as AAPL. Without: the list.")] = None,
    *,
    trades: Annotated[bool, typer.Option("--trades", help="The ticker's trades, newest first.")] = False,
    prices: Annotated[bool, typer.Option("--prices", help="The ticker's volume by price.")] = False,
    sort: Annotated[Sort, typer.Option(help="Order of the list.")] = Sort.VOLUME,
    search: Annotated[
        str | None, typer.Option("--search", "-q", metavar="TEXT", help="Part of a symbol or name.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Rows.")] = 20,
    json: Json = False,
    data: Data = DEFAULT_DATA,
    url: QueryUrl = None,
) -> None:
    """Ask the running pipeline: the tickers, one ticker, its trades or its volume by price.

    Examples: `tradewind query`, `tradewind query --sort value -n 10`, `tradewind query AAPL --trades`.

    Exit code: 0; 1 if the ticker never traded; 2 if no pipeline answers.
    """
    from tradewind.client import Unreachable, ask, path

    if (trades or prices) and ticker is None:
        raise typer.BadParameter("--trades and --prices need a TICKER")
    if trades and prices:
        raise typer.BadParameter("--trades or --prices: one at a time")
    if search and ticker:
        raise typer.BadParameter("--search is of the list: give it, or a TICKER")
    base = query_base(url, data)
    parameters: dict[str, Any] = {"limit": limit}
    where = ["v1", "tickers", *([ticker] if ticker else [])]
    rows = "trades" if trades else "prices" if prices else "tickers" if ticker is None else ""
    if ticker is None:
        order = "asc" if sort in (Sort.TICKER, Sort.NAME) else "desc"
        parameters |= {"q": search, "sort": sort.value, "order": order}
    elif rows:
        where.append(rows)
    else:
        parameters = {}
    try:
        answer = ask(base + path(*where), query=parameters)
        if answer.status != 200:
            fail(printable(answer.reason), BROKEN)
        found = answer.json
        if rows:
            answer.rows(rows)  # or it is another's answer
    except Unreachable as error:
        fail(str(error))
    if json:
        print_json(found)
    else:
        table_console().print(to_table(found))


def to_table(answer: dict[str, Any]) -> "Table":
    """The API's answer: a list, a ticker's trades or prices, or one ticker."""
    if "tickers" in answer:
        table = _rows_table(answer["tickers"], _LIST)
        table.caption = f"{len(answer['tickers']):,} of {plural(answer['total'], 'ticker')}"
        return table
    if "trades" in answer:
        return _rows_table(answer["trades"], ("time", "price", "volume", "id", "source"))
    if "prices" in answer:
        return _rows_table(answer["prices"], ("price", "volume", "trade_count", "latest_time"))
    return _one_table(answer)


def _one_table(row: dict[str, Any]) -> "Table":
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in row.items():
        table.add_row(_words(name), _text(value))
    return table


def _rows_table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(
            _words(name),
            justify="left" if name in _LEFT else "right",
            no_wrap=True,
            overflow="ellipsis",
            max_width=24 if name == "name" else None,
        )
    for row in rows:
        table.add_row(*(_text(row.get(name, "")) for name in columns))
    return table


def _words(name: str) -> str:
    return name.replace("_", " ")


def _text(value: object) -> "Text":
    from rich.text import Text

    return Text(f"{value:,}" if isinstance(value, int) else printable(str(value)))
