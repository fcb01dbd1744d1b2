"""What `store_trade` and `update_summary` share: trades out of the event, and into a commit group."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache

from prometheus_client import Counter

from eventing.attributes import is_json
from eventing.event import Event
from eventing.identity import identity
from eventing.tracing import Tracer
from functions import metrics
from functions.answer import OUTCOMES, Answer, refusal
from functions.group import group_of
from runtime.settings import FunctionSettings
from trades.codec import BadTrade, decode_event
from trades.store import Outcome
from trades.trade import TradeEvent

_LOG_EVERY_TRADES = 100_000
_NEWLY_DONE = (Outcome.STORED, Outcome.COUNTED)
_OLD_S = 3_600.0  # an event of an earlier time is a replay: its age says nothing of this pipeline

logger = logging.getLogger(__name__)

Apply = Callable[[Sequence[TradeEvent]], list[Outcome]]


class TradeHandler:
    """Decodes an event's trades and commits them with `apply`, a write of the store."""

    def __init__(
        self, function: str, apply: Apply, settings: FunctionSettings, tracer: Tracer | None = None
    ) -> None:
        self._function = function
        self._done_trades = 0
        self._start_s = time.monotonic()
        self._decode_seconds = metrics.STAGE_SECONDS.labels(function, "decode")
        self._latency = metrics.LATENCY_SECONDS.labels(function)
        self._group = group_of(
            function, apply, settings, weigh=lambda event: len(event.trades), tracer=tracer
        )

    async def __call__(self, event: Event) -> Answer:
        content_type = event.attributes.get("datacontenttype")
        if content_type is not None and not is_json(content_type):
            return refusal(f"data is {content_type[:80]}: send it as application/json", 415)
        start_s = time.perf_counter()
        try:
            trades = decode_event(event.type, event.source, event.id, event.data or b"")
        except BadTrade as error:
            return refusal(str(error))
        self._decode_seconds.observe(time.perf_counter() - start_s)
        outcome = await self._group.submit(trades)
        self._count(event, outcome, len(trades.trades))
        if outcome in _NEWLY_DONE:
            self._tell_latency(event.attributes.get("time"))
        return OUTCOMES[outcome]

    def close(self) -> None:
        self._group.close()

    def _tell_latency(self, event_time: str | None) -> None:
        """`time` is checked RFC 3339, or missing. Clocks differ: what lies ahead took no time."""
        if event_time is not None:
            age_s = time.time() - datetime.fromisoformat(event_time).timestamp()
            if age_s < _OLD_S:
                self._latency.observe(max(age_s, 0.0))

    def _count(self, event: Event, outcome: Outcome, trades: int) -> None:
        _trades_counter(self._function, outcome).inc(trades)
        if outcome not in _NEWLY_DONE:
            return
        before, self._done_trades = self._done_trades, self._done_trades + trades
        if before == 0 or before // _LOG_EVERY_TRADES != self._done_trades // _LOG_EVERY_TRADES:
            elapsed_s = round(time.monotonic() - self._start_s, 3)
            logger.info(
                "trades done",
                extra={"trades": self._done_trades, "seconds": elapsed_s, **identity(event.attributes)},
            )


@cache
def _trades_counter(function: str, outcome: Outcome) -> Counter:
    return metrics.TRADES.labels(function, outcome)
