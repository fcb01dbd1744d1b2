"""`tradewind up`: the whole pipeline on this machine."""

from typing import Annotated

import typer

from tradewind.options import DEFAULT_DATA, Data, duration


def up(
    *,
    for_: Annotated[
        str | None, typer.Option("--for", help="End by itself after this time: 20s, 5m, 1h.", metavar="TIME")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin with an empty data folder.")] = False,
    data: Data = DEFAULT_DATA,
    store: Annotated[
        str | None,
        typer.Option(
            envvar="STORE",
            metavar="URL",
            help="aerospike://HOST:PORT, or sqlite:FOLDER. Default: SQLite in --data.",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0, metavar="N", help="Trades a second; 0: as fast as they are taken. Default: 300."),
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Market model: nasdaq (default) or abc.")] = None,
    trades_per_event: Annotated[
        int | None, typer.Option(min=1, max=1000, metavar="N", help="Most trades in one event. Default: 500.")
    ] = None,
    symbols: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="How many symbols trade. Default: all.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="The same seed gives the same trades.")
    ] = None,
    generator: Annotated[
        bool, typer.Option("--generator/--no-generator", help="Send trades, or wait for yours.")
    ] = True,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, metavar="N", help="Port of page and queries. Default: 8080, or a free one."
        ),
    ] = None,
    broker_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, metavar="N", help="Port of the broker. Default: 8081, or a free one."),
    ] = None,
    monitoring: Annotated[
        bool, typer.Option("--monitoring", help="Run Prometheus too, if it is on PATH: docs/monitoring.md.")
    ] = False,
) -> None:
    """Run the whole pipeline on this machine: broker, functions, page and a generator of trades.

    It prints where the page is and where events go, then how it goes. Ctrl-C stops it without losing
    anything: first the generator, then, when all that was accepted is stored and counted, the rest. What you
    send meanwhile (`tradewind send`, curl) goes the same way as the generator's trades.

    Exit code: 0; 1 if a process died too often or the totals do not add up; 2 if it could not begin.
    """
    from tradewind.laptop.folder import DataFolder
    from tradewind.laptop.screen import make_console
    from tradewind.laptop.supervise import Wishes, supervise

    settings = {
        "TRADES_PER_SECOND": rate,
        "PROFILE": profile,
        "TRADES_PER_EVENT": trades_per_event,
        "SYMBOLS": symbols,
        "SEED": seed,
    }
    given = {name: str(value) for name, value in settings.items() if value is not None}
    wishes = Wishes(
        DataFolder(data),
        store,
        fresh,
        duration(for_),
        port,
        broker_port,
        given if generator else None,
        monitoring,
    )
    raise typer.Exit(supervise(wishes, make_console()))
