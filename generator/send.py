"""Sends events until each has a verdict, taken or refused. It never gives one up and never renames one.

401 and 403 are no verdict on an event: they say that its sender is not let in, which may pass or be cured.
"""

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from typing import Final, NamedTuple

from eventing.client import Answer
from eventing.codec import encode_binary
from eventing.delivery import Verdict, parse_retry_after
from eventing.event import Event
from eventing.sender import Sender, jitter_ms
from eventing.tracing import TRACEPARENT, Kind, Tracer, traceparent_of

BACKOFF_MS: Final = 50
BACKOFF_MAX_MS: Final = 2_000  # how late a broker's return may be noticed
RETRY_AFTER_MAX_MS: Final = 60_000
NOT_ALLOWED: Final = (401, 403)
REFUSALS_LOGGED: Final = 20  # one by one; from there on each thousandth

logger = logging.getLogger(__name__)


class Outgoing(NamedTuple):
    """An event on its way, and how many trades it carries."""

    event: Event
    trades: int


@dataclass
class Totals:
    """What a run did so far."""

    sent_trades: int = 0
    sent_events: int = 0
    accepted_trades: int = 0
    accepted_events: int = 0
    refused_trades: int = 0
    refused_events: int = 0
    resent: int = 0  # attempts after an event's first
    bad_rows: int = 0  # of a replay, left out

    @property
    def in_flight(self) -> int:
        """Events sent and not answered yet. When the run is over, nobody knows whether they were taken."""
        return self.sent_events - self.accepted_events - self.refused_events

    @property
    def unknown_trades(self) -> int:
        return self.sent_trades - self.accepted_trades - self.refused_trades

    @property
    def is_wrong(self) -> bool:
        """Trades were refused or may not have arrived, or a replay found only rows that cannot be read."""
        nothing_read = self.bad_rows > 0 and not self.sent_trades
        return bool(self.refused_events or self.unknown_trades or nothing_read)


class Courier:
    """Delivers to one address. At most `max_in_flight` deliveries are asked of it at once.

    It is in trouble from the first event that must be sent again until the next one that is taken.
    """

    def __init__(self, sender: Sender, url: str, max_in_flight: int, tracer: Tracer | None = None) -> None:
        self.totals = Totals()
        self._sender = sender
        self._url = url
        self._max_in_flight = max_in_flight
        self._tracer = tracer
        self._rng = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._waiting = 0
        self._trouble_since_s: float | None = None
        self._stalled = False

    async def deliver(self, outgoing: Outgoing) -> bool:
        """Send until there is a verdict: whether it was taken. Cancelled, the event stays unknown."""
        if self._tracer is None:
            return await self._deliver(outgoing)
        with self._tracer.span("send", Kind.PRODUCER, outgoing.event, trades=outgoing.trades) as span:
            event = outgoing.event.with_attributes(**{TRACEPARENT: traceparent_of(span)})
            return await self._deliver(outgoing._replace(event=event))

    async def _deliver(self, outgoing: Outgoing) -> bool:
        headers, body = encode_binary(outgoing.event)
        self.totals.sent_events += 1
        self.totals.sent_trades += outgoing.trades
        attempt = 0
        while True:
            answer = await self._sender.exchange(self._url, headers, body)
            if answer.status is not None and 200 <= answer.status <= 299:
                self._accepted(outgoing)
                return True
            if answer.verdict() is not Verdict.RETRY and answer.status not in NOT_ALLOWED:
                self._refused(outgoing, answer)
                return False
            await self._back_off(answer, attempt)
            attempt += 1
            self.totals.resent += 1

    def _accepted(self, outgoing: Outgoing) -> None:
        self.totals.accepted_events += 1
        self.totals.accepted_trades += outgoing.trades
        if self._trouble_since_s is not None:
            seconds = round(time.monotonic() - self._trouble_since_s, 1)
            logger.info("events are taken again", extra={"after_s": seconds, "resent": self.totals.resent})
            self._trouble_since_s, self._stalled = None, False

    def _refused(self, outgoing: Outgoing, answer: Answer) -> None:
        totals = self.totals
        totals.refused_events += 1
        totals.refused_trades += outgoing.trades
        if totals.refused_events <= REFUSALS_LOGGED or totals.refused_events % 1_000 == 0:
            logger.error(
                "event refused, not sent again",
                extra={
                    "source": outgoing.event.source,
                    "id": outgoing.event.id,
                    "trades": outgoing.trades,
                    "status": answer.status,
                    "reason": answer.body[:500].decode("utf-8", "replace"),
                    "refused": totals.refused_events,
                },
            )

    async def _back_off(self, answer: Answer, attempt: int) -> None:
        """Wait as long as the answer asks, and a random part of a growing time on top."""
        if self._trouble_since_s is None:
            self._trouble_since_s = time.monotonic()
            logger.warning(
                "event not taken, sending it again",
                extra={"url": self._url, "why": answer.error or answer.status},
            )
        self._waiting += 1
        if self._waiting == self._max_in_flight and not self._stalled:
            self._stalled = True
            logger.warning(
                "no event is taken: making no more trades until one is", extra={"waiting": self._waiting}
            )
        asked_ms = parse_retry_after(answer.headers.get("Retry-After"), time.time()) or 0
        wait_ms = min(asked_ms, RETRY_AFTER_MAX_MS) + jitter_ms(
            attempt, BACKOFF_MS, BACKOFF_MAX_MS, self._rng
        )
        try:
            await asyncio.sleep(wait_ms / 1000)
        finally:
            self._waiting -= 1
