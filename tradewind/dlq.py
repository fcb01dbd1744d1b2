"""`tradewind dlq`: the events that could not be handled: what they are, why, and sending them again."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradewind.exits import BROKEN
from tradewind.options import (
    DEFAULT_DATA,
    Data,
    Json,
    QueryUrl,
    fail,
    print_json,
    query_base,
    table_console,
)
from tradewind.words import plural, printable

if TYPE_CHECKING:
    from tradewind.client import Answer

app = typer.Typer(
    help="The dead letters: events that could not be handled, and why.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
_PAGE = 1_000  # what the API gives at once
_KEY_LENGTH = 32

Key = Annotated[str, typer.Argument(help="A dead letter's key, as `list` shows it; its beginning is enough.")]


@app.command("list")
def list_letters(
    *,
    replayed: Annotated[bool, typer.Option("--replayed", help="Also those that were sent again.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Rows.")] = 50,
    json: Json = False,
    data: Data = DEFAULT_DATA,
    url: QueryUrl = None,
) -> None:
    """List them, newest first. Exit code: 0; 2 if no pipeline answers."""
    page = _read(query_base(url, data), limit, replayed=replayed)
    if json:
        print_json(page["dead_letters"])
        return
    _print_table(page["dead_letters"], has_more=page["next_cursor"] is not None)


@app.command()
def show(key: Key, *, data: Data = DEFAULT_DATA, url: QueryUrl = None) -> None:
    """Show one whole, as JSON. Exit code: 0; 1 if there is none; 2 if no pipeline answers."""
    base = query_base(url, data)
    print_json(_get(base, "v1", "dead-letters", _find(base, key)))


@app.command()
def replay(
    key: Annotated[str | None, typer.Argument(help="Which one; its beginning is enough.")] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    json: Json = False,
    data: Data = DEFAULT_DATA,
    url: QueryUrl = None,
) -> None:
    """Send one, or all, to the broker again, with their own ids: what was done of them before is not done
    twice.

    First cure the reason (`list` shows it), or they come back.

    Exit code: 0; 1 if some could not be sent; 2 if no pipeline answers.
    """
    if (key is None) == (not all_):
        raise typer.BadParameter("give a KEY, or --all")
    base = query_base(url, data)
    keys = _keys(base) if key is None else [_find(base, key)]
    found = failed = 0
    for each in keys:
        found += 1
        answer = _replay(base, each)
        failed += answer.status != 200
        if json:
            print_json({"key": each, "status": answer.status, "answer": _content(answer)})
        else:
            print(printable(f"{each}  {'sent again' if answer.status == 200 else answer.reason}"))
    if not found and not json:
        print("No dead letters wait.")
    raise typer.Exit(BROKEN if failed else 0)


def _content(answer: "Answer") -> Any:
    """The query function's JSON, or the text of what stands between it and us."""
    from tradewind.client import Unreachable

    try:
        return answer.json
    except Unreachable:
        return answer.reason


def _replay(base: str, key: str) -> "Answer":
    from tradewind.client import BROKER_TIMEOUT_S, Unreachable, ask, path

    try:
        return ask(  # the query function waits for the broker
            base + path("v1", "dead-letters", key, "replay"),
            method="POST",
            headers={"content-type": "application/json"},
            body=b"{}",
            timeout_s=BROKER_TIMEOUT_S,
        )
    except Unreachable as error:
        fail(str(error))


def _get(base: str, *parts: str, query: dict[str, Any] | None = None, rows: str = "") -> dict[str, Any]:
    """`rows`: what it must have a list of."""
    from tradewind.client import Unreachable, ask, path

    try:
        answer = ask(base + path(*parts), query=query)
        if answer.status != 200:
            fail(printable(answer.reason), BROKEN)
        return answer.json | ({rows: answer.rows(rows)} if rows else {})
    except Unreachable as error:
        fail(str(error))


def _read(base: str, limit: int, *, replayed: bool = False, cursor: str | None = None) -> dict[str, Any]:
    query = {"limit": limit, "replayed": "true" if replayed else "false"}
    query |= {"cursor": cursor} if cursor else {}
    return _get(base, "v1", "dead-letters", query=query, rows="dead_letters")


def _keys(base: str, *, replayed: bool = False) -> Iterator[str]:
    """All keys, newest first, page by page. One that comes again meanwhile does not come again here."""
    cursor = None
    while True:
        page = _read(base, _PAGE, replayed=replayed, cursor=cursor)
        yield from (letter["key"] for letter in page["dead_letters"])
        cursor = page.get("next_cursor")
        if cursor is None:
            return


def _find(base: str, start: str) -> str:
    """The one key that begins so; a whole one is not looked for."""
    if len(start) == _KEY_LENGTH:
        return start
    keys = [key for key in _keys(base, replayed=True) if key.startswith(start)]
    if len(keys) != 1:
        fail(
            f"{len(keys) or 'no'} dead letters have a key that begins with {start}: see `tradewind dlq list`",
            BROKEN,
        )
    return keys[0]


def _print_table(letters: list[dict[str, Any]], *, has_more: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from tradewind.laptop.ledger import name_function

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("key", "received", "function", "type", "id", "status", "reason"):
        table.add_column(name, no_wrap=name not in ("id", "reason"), overflow="fold")
    for letter in letters:
        attributes = letter["attributes"]
        function = name_function(letter["destination"])
        event = attributes.get("type", ""), attributes.get("id", "")
        reason = letter["reason"] + (" (sent again)" if letter["replayed"] else "")
        cells = (letter["key"][:12], letter["received"], function, *event, letter["status"], reason)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    console = table_console()
    console.print(table)
    count = plural(len(letters), "dead letter")
    console.print(f"the newest {count}: --limit shows more" if has_more else count, highlight=False)
