"""A ticker's raw trades, newest first."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from functions.query.bodies import Body, encode
from functions.query.operation import Operation
from functions.query.parameters import check_ticker, never_traded
from functions.query.problems import Problem
from functions.query.services import Services
from functions.query.views import Ticker, TradeRow, view_trade


class TradesQuery(msgspec.Struct, frozen=True):
    """Which trades."""

    limit: Annotated[int, Meta(ge=1, le=1_000, description="trades")] = 50
    cursor: (
        Annotated[str, Meta(min_length=1, max_length=512, description="`next_cursor` of the page before")]
        | UnsetType
    ) = UNSET


class TradeList(msgspec.Struct):
    """Trades, newest first."""

    ticker: Ticker
    trades: list[TradeRow]
    next_cursor: Annotated[str | None, Meta(description="null at the end")]


def list_trades(services: Services, ticker: str, query: TradesQuery) -> Body:
    """The first page, which open panels ask for again and again, is kept for a while if it took long."""

    def read() -> Body:
        return encode(_read_page(services, ticker, query))

    return services.recent.get((ticker, query), read, kept_ms=0) if query.cursor is UNSET else read()


def _read_page(services: Services, ticker: str, query: TradesQuery) -> TradeList:
    cursor = None if query.cursor is UNSET else query.cursor
    try:
        page = services.store.read_trades(check_ticker(ticker), query.limit, cursor)
    except ValueError:
        raise Problem(400, "parameter cursor: use the next_cursor of an earlier answer, unchanged") from None
    if not page.trades and cursor is None and services.store.read_summary(ticker) is None:
        raise never_traded(ticker)
    return TradeList(ticker, [view_trade(stored) for stored in page.trades], page.next_cursor)


OPERATIONS = (
    Operation(
        "listTrades",
        "/v1/tickers/{ticker}/trades",
        "The raw trades of a ticker, newest first",
        list_trades,
        TradeList,
        TradesQuery,
        tag="tickers",
    ),
)
