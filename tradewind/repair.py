"""`tradewind repair`: set summaries that differ to what the raw trades say, while others go on writing.

Why this counts nothing twice and loses nothing. For one ticker, let F be its summary and R its raw trades,
both read, then a moment at which the broker had nothing on its way to store-trade or update-summary, then
both read again and found the same. Take any event:

- Its trades are in R. They were there before the moment, so it had been accepted, so by that moment
  update-summary had done with it: its claim is done, and no redelivery counts it again. Setting the summary
  to the tally of R counts it exactly once.
- It is in F and not in R. By that moment store-trade had done with it as well; it will not come any more. Its
  raw trades were lost, or it was a CONFLICT there. The raw trades are the truth: it is taken out.
- It is in neither: it came after the moment. If it is counted before we write, the summary is not F any more,
  and `replace_tally`, which compares with F, changes nothing; if after, it adds to what we wrote.

An event that is in R and has no claim at all (the server lost it) would count again if it came again. So it
is claimed first, as counted; then its tickers are set. (If repair breaks off in between, they still differ,
and the next one sets them.) One whose claim is open, since its delivery was lost, is counted to its end
before the tickers are looked at (`finishing`); where its raw trades do not allow that, their tickers are left
alone. If there are none, what was counted of it is taken out: once it came again, another repair is needed.

Where raw trades expire, they do not say what a summary should be: nothing is repaired.

Dead letters are the exception: an event that waits there may be in one and not in the other, and its replay
would still add what it lacks. So tickers of dead letters that wait, or were sent again since we began, are
left alone, except those with status 422: a CONFLICT stays one however often it is sent again. An event
without a claim that has such a ticker is not claimed, and may still come: its others are left alone as well.

It rests on all trades passing through the broker that is asked. Where there is none to ask (a cluster), a
person has to vouch for the moment: `--assume-idle`.
"""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from trades.codec import BadTrade, decode_event
from trades.store import DeadLetter, EventName, TradeStore
from trades.verify import Difference
from tradewind.checking import Checker, Idle
from tradewind.exits import BROKEN, FINE
from tradewind.finishing import finish_events
from tradewind.options import DEFAULT_DATA, Data, Json, StoreUrl, data_option, fail, print_json, store_url

CONFLICT_STATUS = "422"


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
    from tradewind.client import Unreachable
    from tradewind.ledger import open_existing
    from tradewind.verify import progress_bar

    try:
        with (
            closing(open_existing(store_url(store, data))) as opened,
            progress_bar(opened.read_stored_count) as count,
        ):
            report = repair_store(
                opened, _idle(store, data, dry_run, assume_idle), dry_run=dry_run, count=count
            )
    except (StoreError, Unreachable, CannotRepair) as error:
        fail(f"tradewind repair: {error}")
    if json:
        print_json(report)
    else:
        for name, what in report.items():
            print(f"{name}: {what}")
        print(_sum_up(report, dry_run))
    raise typer.Exit(FINE if all(what in MENDED for what in report.values()) else BROKEN)


def _sum_up(report: dict[str, str], dry_run: bool) -> str:
    if not report:
        return "No ticker differs."  # claims may have been made: they are not in the report
    good, said = (WOULD_MEND, "would be mended") if dry_run else (MENDED, "mended")
    return f"{sum(what in good for what in report.values()):,} of {len(report):,} {said}."


class CannotRepair(Exception):
    """Raw trades are gone because they were old."""


SET = "set to the raw trades"
WOULD_SET = "would be set to the raw trades"
MOVED = "kept changing: left alone"
WAITS = "has dead letters waiting: replay those first (`tradewind dlq replay`)"
TOO_LARGE = "the raw trades add up to more than 63 bits, which no summary can hold: left alone"
FINISHED = "was begun and never finished: counted to the end"
WOULD_FINISH = "was begun and never finished: would be counted to the end, if all of it is stored"
BEGUN = "was begun and never finished, and not all of it is stored: send it again, then repair again"
SHARES = "shares an event with a ticker that is left alone: left alone as well"
HAS_BEGUN = "has an event that was begun and never finished: left alone"

