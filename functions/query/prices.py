"""A ticker's price levels: volume by price, and the reads of the original demo that concern one price."""

from bisect import bisect_right
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from functions.query.bodies import Body, encode
from functions.query.operation import Operation
from functions.query.parameters import PRICE_PATTERN, check_ticker, never_traded, parse_traded_price
from functions.query.services import Services
from functions.query.times import format_ms
from functions.query.views import Count, Dollars, PriceRow, Ticker, Time, view_level
from trades.summary import PriceLevel
from trades.ticks import format_ticks

Levels = list[tuple[int, int, PriceLevel]]  # from, to (both included, in ticks), and what was traded there


class PricesQuery(msgspec.Struct, frozen=True):
    """Which levels."""

    limit: Annotated[int, Meta(ge=1, le=1_000, description="rows")] = 500
    cursor: (
        Annotated[
            str,
            Meta(
                pattern=PRICE_PATTERN, max_length=12, description="`next_cursor` of the page before: a price"
            ),
        ]
        | UnsetType
    ) = UNSET
    buckets: (
        Annotated[
            int,
            Meta(
                ge=2,
                le=200,
                description="fold more levels than this into so many equal ranges of price, from the lowest "
                "to the highest; empty ranges are left out, and there is one page",
            ),
        ]
        | UnsetType
    ) = UNSET


class PriceList(msgspec.Struct):
    """Price levels, lowest price first."""

    ticker: Ticker
    prices: list[PriceRow]
    total: Annotated[Count, Meta(description="price levels of this ticker")]
    next_cursor: Annotated[str | None, Meta(description="null at the end")]


def list_prices(services: Services, ticker: str, query: PricesQuery) -> Body:
    """All levels are read for it: what took long is kept for a while, for whoever has the same panel open."""
    return services.recent.get(
        (ticker, query), lambda: encode(_read_list(services, ticker, query)), kept_ms=0
    )


def _read_list(services: Services, ticker: str, query: PricesQuery) -> PriceList:
    levels = services.store.read_levels(check_ticker(ticker))
    if not levels:
        raise never_traded(ticker)
    if query.buckets is not UNSET:
        rows, next_cursor = fold_levels(levels, query.buckets), None
    else:
        rows, next_cursor = _page(levels, query)
    return PriceList(ticker, [view_level(*row) for row in rows], len(levels), next_cursor)


def _page(levels: dict[int, PriceLevel], query: PricesQuery) -> tuple[Levels, str | None]:
    prices = sorted(levels)
    start = 0 if query.cursor is UNSET else bisect_right(prices, parse_traded_price(query.cursor) or 0)
    page = prices[start : start + query.limit]
    next_cursor = format_ticks(page[-1]) if start + query.limit < len(prices) else None
    return [(price, price, levels[price]) for price in page], next_cursor


def fold_levels(levels: dict[int, PriceLevel], buckets: int) -> Levels:
    """At most `buckets` rows: the levels themselves if there are no more, else equal ranges of price."""
    if len(levels) <= buckets:
        return [(price, price, levels[price]) for price in sorted(levels)]
    lowest, highest = min(levels), max(levels)
    span = highest - lowest + 1
    folded: dict[int, PriceLevel] = {}
    for price in sorted(levels):
        bucket = (price - lowest) * buckets // span
        folded[bucket] = folded[bucket].merge(levels[price]) if bucket in folded else levels[price]

    def first_price(bucket: int) -> int:
        return lowest + -(-bucket * span // buckets)

    return [(first_price(bucket), first_price(bucket + 1) - 1, level) for bucket, level in folded.items()]


def read_price(services: Services, ticker: str, price: str) -> PriceRow:
    price_ticks, level = _level(services, ticker, price)
    return view_level(price_ticks, price_ticks, level)


class PriceVolume(msgspec.Struct):
    """The volume of all trades of a ticker at one price."""

    ticker: Ticker
    price: Dollars
    volume: Annotated[Count, Meta(description="shares")]


class PriceLatestTime(msgspec.Struct):
    """The time of the most recent trade of a ticker at one price."""

    ticker: Ticker
    price: Dollars
    latest_time: Time


def read_volume_at_price(services: Services, ticker: str, price: str) -> PriceVolume:
    price_ticks, level = _level(services, ticker, price)
    return PriceVolume(ticker, format_ticks(price_ticks), level.volume)


def read_latest_time_at_price(services: Services, ticker: str, price: str) -> PriceLatestTime:
    price_ticks, level = _level(services, ticker, price)
    return PriceLatestTime(ticker, format_ticks(price_ticks), format_ms(level.latest_time_ms))


def _level(services: Services, ticker: str, price: str) -> tuple[int, PriceLevel]:
    """Raises Problem 400 for what is not a price, 404 for one at which nothing was traded."""
    price_ticks = parse_traded_price(price)
    level = services.store.read_level(check_ticker(ticker), price_ticks) if price_ticks else None
    if price_ticks is None or level is None:
        raise never_traded(ticker, price)
    return price_ticks, level


OPERATIONS = (
    Operation(
        "listPrices",
        "/v1/tickers/{ticker}/prices",
        "Volume by price",
        list_prices,
        PriceList,
        PricesQuery,
        tag="tickers",
    ),
    Operation(
        "getPrice",
        "/v1/tickers/{ticker}/prices/{price}",
        "All aggregates of a ticker at one price",
        read_price,
        PriceRow,
        tag="tickers",
    ),
    Operation(
        "getAggregateVolumeForTickerAndPrice",
        "/v1/tickers/{ticker}/prices/{price}/volume",
        "Volume of all trades of a ticker at one price",
        read_volume_at_price,
        PriceVolume,
        tag="tickers",
    ),
    Operation(
        "getMostRecentTradeTimestampForTickerAndPrice",
        "/v1/tickers/{ticker}/prices/{price}/latest-time",
        "Time of the most recent trade of a ticker at one price",
        read_latest_time_at_price,
        PriceLatestTime,
        tag="tickers",
    ),
)
