"""What the API says of tickers, prices and trades: the store's types in their wire form."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from functions.query.times import format_ms
from trades.listings import Listing
from trades.store import StoredTrade
from trades.summary import PriceLevel, Summary
from trades.ticks import format_ticks

Dollars = Annotated[
    str,
    Meta(pattern=r"^[0-9]+\.[0-9]{4}$", description="dollars, always 4 decimal places", examples=["32.1000"]),
]
Time = Annotated[
    str,
    Meta(
        description="RFC 3339, UTC, milliseconds",
        extra_json_schema={"format": "date-time", "examples": ["2026-01-31T09:30:00.250Z"]},
    ),
]
Count = Annotated[int, Meta(ge=0)]
Ticker = Annotated[str, Meta(min_length=1, max_length=32, examples=["ASPS"])]


class TickerRow(msgspec.Struct):
    """All aggregates of one ticker."""

    ticker: Ticker
    name: Annotated[str, Meta(description="the company's name; empty when the ticker is in no listing")]
    price: Annotated[Dollars, Meta(description="price of the latest trade, by time and id, not by arrival")]
    volume: Annotated[Count, Meta(description="shares")]
    value: Annotated[Dollars, Meta(description="sum of price times volume")]
    trade_count: Count
    high: Dollars
    low: Dollars
    last_trade_time: Time
    exchange: Annotated[str, Meta(description="left out when the ticker is in no listing")] | UnsetType = (
        UNSET
    )


def view_row(ticker: str, listing: Listing | None, summary: Summary) -> TickerRow:
    return TickerRow(
        ticker=ticker,
        name=listing.name if listing else "",
        price=format_ticks(summary.latest.price_ticks),
        volume=summary.volume,
        value=format_ticks(summary.notional_ticks),
        trade_count=summary.trade_count,
        high=format_ticks(summary.highest_ticks),
        low=format_ticks(summary.lowest_ticks),
        last_trade_time=format_ms(summary.latest.time_ms),
        exchange=listing.exchange if listing else UNSET,
    )


def encode_row(ticker: str, listing: Listing | None, summary: Summary) -> bytes:
    return msgspec.json.encode(view_row(ticker, listing, summary))


class PriceRow(msgspec.Struct):
    """The trades at one price, or, folded, from `price` to `price_to`, both included."""

    price: Dollars
    price_to: Annotated[Dollars, Meta(description="the same as `price`, unless levels were folded")]
    volume: Annotated[Count, Meta(description="shares")]
    trade_count: Count
    latest_time: Time


def view_level(price_ticks: int, to_ticks: int, level: PriceLevel) -> PriceRow:
    return PriceRow(
        format_ticks(price_ticks),
        format_ticks(to_ticks),
        level.volume,
        level.trade_count,
        format_ms(level.latest_time_ms),
    )


class TradeRow(msgspec.Struct):
    """One raw trade."""

    id: Annotated[str, Meta(description="the event's id, with `-<index>` for a trade in a batch")]
    source: Annotated[str, Meta(description="the event's source; ids are unique within it")]
    event_id: str
    time: Time
    price: Dollars
    volume: Annotated[Count, Meta(description="shares")]


def view_trade(stored: StoredTrade) -> TradeRow:
    trade = stored.trade
    return TradeRow(
        stored.id,
        stored.source,
        stored.event_id,
        format_ms(trade.time_ms),
        format_ticks(trade.price_ticks),
        trade.volume,
    )
