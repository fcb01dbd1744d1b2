"""Set summaries that differ to what the raw trades say, while others go on writing: the rules.

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
Only so many events are looked at in one pass. If there are more, they are claimed pass by pass, and no ticker
is set before the last of them.

Where claims expire (EVENT_RETENTION), an event without one is no fault, and none is made: if the server lost
it, and the event is sent again after all, it counts again. Where raw trades expire, they do not say what a
summary should be: nothing is repaired.

Dead letters are the exception: an event that waits there may be in one and not in the other, and its replay
would still add what it lacks. So tickers of dead letters that wait, or were sent again since we began, are
left alone, except those with status 422: a CONFLICT stays one however often it is sent again. An event
without a claim that has such a ticker is not claimed, and may still come: its others are left alone as well.

It rests on all trades passing through the broker that is asked. Where there is none to ask (a cluster), a
person has to vouch for the moment: `--assume-idle`.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from trades.codec import BadTrade, decode_event
from trades.store import DeadLetter, EventName, TradeStore
from trades.verify import Difference
from tradewind.checks.finishing import finish_events
from tradewind.checks.tickers import Checker, Idle

CONFLICT_STATUS = "422"


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
TOO_MANY = "may have an event that was never counted, as too many could not be claimed: left alone"

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

    Raises StoreError, NoRoom, CannotRepair.
    """
    checker = Checker(store, count)
    if checker.expiry.trades:
        raise CannotRepair(
            "raw trades are not kept for ever here (TRADE_RETENTION), so they do not say what the summaries "
            "should be. Send events that were lost again: what was counted is not counted twice"
        )
    started_ms = time.time_ns() // 1_000_000
    report: dict[str, str] = {}
    while True:
        checker.watch_events()
        events = checker.events.judge(idle)
        verdicts, unfinished = _finish(store, events.begun, dry_run)
        report |= verdicts
        held = dict.fromkeys(unfinished, HAS_BEGUN) | _waiting(store, started_ms)
        to_claim = _hold_together(held, events.unclaimed)
        if not dry_run:
            store.claim_stored(to_claim)
        is_progress = to_claim or FINISHED in verdicts.values()
        if dry_run or not (events.maybe_uncounted and is_progress):
            break
        checker = Checker(store, count)
    for judgement in checker.judge(checker.scan().suspects, idle):
        held |= _waiting(store, started_ms)
        report |= dict.fromkeys(judgement.moving, MOVED)
        for found in judgement.confirmed:
            not_now = held.get(found.ticker) or (TOO_MANY if events.maybe_uncounted else None)
            report[found.ticker] = not_now or _set(store, found, dry_run)
    return dict(sorted(report.items()))


def _waiting(store: TradeStore, started_ms: int) -> dict[str, str]:
    """Why the tickers of dead letters are left alone."""
    return dict.fromkeys(curable_tickers(store.scan_dead_letters(started_ms)), WAITS)


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
