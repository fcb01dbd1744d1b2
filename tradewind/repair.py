"""`tradewind repair`: set summaries that differ to what the raw trades say, while others go on writing."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from tradewind.checks.repairs import MENDED, WOULD_MEND, CannotRepair, repair_store
from tradewind.checks.tickers import Idle
from tradewind.exits import BROKEN, FINE
from tradewind.options import (
    DEFAULT_DATA,
    Data,
    Json,
    StoreUrl,
    data_option,
    fail,
    is_store_of,
    print_json,
    store_url,
)
from tradewind.words import printable


def repair(
    *,
    store: StoreUrl = None,
    data: Data = DEFAULT_DATA,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done; needs no broker.")
    ] = False,
    assume_idle: Annotated[
        bool,
        typer.Option(
            "--assume-idle",
            help="There is no broker here to ask, and no event is on its way in any: I vouch for it.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Set the summaries that differ from the raw trades (`tradewind verify`) to what these say, ticker by
    ticker.

    For what idempotence cannot cure: a store that lost acknowledged writes, or two events with one id. Trades
    may go on coming in; a ticker that moves, or that has dead letters waiting, is left alone.

    Exit code: 0 all agrees now; 1 some were left alone; 2 could not begin.
    """
    from trades.store import StoreError
    from tradewind.checks.tallies import NoRoom
    from tradewind.client import Unreachable
    from tradewind.laptop.ledger import open_existing
    from tradewind.progress import progress_bar

    try:
        with (
            closing(open_existing(store_url(store, data))) as opened,
            progress_bar("reading raw trades", opened.read_stored_count) as count,
        ):
            report = repair_store(
                opened, _idle(store, data, dry_run, assume_idle), dry_run=dry_run, count=count
            )
    except (StoreError, Unreachable, NoRoom, CannotRepair) as error:
        fail(f"tradewind repair: {error}")
    if json:
        print_json(report)
    else:
        for name, what in report.items():
            print(printable(f"{name}: {what}"))
        print(_sum_up(report, dry_run))
    raise typer.Exit(FINE if all(what in MENDED for what in report.values()) else BROKEN)


def _sum_up(report: dict[str, str], dry_run: bool) -> str:
    if not report:
        return "No ticker differs."  # claims may have been made: they are not in the report
    good, said = (WOULD_MEND, "would be mended") if dry_run else (MENDED, "mended")
    return f"{sum(what in good for what in report.values()):,} of {len(report):,} {said}."


def _idle(store: str | None, data: Path, dry_run: bool, assume_idle: bool) -> Idle:
    from tradewind.checks.tickers import idle_broker
    from tradewind.laptop.folder import DataFolder
    from tradewind.verify import idle_or_quiet

    if assume_idle:
        return lambda: True
    run = DataFolder(data).find_running()
    if run is None or not is_store_of(run, store):
        if dry_run:
            print(f"No broker runs on {data}: what is on its way may look wrong.", file=sys.stderr)
            return idle_or_quiet(store, data)
        fail(
            f"tradewind repair asks the broker whether events are on their way, and none runs on {data}. "
            f"Start one with `tradewind up --no-generator{data_option(data)}`; or, where the broker is "
            "elsewhere, stop all senders, wait until its queues are empty, and give --assume-idle."
        )
    return idle_broker(run.broker_url)
