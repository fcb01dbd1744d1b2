"""Keeps every trade: the raw records that summaries can be recomputed from."""

from eventing.tracing import Tracer
from functions.trade_events import TradeHandler
from runtime.settings import FunctionSettings
from trades.store import TradeStore


def make_store_trade(
    store: TradeStore, settings: FunctionSettings, tracer: Tracer | None = None
) -> TradeHandler:
    """Done means: the trades are durable."""
    return TradeHandler("store_trade", store.store_trades, settings, tracer)
