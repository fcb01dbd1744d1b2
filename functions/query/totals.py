"""Totals over all tickers."""

from typing import Annotated

import msgspec
from msgspec import Meta

from functions.query.operation import Operation
from functions.query.services import Services
from functions.query.table import TickerTable
from functions.query.times import format_ms
from functions.query.views import Count, Dollars, Time
from trades.ticks import format_ticks


class Totals(msgspec.Struct):
    """Sums over everything that was counted, and how it goes."""

    tickers: Annotated[Count, Meta(description="tickers that have traded")]
    trades_counted: Annotated[Count, Meta(description="trades in the summaries")]
    trades_stored: Annotated[Count, Meta(description="raw trades")]
    volume: Annotated[Count, Meta(description="shares")]
    value: Annotated[Dollars, Meta(description="sum of price times volume")]
    latest_trade_time: Annotated[Time | None, Meta(description="null before the first trade")]
    trades_per_second: Annotated[
        float | None,
        Meta(
            description="trades counted, over at most the last 10 s; "
            "null unless somebody asked in the seconds before"
        ),
    ]
    dead_letters_waiting: Annotated[Count, Meta(description="events that could not be handled")]
    server_time: Time


def read_totals(services: Services) -> Totals:
    stored = services.recent.get("stored", services.store.read_stored_count)
    waiting = services.recent.get("waiting", services.store.count_dead_letters)
    totals = services.table.read(("totals", stored, waiting), lambda table: _sum(table, stored, waiting))
    return msgspec.structs.replace(totals, server_time=format_ms(services.clock_ms()))


def _sum(table: TickerTable, stored: int, waiting: int) -> Totals:
    return Totals(
        tickers=len(table),
        trades_counted=table.trade_count,
        trades_stored=stored,
        volume=table.volume,
        value=format_ticks(table.notional_ticks),
        latest_trade_time=None if table.latest_ms is None else format_ms(table.latest_ms),
        trades_per_second=table.rate.per_second(),
        dead_letters_waiting=waiting,
        server_time="",
    )


OPERATIONS = (Operation("getTotals", "/v1/totals", "Totals over all tickers", read_totals, Totals),)
