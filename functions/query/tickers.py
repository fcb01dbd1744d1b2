"""One ticker: all of it, and the reads of the original demo that concern a ticker as a whole.

They ask the store itself, so that a trade that has just been counted is seen.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from functions.query.operation import Operation
from functions.query.parameters import check_ticker, never_traded
from functions.query.services import Services
from functions.query.times import format_ms
from functions.query.views import Count, Dollars, Ticker, TickerRow, Time, view_row
from trades.summary import Summary
from trades.ticks import format_ticks


def read_ticker(services: Services, ticker: str) -> TickerRow:
    return view_row(ticker, services.listings.get(ticker), _summary(services, ticker))


class TickerVolume(msgspec.Struct):
    """The volume of all trades of a ticker."""

    ticker: Ticker
    volume: Annotated[Count, Meta(description="shares")]


class TickerHighestPrice(msgspec.Struct):
    """The highest price a ticker was traded at."""

    ticker: Ticker
    highest_price: Dollars


class TickerLatestTime(msgspec.Struct):
    """The time of the most recent trade of a ticker."""

    ticker: Ticker
    latest_time: Time


def read_volume(services: Services, ticker: str) -> TickerVolume:
    return TickerVolume(ticker, _summary(services, ticker).volume)


def read_highest_price(services: Services, ticker: str) -> TickerHighestPrice:
    return TickerHighestPrice(ticker, format_ticks(_summary(services, ticker).highest_ticks))


def read_latest_time(services: Services, ticker: str) -> TickerLatestTime:
    return TickerLatestTime(ticker, format_ms(_summary(services, ticker).latest.time_ms))


def _summary(services: Services, ticker: str) -> Summary:
    """Raises Problem 404 for a ticker that never traded."""
    summary = services.store.read_summary(check_ticker(ticker))
    if summary is None:
        raise never_traded(ticker)
    return summary


OPERATIONS = (
    Operation(
        "getTicker",
        "/v1/tickers/{ticker}",
        "All aggregates of a ticker",
        read_ticker,
        TickerRow,
        tag="tickers",
    ),
    Operation(
        "getAggregateVolumeForTicker",
        "/v1/tickers/{ticker}/volume",
        "Volume of all trades of a ticker",
        read_volume,
        TickerVolume,
        tag="tickers",
    ),
    Operation(
        "getHighestPriceTradedForTicker",
        "/v1/tickers/{ticker}/highest-price",
        "Highest price a ticker was traded at",
        read_highest_price,
        TickerHighestPrice,
        tag="tickers",
    ),
    Operation(
        "getMostRecentTradeTimestampForTicker",
        "/v1/tickers/{ticker}/latest-time",
        "Time of the most recent trade of a ticker",
        read_latest_time,
        TickerLatestTime,
        tag="tickers",
    ),
)
