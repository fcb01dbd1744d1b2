"""Counts every trade, once: the summary of a ticker, and of a ticker at a price."""

from eventing.tracing import Tracer
from functions.trade_events import TradeHandler
from runtime.settings import FunctionSettings
from trades.store import TradeStore


def make_update_summary(
    store: TradeStore, settings: FunctionSettings, tracer: Tracer | None = None
) -> TradeHandler:
    """Done means: the trades are in the summaries, durably."""
    return TradeHandler("update_summary", store.count_trades, settings, tracer)
