"""`tradewind events`: the raw events as the functions saw them, with their verdicts."""

import time
from typing import Annotated, Any

import typer

from tradewind.options import DEFAULT_DATA, Data, Json, QueryUrl, fail, print_json, running

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

    They come from a bounded ring in the store: at high rates --follow shows a part of them.

    Examples: `tradewind events --follow`, `tradewind events --id my-1` (all that is known of one event).

    Exit code: 0; 2 if no pipeline answers.
    """
    from tradewind.client import Unreachable, ask

    base = (url or running(data).query_url).rstrip("/")
    function = function and function.replace("-", "_")  # `trade-size` is the Trigger of `trade_size`
    only = {"function": function, "verdict": verdict, "id": id_, "source": source}
    query = {"limit": MAX_ROWS if follow else limit, **only}
    seen: dict[bytes, None] = {}
    try:
        while True:
            answer = ask(base + "/v1/events", query=query)
            if answer.status != 200:
                fail(answer.reason)
            for event in reversed(new_events(answer.json["events"], seen)[:limit]):
                print_json(event) if json else print(describe(event), flush=True)
            if not follow:
                return
            limit = MAX_ROWS
            time.sleep(FOLLOW_S)
    except Unreachable as error:
        fail(str(error))
    except KeyboardInterrupt:
        return


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
    """One line: time, function, verdict, type, id, data."""
    attributes, data = event["attributes"], event["data"]
    text = data.get("text") or f"({data.get('size', 0)} bytes)"
    reason = f"  [{event['reason']}]" if event["reason"] else ""
    kind = attributes.get("type", "")
    what = f"{event['time']}  {event['function']:<14} {event['verdict']:<11} {kind}"
    return f"{what}  {attributes.get('id', '')}  {text[:120]}{reason}"
