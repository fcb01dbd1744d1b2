"""`tradewind send`: one trade, as a person sends it, and what became of it."""

import shlex
import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated

import typer

from tradewind.exits import BROKEN, UNUSABLE
from tradewind.options import DEFAULT_DATA, Data, Json, data_option, fail, print_json, running
from tradewind.outcome import Report, advise, is_accepted, is_done, look, rfc3339
from tradewind.words import plural, printable

if TYPE_CHECKING:
    import ssl

    from eventing.event import Event

SOURCE = "/tradewind/send"
PATIENCE_S = 15.0  # before it is said what is waited for; the broker of this machine has 10 s
WAITING = (
    "No answer yet. A Broker that keeps events in memory answers when all functions have this one, or after "
    "its retries, which take minutes, and which end when nobody waits for them."
)


def send(
    ticker: Annotated[str, typer.Argument(help="Symbol, such as AAPL.")],
    price: Annotated[str, typer.Argument(help="Dollars, at most 4 decimal places, such as 32.10.")],
    volume: Annotated[int, typer.Argument(help="Shares, a whole number.")],
    *,
    id_: Annotated[
        str | None,
        typer.Option("--id", metavar="TEXT", help="The event's id. Default: a new one."),
    ] = None,
    source: Annotated[str, typer.Option(help="The event's source.")] = SOURCE,
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

    It prints the event's id, the broker's answer, and what the functions and the store then say. Where nobody
    says what became of it, it shows the command that sends the very same event again.

    Try it: the same --id and --time with the same values again is a DUPLICATE and changes nothing; with other
    values it is a CONFLICT and goes to the dead letters, as does a trade that is wrong (a price of 0).

    A sink that asks who you are gets the token in OIDC_TOKEN_FILE; K_CA_CERTS are certificates to trust. It
    has ten minutes to answer: a Broker of Knative that keeps events in memory first makes all its retries.

    Exit code: 0; 1 if it was refused, or was not seen done within a second; 2 if no broker answers.
    """
    run = None if sink else running(data)
    sent_ms = time.time_ns() // 1_000_000
    traded = time_ or rfc3339(sent_ms)
    event = make_event(ticker, price, volume, id_, source, traded)
    where = ["--sink", sink] if sink else shlex.split(data_option(data))
    again = command(event, traded, ["--structured"] * structured + where, [ticker, price, str(volume)])
    report: Report = {"id": event.id, "source": event.source, "again": again}
    shown, tls = credentials() if sink else ({}, None)
    if not json:  # told before anything can happen to it
        print(f"event   {printable(event.id)} (source {printable(event.source)})", flush=True)
    if run:
        report |= deliver(run.ingress_url, event, structured=structured)
        report |= look(run.query_url, event, sent_ms) if is_accepted(report) else {}
    else:
        report |= deliver(str(sink), event, shown, tls, structured=structured, is_patient=True)
    print_json(report) if json else _tell(report, ticker)
    for line in advise(report, data):
        print(printable(line), file=sys.stderr)
    if not is_done(report):
        raise typer.Exit(UNUSABLE if report["status"] is None else BROKEN)


def command(event: "Event", traded: str, options: list[str], trade: list[str]) -> str:
    """What to type to send the very same event again."""
    source = ["--source", event.source] if event.source != SOURCE else []
    end = ["--"] if any(word.startswith("-") for word in trade) else []
    return shlex.join(
        ["tradewind", "send", "--id", event.id, "--time", traded, *source, *options, *end, *trade]
    )


def credentials() -> "tuple[dict[str, str], ssl.SSLContext | None]":
    """The headers that show who we are, and whom to trust, from the settings."""
    from pathlib import Path

    from eventing.credentials import BadCredentials, Credentials
    from runtime.settings import SinkSettings

    settings = SinkSettings.read()
    try:
        made = Credentials(settings.k_ca_certs, Path(settings.oidc_token_file))
    except BadCredentials as error:
        fail(str(error))
    return made.headers(), made.tls


def make_event(ticker: str, price: str, volume: int, id_: str | None, source: str, traded: str) -> "Event":
    """A `trade.executed.v1`; its values are not checked here."""
    import uuid

    import msgspec

    from eventing.event import Event
    from trades.codec import TRADE_EXECUTED

    trade = {"ticker": ticker, "price": price, "volume": volume, "timestamp": traded}
    attributes = {
        "specversion": "1.0",
        "id": id_ or str(uuid.uuid4()),
        "source": source,
        "type": TRADE_EXECUTED,
        "subject": ticker,
        "datacontenttype": "application/json",
    }
    return Event(attributes, msgspec.json.encode(trade))


def deliver(
    url: str,
    event: "Event",
    shown: dict[str, str] | None = None,
    tls: "ssl.SSLContext | None" = None,
    *,
    structured: bool,
    is_patient: bool = False,
) -> Report:
    """The broker's `status` and `reason`; without an answer no status, and why."""
    from eventing.codec import encode_binary, encode_structured
    from tradewind.client import BROKER_TIMEOUT_S, TIMEOUT_S, Unreachable, ask

    headers, body = encode_structured(event) if structured else encode_binary(event)
    waiting = threading.Timer(PATIENCE_S, print, (WAITING,), {"file": sys.stderr})
    waiting.daemon = True
    waiting.start()
    try:
        answer = ask(
            url,
            method="POST",
            headers=headers | (shown or {}),
            body=body,
            tls=tls,
            timeout_s=BROKER_TIMEOUT_S if is_patient else TIMEOUT_S,
        )
    except Unreachable as error:
        return {"status": None, "reason": str(error)}
    except KeyboardInterrupt:
        return {"status": None, "reason": "You stopped waiting before the broker answered"}
    finally:
        waiting.cancel()
    return {"status": answer.status, "reason": answer.reason}


def _tell(report: Report, ticker: str) -> None:
    reason = printable(report["reason"])
    if report["status"] is None:
        print(reason, file=sys.stderr)
        return
    print(f"broker  {report['status']} {reason}".rstrip())
    for function, verdict in report.get("verdicts", {}).items():
        print(printable(f"{function}: {verdict}"))
    for why in report.get("why", []):
        print(f"why     {printable(why)}")
    row = report.get("ticker")
    if row:
        trades = plural(row["trade_count"], "trade")
        print(f"ticker  {printable(ticker)}: {trades}, volume {row['volume']:,}, price {row['price']}")
