"""`tradewind verify`: do the summaries say what the raw trades say?"""

import shlex
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

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
from tradewind.words import plural, printable

if TYPE_CHECKING:
    from tradewind.checks.events import EventFaults, Faults
    from tradewind.checks.tickers import Found

MAX_SHOWN = 50  # of the tickers that differ


def verify(*, store: StoreUrl = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Recompute every summary and price level from the raw trades, and show where they differ; and which
    events have trades but were never counted, were counted but have not all their trades, or were begun only.

    It reads the store directly, in as many passes as keep its memory bounded, and may run while trades come
    in: what looks wrong is looked at again before it is reported. Dead letters are a usual reason: see
    `tradewind dlq list`.

    Exit code: 0 all agrees; 1 something does not, or changed too fast to be judged; 2 no store.
    """
    from trades.store import StoreError
    from tradewind.checks.tallies import NoRoom
    from tradewind.checks.tickers import Checker
    from tradewind.client import Unreachable
    from tradewind.laptop.ledger import open_existing
    from tradewind.progress import progress_bar

    url = store_url(store, data)
    try:
        with (
            closing(open_existing(url)) as opened,
            progress_bar("reading raw trades", opened.read_stored_count) as count,
        ):
            checker = Checker(opened, count)
            scanned = checker.scan()
            idle = idle_or_quiet(store, data)
            differences: dict[str, list[str]] = {}
            moving: list[str] = []
            for judgement in checker.judge(scanned.suspects, idle):
                differences |= {found.ticker: found.describe() for found in judgement.confirmed}
                moving += judgement.moving
            events = checker.events.judge(idle)
            dead_letters = opened.count_dead_letters()
    except (StoreError, Unreachable, NoRoom) as error:
        fail(f"tradewind verify: {error}")
    report = Report(url, scanned, differences, moving, events, checker.expiry.trades, dead_letters)
    if json:
        _print_json(report)
    else:
        _print_text(report, f"{data_option(data)}{f' --store {shlex.quote(store)}' if store else ''}")
    raise typer.Exit(FINE if report.is_fine else BROKEN)


class Report(NamedTuple):
    """What was found in one store."""

    url: str
    found: "Found"
    differences: dict[str, list[str]]  # by ticker, in words
    moving: list[str]
    events: "EventFaults"
    trades_expire: bool
    dead_letters: int

    @property
    def is_wrong(self) -> bool:
        faults = any(getattr(self.events, name).count for name in EVENT_FAULTS)
        return faults or bool(self.differences)

    @property
    def is_fine(self) -> bool:
        return not (self.is_wrong or self.moving or self.events.not_judged)


def _print_json(report: Report) -> None:
    print_json(
        {
            "store": report.url,
            "trades": report.found.trades,
            "tickers": report.found.tickers,
            "differences": report.differences,
            "not_judged": report.moving,
            **{name: getattr(report.events, name) for name in EVENT_FAULTS},
            "events_not_judged": report.events.not_judged,
            "trades_not_kept": report.found.not_kept,
            "dead_letters": report.dead_letters,
        }
    )


def _print_text(report: Report, where: str) -> None:
    """`where`: the options by which `repair` finds the same store."""
    found, differences, moving = report.found, report.differences, report.moving
    show_differences(differences)
    trades, tickers = plural(found.trades, "trade"), plural(found.tickers, "ticker")
    differ = "differs" if len(differences) == 1 else "differ"
    print(f"{trades} of {tickers} in {report.url}: {len(differences):,} {differ}.")
    if moving:
        print(f"{len(moving):,} more kept changing: not judged. Try again when less is going on.")
    show_events(report.events)
    if report.trades_expire:
        print(
            f"{plural(found.not_kept, 'more trade')} counted, and let go since by TRADE_RETENTION "
            "(or lost: that cannot be told apart)."
        )
    if report.dead_letters:
        wait = "waits" if report.dead_letters == 1 else "wait"
        why = "" if report.is_fine else ", which may be why"
        print(f"{plural(report.dead_letters, 'dead letter')} {wait}{why}: `tradewind dlq list`.")
    if report.is_wrong:
        print(_cure(report, where))


def _cure(report: Report, where: str) -> str:
    lost = (
        'What the store lost can be delivered again: docs/operations.md, "After a store has lost something".'
    )
    if report.trades_expire:  # repair refuses
        return lost
    return f"{lost} Then `tradewind repair{where}` sets the summaries to what the raw trades say."


# What to call them, after "1 event" or "2 events", in the order of the report.
EVENT_FAULTS = {
    "trades_without_claims": "with raw trades and no claim: not counted, or the claim was lost",
    "claims_without_trades": "counted, without any of the raw trades",
    "incomplete_events": "counted, without some of the raw trades",
    "open_claims": "begun and never finished: the claim is open",
}


def show_events(events: "EventFaults") -> None:
    for name, what in EVENT_FAULTS.items():
        faults: Faults = getattr(events, name)
        if faults.count:
            tickers = ", ".join(f"{ticker} {count:,}" for ticker, count in faults.tickers.items())
            print(f"{plural(faults.count, 'event')} {what}{f' ({tickers})' if tickers else ''}:")
            for event in faults.events:
                print(f"  {printable(event)}")
            if faults.count > len(faults.events):
                print(f"  and {faults.count - len(faults.events):,} more")
    if events.not_judged:
        judged = plural(events.not_judged, "event")
        print(f"{judged} not judged: too much was going on, or too many look wrong.")


def show_differences(differences: dict[str, list[str]]) -> None:
    for ticker, lines in islice(differences.items(), MAX_SHOWN):
        print(printable(f"{ticker}: {'; '.join(lines)}"))
    if len(differences) > MAX_SHOWN:
        print(f"and {len(differences) - MAX_SHOWN:,} more (--json lists all)")


def idle_or_quiet(store: str | None, data: Path) -> Callable[[], bool]:
    """How to find a moment at which nothing is on its way: by the broker of the pipeline that runs here.

    Without one (another store, a cluster), a pause stands for it.
    """
    import time

    from tradewind.checks.tickers import idle_broker
    from tradewind.laptop.folder import DataFolder

    run = DataFolder(data).find_running()
    if run is not None and is_store_of(run, store):
        return idle_broker(run.broker_url)

    def quiet() -> bool:
        time.sleep(1.0)
        return True

    return quiet
