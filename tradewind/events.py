"""`tradewind events`: the raw events as the functions saw them, with their verdicts."""

import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from tradewind.options import DEFAULT_DATA, Data, Json, QueryUrl, fail, print_json, query_base
from tradewind.words import plural, printable

FOLLOW_S = 1.0
MAX_ROWS = 500  # what the API gives at once
MAX_SHOWN = 5_000  # remembered, so that an event is shown once


def events(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_ROWS, help="How many at first.")] = 20,
    function: Annotated[
        str | None, typer.Option(help="Only what this function saw: store_trade, update_summary, …")
    ] = None,
    verdict: Annotated[
        str | None,
        typer.Option(
            help="Only with this verdict: STORED, COUNTED, DUPLICATE, CONFLICT, OVERFLOW, BAD_REQUEST, "
            "UNAVAILABLE; of functions of your own DONE, and REPLIED for what they answer."
        ),
    ] = None,
    id_: Annotated[
        str | None, typer.Option("--id", metavar="TEXT", help="Only the event with this id.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Only events of this source.")] = None,
    json: Json = False,
    data: Data = DEFAULT_DATA,
    url: QueryUrl = None,
) -> None:
    """Show the most recent events, oldest first, and what each function made of them.

    They come from a bounded ring in the store: at high rates --follow shows a part of them. It goes on while
    the query function is away, and says so.

    Examples: `tradewind events --follow`, `tradewind events --id my-1` (all that is known of one event).

    Exit code: 0; 2 if no pipeline answers.
    """
    from tradewind.client import Unreachable

    base = query_base(url, data)
    function = function and function.replace("-", "_")  # `trade-size` is the Trigger of `trade_size`
    only = {"function": function, "verdict": verdict and verdict.upper(), "id": id_, "source": source}
    query = {"limit": MAX_ROWS if follow else limit, **only}
    seen: dict[bytes, None] = {}
    try:
        for recent in follow_events(base, query) if follow else [read_events(base, query)]:
            for event in reversed(new_events(recent, seen)[:limit]):
                print_json(event) if json else print(describe(event))
            sys.stdout.flush()
            limit = MAX_ROWS
    except Unreachable as error:
        fail(printable(str(error)))
    except KeyboardInterrupt:
        return


def follow_events(base: str, query: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The recent events, each second. Trouble is told once; before the first answer it raises Unreachable."""
    from tradewind.client import Unreachable

    begun = troubled = False
    while True:
        try:
            recent = read_events(base, query)
        except Unreachable as error:
            if not begun:
                raise
            if not troubled:
                print(printable(f"{error}. Going on until Ctrl-C."), file=sys.stderr)
            troubled = True
        else:
            if troubled:
                print("It answers again.", file=sys.stderr)
            begun, troubled = True, False
            yield recent
        time.sleep(FOLLOW_S)


def read_events(base: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    """The recent events, newest first. Raises Unreachable, also for what is no good answer."""
    from tradewind.client import Unreachable, ask

    answer = ask(base + "/v1/events", query=query)
    if answer.status != 200:
        raise Unreachable(answer.reason)
    return answer.rows("events")


def new_events(events: list[dict[str, Any]], seen: dict[bytes, None]) -> list[dict[str, Any]]:
    """Those not seen before; `seen` remembers them, and forgets the oldest."""
    import msgspec

    fresh = []
    for event in events:
        key = msgspec.json.encode(event)
        if key not in seen:
            seen[key] = None
            fresh.append(event)
    while len(seen) > MAX_SHOWN:
        del seen[next(iter(seen))]
    return fresh


def describe(event: dict[str, Any]) -> str:
    """One line, printable: time, function, verdict, type, id, data."""
    attributes, data = event["attributes"], event["data"]
    text = data.get("text") or f"({plural(data.get('size', 0), 'byte')})"
    reason = f"  [{event['reason']}]" if event["reason"] else ""
    kind = attributes.get("type", "")
    what = f"{event['time']}  {event['function']:<14} {event['verdict']:<11} {kind}"
    return printable(f"{what}  {attributes.get('id', '')}  {text[:120]}{reason}")