MENDED = {SET, FINISHED}
WOULD_MEND = {WOULD_SET, WOULD_FINISH}


def repair_store(
    store: TradeStore,
    idle: Idle,
    *,
    dry_run: bool = False,
    count: Callable[[int], None] = lambda trades: None,
) -> dict[str, str]:
    """What was done about each ticker that differed, and about each event (`SOURCE ID`) that was begun only.

    Raises StoreError, CannotRepair.
    """
    checker = Checker(store, count)
    if checker.expiry.trades:
        raise CannotRepair(
            "raw trades are not kept for ever here (TRADE_RETENTION), so they do not say what the summaries "
            "should be. Send events that were lost again: what was counted is not counted twice"
        )
    started_ms = time.time_ns() // 1_000_000
    suspects = checker.scan().suspects
    events = checker.events.judge(idle)
    report, unfinished = _finish(store, events.begun, dry_run)
    judgement = checker.judge(suspects, idle)
    waiting = curable_tickers(store.scan_dead_letters(started_ms))
    held = dict.fromkeys(unfinished, HAS_BEGUN) | dict.fromkeys(waiting, WAITS)
    to_claim = _hold_together(held, events.unclaimed)
    if not dry_run:
        store.claim_stored(to_claim)
    report |= dict.fromkeys(judgement.moving, MOVED)
    for found in judgement.confirmed:
        report[found.ticker] = held.get(found.ticker) or _set(store, found, dry_run)
    return dict(sorted(report.items()))


def _hold_together(held: dict[str, str], unclaimed: Mapping[EventName, set[str]]) -> list[EventName]:
    """The events to claim: those with no ticker that is held. Each of the others holds all its tickers."""
    free = dict(unclaimed)
    while tied := [event for event, tickers in free.items() if not tickers.isdisjoint(held)]:
        for event in tied:
            for ticker in free.pop(event):
                held.setdefault(ticker, SHARES)
    return list(free)


def _finish(
    store: TradeStore, begun: Mapping[EventName, set[str]], dry_run: bool
) -> tuple[dict[str, str], set[str]]:
    """What was done about events that were begun only, and the tickers of those that still are."""
    may_finish = {event for event, tickers in begun.items() if tickers}
    finished = may_finish if dry_run else finish_events(store, may_finish)
    verdict = WOULD_FINISH if dry_run else FINISHED
    report = {" ".join(event): verdict if event in finished else BEGUN for event in begun}
    return report, set().union(*(tickers for event, tickers in begun.items() if event not in finished))


def _set(store: TradeStore, found: Difference, dry_run: bool) -> str:
    if not found.can_be_set:
        return TOO_LARGE
    if dry_run:
        return WOULD_SET
    return SET if store.replace_tally(found.ticker, found.summary, found.raw) else MOVED


def curable_tickers(letters: Iterable[DeadLetter]) -> set[str]:
    """The tickers of dead letters that would do something if they were sent again."""
    tickers: set[str] = set()
    for letter in letters:
        attributes = letter.attributes
        if letter.status == CONFLICT_STATUS:
            continue
        try:
            event = decode_event(attributes["type"], attributes["source"], attributes["id"], letter.data)
        except (KeyError, BadTrade):
            continue  # nothing can be read from it, now or later
        tickers.update(trade.ticker for trade in event.trades)
    return tickers


def _idle(store: str | None, data: Path, dry_run: bool, assume_idle: bool) -> Idle:
    from tradewind.checking import idle_broker
    from tradewind.folder import DataFolder
    from tradewind.verify import idle_or_quiet

    if assume_idle:
        return lambda: True
    run = DataFolder(data).find_running()
    if run is None or store not in (None, run.store):
        if dry_run:
            print(f"No broker runs on {data}: what is on its way may look wrong.", file=sys.stderr)
            return idle_or_quiet(store, data)
        fail(
            f"tradewind repair asks the broker whether events are on their way, and none runs on {data}. "
            f"Start one with `tradewind up --no-generator{data_option(data)}`; or, where the broker is "
            "elsewhere, stop all senders, wait until its queues are empty, and give --assume-idle."
        )
    return idle_broker(run.broker_url)
