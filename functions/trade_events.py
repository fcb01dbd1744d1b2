"""What `store_trade` and `update_summary` share: trades out of the event, and into a commit group."""

import time
from collections.abc import Callable, Sequence
from functools import cache

import structlog
from prometheus_client import Counter

from eventing.attributes import is_json
from eventing.event import Event
from functions import metrics
from functions.answer import OUTCOMES, Answer, refusal
from functions.group import group_of
from runtime.settings import FunctionSettings
from trades.codec import BadTrade, decode_event
from trades.store import Outcome
from trades.trade import TradeEvent

_LOG_EVERY_TRADES = 100_000

log = structlog.get_logger(__name__)

Apply = Callable[[Sequence[TradeEvent]], list[Outcome]]


class TradeHandler:
    """Decodes an event's trades and commits them with `apply`, a write of the store."""

    def __init__(self, function: str, apply: Apply, settings: FunctionSettings) -> None:
        self._function = function
        self._done_trades = 0
        self._start_s = time.monotonic()
        self._group = group_of(function, apply, settings, weigh=lambda event: len(event.trades))

    async def __call__(self, event: Event) -> Answer:
        content_type = event.attributes.get("datacontenttype")
        if content_type is not None and not is_json(content_type):
            return refusal(f"data is {content_type[:80]}: send it as application/json", 415)
        try:
            trades = decode_event(event.type, event.source, event.id, event.data or b"")
        except BadTrade as error:
            return refusal(str(error))
        outcome = await self._group.submit(trades)
        self._count(outcome, len(trades.trades))
        return OUTCOMES[outcome]

    def close(self) -> None:
        self._group.close()

    def _count(self, outcome: Outcome, trades: int) -> None:
        _trades_counter(self._function, outcome).inc(trades)
        if outcome is not Outcome.STORED and outcome is not Outcome.COUNTED:
            return
        before, self._done_trades = self._done_trades, self._done_trades + trades
        if before == 0 or before // _LOG_EVERY_TRADES != self._done_trades // _LOG_EVERY_TRADES:
            log.info(
                "trades done", trades=self._done_trades, seconds=round(time.monotonic() - self._start_s, 3)
            )


@cache
def _trades_counter(function: str, outcome: Outcome) -> Counter:
    return metrics.TRADES.labels(function, outcome)
