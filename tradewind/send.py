"""`tradewind send`: one trade, as a person sends it, and what became of it."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradewind.exits import BROKEN
from tradewind.options import DEFAULT_DATA, Data, Json, fail, print_json, running

if TYPE_CHECKING:
    import ssl

    from eventing.event import Event

SEEN_WITHIN_S = 1.0
MAX_VALUE_LENGTH = 256  # of an attribute in a note of an event
_POLL_S = 0.05
_FUNCTIONS = ("store_trade", "update_summary")
_DONE = ("STORED", "COUNTED", "DUPLICATE")


def send(
    ticker: Annotated[str, typer.Argument(help="Symbol, such as AAPL.")],
    price: Annotated[str, typer.Argument(help="Dollars, at most 4 decimal places, such as 32.10.")],
    volume: Annotated[int, typer.Argument(help="Shares, a whole number.")],
    *,
    id_: Annotated[
        str | None,
        typer.Option("--id", metavar="TEXT", help="The event's id. Default: a new one."),
    ] = None,
    source: Annotated[str, typer.Option(help="The event's source.")] = "/tradewind/send",
    time_: Annotated[
        str | None,
        typer.Option("--time", metavar="TIME", help="When it was traded, RFC 3339. Default: now."),
    ] = None,
    structured: Annotated[
        bool, typer.Option("--structured", help="One JSON body, instead of headers and data (binary mode).")
    ] = False,
    sink: Annotated[
        str | None, typer.Option(metavar="URL", help="Where to, if not to the pipeline running here.")
    ] = None,
    json: Json = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Send one trade to the broker, as a CloudEvent of type trade.executed.v1.

    It prints the event's id, the broker's answer, and what the functions and the store then say.

    Try it: the same --id and --time with the same values again is a DUPLICATE and changes nothing; with other
    values it is a CONFLICT and goes to the dead letters, as does a trade that is wrong (a price of 0).

    A sink that asks who you are gets the token in OIDC_TOKEN_FILE; K_CA_CERTS are certificates to trust.

    Exit code: 0; 1 if it was refused, or was not done within a second; 2 if no broker answers.
    """
    from eventing.codec import encode_binary, encode_structured
    from eventing.credentials import BadCredentials
    from tradewind.client import Unreachable, ask

    run = None if sink else running(data)
    url = sink or (run.ingress_url if run else "")
    event = make_event(ticker, price, volume, id_, source, time_)
    headers, body = encode_structured(event) if structured else encode_binary(event)
    report: dict[str, Any] = {"id": event.id, "source": event.source}
    sent_ms = _now_ms()
    try:
        shown, tls = credentials() if sink else ({}, None)
        answer = ask(url, method="POST", headers=headers | shown, body=body, tls=tls)
        report |= {"status": answer.status, "reason": answer.reason}
        if run and answer.status < 300:
            report |= look(run.query_url, event, sent_ms)
    except (Unreachable, BadCredentials) as error:
        fail(str(error))
    print_json(report) if json else _tell(report, ticker)
    if not is_done(report):
        raise typer.Exit(BROKEN)


def credentials() -> "tuple[dict[str, str], ssl.SSLContext | None]":
    """The headers that show who we are, and whom to trust, from the settings. Raises BadCredentials."""
    from pathlib import Path

    from eventing.credentials import Credentials
    from runtime.settings import SinkSettings

    settings = SinkSettings.read()
    made = Credentials(settings.k_ca_certs, Path(settings.oidc_token_file))
    return made.headers(), made.tls


def is_done(report: dict[str, Any]) -> bool:
    """The broker took it, and, where we could look, both functions have done with it."""
    verdicts = report.get("verdicts")
    return report["status"] < 300 and (
        verdicts is None or all(verdicts.get(function) in _DONE for function in _FUNCTIONS)
    )


def make_event(
    ticker: str, price: str, volume: int, id_: str | None, source: str, traded: str | None
) -> "Event":
    """A `trade.executed.v1`; its values are not checked here."""
    import uuid

    import msgspec

    from eventing.event import Event
    from trades.codec import TRADE_EXECUTED

    trade = {"ticker": ticker, "price": price, "volume": volume, "timestamp": traded or _now_ms()}
    attributes = {
        "specversion": "1.0",
        "id": id_ or str(uuid.uuid4()),
        "source": source,
        "type": TRADE_EXECUTED,
        "subject": ticker,
        "datacontenttype": "application/json",
    }
    return Event(attributes, msgspec.json.encode(trade))


def look(query_url: str, event: "Event", sent_ms: int) -> dict[str, Any]:
    """The functions' verdicts on the event within SEEN_WITHIN_S, and its ticker. Raises Unreachable."""
    from tradewind.client import ask, path

    deadline_s = time.monotonic() + SEEN_WITHIN_S
    only = {"source": event.source[:MAX_VALUE_LENGTH], "id": event.id[:MAX_VALUE_LENGTH]}
    while True:
        seen = ask(query_url + "/v1/events", query=only).json["events"]
        notes = notes_of(seen, event, sent_ms)
        if all(function in notes for function in _FUNCTIONS) or time.monotonic() > deadline_s:
            break
        time.sleep(_POLL_S)
    ticker = ask(query_url + path("v1", "tickers", event.subject or ""))
    return {
        "verdicts": {function: note["verdict"] for function, note in sorted(notes.items())},
        "why": sorted({note["reason"] for note in notes.values()} - {""}),
        "ticker": ticker.json if ticker.status == 200 else None,
    }


def notes_of(seen: list[dict[str, Any]], event: "Event", sent_ms: int) -> dict[str, dict[str, Any]]:
    """The latest note of each function about this event; `seen` is newest first."""
    from datetime import UTC, datetime

    sent = datetime.fromtimestamp(sent_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    notes: dict[str, dict[str, Any]] = {}
    for note in seen:
        attributes = note["attributes"]
        if (attributes["source"], attributes["id"]) == (event.source, event.id) and note["time"] >= sent:
            notes.setdefault(note["function"], note)
    return notes


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _tell(report: dict[str, Any], ticker: str) -> None:
    print(f"event   {report['id']} (source {report['source']})")
    print(f"broker  {report['status']} {report['reason']}".rstrip())
    for function, verdict in report.get("verdicts", {}).items():
        print(f"{function}: {verdict}")
    for reason in report.get("why", []):
        print(f"why     {reason}")
    row = report.get("ticker")
    if row:
        print(
            f"ticker  {ticker}: {row['trade_count']:,} trades, volume {row['volume']:,}, price {row['price']}"
        )
