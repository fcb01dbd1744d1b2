"""A run: takes events from a feed, one after the other, and has many of them on their way at once."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Final, Protocol

import uvloop

from eventing.credentials import Credentials
from eventing.sender import Sender
from eventing.tracing import make_tracer
from generator.control import Control
from generator.feed import MarketFeed
from generator.progress import Report, Show
from generator.send import Courier, Outgoing, Totals
from runtime.settings import GeneratorSettings, SinkSettings

REPORT_EVERY_S: Final = 1.0

logger = logging.getLogger(__name__)


class BrokenOff(Exception):
    """The run ended before its time, or what it should leave behind is not there; the message says why."""


class Feed(Protocol):
    """Where events come from."""

    asked_per_s: float
    """Trades a second that it means to give; 0: as many as are taken."""
    end: str
    """What its end is called in the log."""

    async def next(self) -> Outgoing | None:
        """The next event, when it is due; None: there is none, or the run is to stop."""

    def settled(self, outgoing: Outgoing, *, is_taken: bool) -> None:
        """This event was taken, or else refused."""

    def report(self) -> Report:
        """What only this feed can say of its progress."""


def run(settings: GeneratorSettings, show: Show) -> Totals:
    """Send a market's trades until MAX_TRADES or a signal. Raises BadSymbols before anything is sent."""
    control = Control()
    return uvloop.run(transfer(MarketFeed(settings, control), settings, control, show))


async def transfer(feed: Feed, settings: GeneratorSettings, control: Control, show: Show) -> Totals:
    """Send all events of the feed to K_SINK, at most MAX_IN_FLIGHT at once.

    A feed is asked only when a sender is free, so while the broker is away no event is made that would have
    to be kept. After a stop it waits DRAIN_TIMEOUT_MS for answers; what is then unanswered counts as unknown.
    Raises BadCredentials before anything is sent, BrokenOff when a file could not be read or written.
    """
    async with Sender(
        timeout_ms=settings.send_timeout_ms,
        credentials=_credentials(SinkSettings.read()),
    ) as sender:
        tracer = make_tracer("generator")
        courier = Courier(sender, settings.k_sink, settings.max_in_flight, tracer)
        reporter = _Reporter(feed, courier.totals, control, show)
        with control.signals():
            failed = await _carry(feed, settings, control, courier, reporter)
    reporter.final(failed)
    if tracer:
        await asyncio.to_thread(tracer.close)
    if failed is not None:
        raise BrokenOff(f"broken off: {failed}")
    return courier.totals


async def _carry(
    feed: Feed, settings: GeneratorSettings, control: Control, courier: Courier, reporter: "_Reporter"
) -> Exception | None:
    """Until the feed's end or a stop; what ended it, if that was trouble with a file."""
    turn = asyncio.Lock()
    failed = None
    try:
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(reporter.every_second())]
            if settings.pause_file:
                helpers.append(group.create_task(control.watch_file(Path(settings.pause_file))))
            workers = [group.create_task(_work(feed, courier, turn)) for _ in range(settings.max_in_flight)]
            helpers.append(group.create_task(_give_up(workers, control, settings.drain_timeout_ms)))
            await asyncio.wait(workers)
            for helper in helpers:
                helper.cancel()
    except* OSError as errors:
        failed = errors.exceptions[0]
    return failed


def _credentials(settings: SinkSettings) -> Credentials:
    return Credentials(settings.k_ca_certs, Path(settings.oidc_token_file))


async def _work(feed: Feed, courier: Courier, turn: asyncio.Lock) -> None:
    while True:
        async with turn:
            outgoing = await feed.next()
        if outgoing is None:
            return
        feed.settled(outgoing, is_taken=await courier.deliver(outgoing))


async def _give_up(workers: list[asyncio.Task[None]], control: Control, drain_timeout_ms: int) -> None:
    """Once the run is to stop, end what is still unanswered after the time that answers have."""
    await control.stopping.wait()
    try:
        async with asyncio.timeout(drain_timeout_ms / 1000):
            await control.hurry.wait()
    except TimeoutError:
        pass
    for worker in workers:
        worker.cancel()


class _Reporter:
    """Puts the numbers of a run together: rates are of trades taken."""

    def __init__(self, feed: Feed, totals: Totals, control: Control, show: Show) -> None:
        self._feed, self._totals, self._control, self._show = feed, totals, control, show
        self._started_s = control.now_s()

    async def every_second(self) -> None:
        taken, at_s = 0, time.monotonic()
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            now_s = time.monotonic()
            self._tell(self._report((self._totals.accepted_trades - taken) / (now_s - at_s)))
            taken, at_s = self._totals.accepted_trades, now_s

    def final(self, failed: Exception | None) -> None:
        """The rate of the last report is that of the whole run, without its pauses."""
        totals, seconds = self._totals, self._control.now_s() - self._started_s
        report = self._report(totals.accepted_trades / seconds)
        self._tell({**report, "unknown_trades": totals.unknown_trades, "final": True})
        end = self._feed.end if not totals.unknown_trades else "stopped without all answers"
        logger.info(
            end if failed is None else "broken off",
            extra={
                "sent_trades": totals.sent_trades,
                "accepted_trades": totals.accepted_trades,
                "refused_trades": totals.refused_trades,
                "unknown_trades": totals.unknown_trades,
                "resent": totals.resent,
                "seconds": round(seconds, 1),
                **self._feed.report(),
            },
        )

    def _tell(self, report: Report) -> None:
        try:
            self._show(report)
        except BrokenPipeError:  # whoever reads it has gone, as `head -1` does, and wants no more
            self._control.stop()

    def _report(self, achieved_per_s: float) -> Report:
        totals = self._totals
        return {
            "sent_trades": totals.sent_trades,
            "accepted_trades": totals.accepted_trades,
            "accepted_events": totals.accepted_events,
            "resent": totals.resent,
            "refused": totals.refused_events,
            "refused_trades": totals.refused_trades,
            "in_flight": totals.in_flight,
            "asked_per_s": round(self._feed.asked_per_s, 1),
            "achieved_per_s": round(achieved_per_s, 1),
            "paused": self._control.paused,
            **self._feed.report(),
        }
