"""JSON data of `trade.executed.v1` and `trade.batch.v1`: read whole or refused whole.

A refusal names the trade and the rule (`trades[3].price must be greater than 0`). Unknown members are
ignored, so that producers may add their own.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from trades.ticks import MAX_PRICE_TICKS, format_ticks, parse_price
from trades.trade import (
    MAX_NOTIONAL_TICKS,
    MAX_TRADES_PER_EVENT,
    MAX_VOLUME,
    Trade,
    TradeEvent,
)

TRADE_EXECUTED = "trade.executed.v1"
TRADE_BATCH = "trade.batch.v1"
MAX_TICKER_LENGTH = 32
MAX_TIME_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z

_KNOWN_TICKERS_LIMIT = 65_536
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class BadTrade(ValueError):
    """The data is not a trade, or not a batch of trades. The message says which and why."""


class _WireTrade(msgspec.Struct, gc=False):
    ticker: str
    price: msgspec.Raw
    volume: int
    timestamp: int | Annotated[datetime, msgspec.Meta(tz=True)]


class _WireBatch(msgspec.Struct):
    trades: list[_WireTrade]


class _PlainTrade(msgspec.Struct, gc=False):
    """The usual form, which is read at half the cost: the price a string, the time a number."""

    ticker: str
    price: str
    volume: Annotated[int, msgspec.Meta(gt=0, le=MAX_VOLUME)]
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_MS)]


class _PlainBatch(msgspec.Struct):
    trades: list[_PlainTrade]


_trade_decoder = msgspec.json.Decoder(_WireTrade)
_batch_decoder = msgspec.json.Decoder(_WireBatch)
_plain_decoder = msgspec.json.Decoder(_PlainBatch)
_known_tickers: set[str] = set()  # a cache of names already checked, not state: bounded, safe to lose


def decode_event(type_: str, source: str, id_: str, data: bytes) -> TradeEvent:
    """The trades in an event's JSON data. Raises BadTrade for anything but 1 to 1,000 valid trades."""
    is_batch = type_ == TRADE_BATCH
    if not is_batch and type_ != TRADE_EXECUTED:
        raise BadTrade(f"type must be {TRADE_EXECUTED} or {TRADE_BATCH}")
    trades = (_read_plain(data) if is_batch else None) or _read_any(type_, data)
    return TradeEvent.of(source, id_, trades, is_batch=is_batch)


def _read_plain(data: bytes) -> list[Trade] | None:
    """The trades of a batch, if all are right, in the usual form and with 4 decimal places; else None.

    This is the hot loop: it only says yes. What it does not take, `_read_any` reads, or says what is wrong.
    """
    try:
        wire = _plain_decoder.decode(data).trades
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(wire) > MAX_TRADES_PER_EVENT:
        return None
    trades = []
    make = tuple.__new__  # Trade(...) would be a call of a Python function for each
    for trade in wire:
        ticker, price, volume = trade.ticker, trade.price, trade.volume
        digits = price.replace(".", "", 1)
        if price[-5:-4] != "." or not (digits.isdigit() and digits.isascii()) or not 5 <= len(digits) <= 11:
            return None
        ticks = int(digits)
        if not 0 < ticks <= MAX_PRICE_TICKS or ticks * volume > MAX_NOTIONAL_TICKS:
            return None
        if ticker not in _known_tickers:
            return None
        trades.append(make(Trade, (ticker, ticks, volume, trade.timestamp)))
    return trades


def _read_any(type_: str, data: bytes) -> list[Trade]:
    """The trades in any form that is right. Raises BadTrade."""
    is_batch = type_ == TRADE_BATCH
    try:
        wire = _batch_decoder.decode(data).trades if is_batch else [_trade_decoder.decode(data)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadTrade(f"data is not a {type_}: {error}") from None
    if not 1 <= len(wire) <= MAX_TRADES_PER_EVENT:
        raise BadTrade(f"trades must hold 1 to {MAX_TRADES_PER_EVENT} trades, not {len(wire)}")
    return _check_all(wire, is_batch)


def _check_all(wire: list[_WireTrade], is_batch: bool) -> list[Trade]:
    trades = []
    for index, trade in enumerate(wire):
        try:
            trades.append(_check(trade))
        except ValueError as error:
            raise BadTrade(f"trades[{index}].{error}" if is_batch else str(error)) from None
    return trades


def _check(wire: _WireTrade) -> Trade:
    ticker, volume, timestamp = wire.ticker, wire.volume, wire.timestamp
    if ticker not in _known_tickers:
        _check_ticker(ticker)
    try:
        price_ticks = parse_price(bytes(wire.price))
    except ValueError as error:
        raise ValueError(f"price {error}") from None
    if not 0 < volume <= MAX_VOLUME:
        raise ValueError(f"volume must be a whole number from 1 to {MAX_VOLUME}")
    if price_ticks * volume > MAX_NOTIONAL_TICKS:
        raise ValueError(f"price times volume must be at most {format_ticks(MAX_NOTIONAL_TICKS)}")
    time_ms = timestamp if type(timestamp) is int else _epoch_ms(timestamp)  # type: ignore[arg-type]
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise ValueError("timestamp must be RFC 3339 or milliseconds since 1970, up to the year 9999")
    return Trade(ticker, price_ticks, volume, time_ms)


def _check_ticker(ticker: str) -> None:
    if not 1 <= len(ticker) <= MAX_TICKER_LENGTH or not ticker.isprintable() or " " in ticker:
        raise ValueError(f"ticker must be 1 to {MAX_TICKER_LENGTH} printable characters without spaces")
    if len(_known_tickers) >= _KNOWN_TICKERS_LIMIT:
        _known_tickers.clear()
    _known_tickers.add(ticker)


def _epoch_ms(time: datetime) -> int:
    """Milliseconds since 1970, without going through a float; what is finer than a millisecond is cut."""
    return (time - _EPOCH) // _MILLISECOND


def encode_trade(trade: Trade) -> bytes:
    """Data of a `trade.executed.v1`."""
    return msgspec.json.encode(_to_wire(trade))


def encode_batch(trades: Sequence[Trade]) -> bytes:
    """Data of a `trade.batch.v1`. Raises ValueError for a batch that no function would take."""
    if not 1 <= len(trades) <= MAX_TRADES_PER_EVENT:
        raise ValueError(f"a batch holds 1 to {MAX_TRADES_PER_EVENT} trades, not {len(trades)}")
    return msgspec.json.encode({"trades": [_to_wire(trade) for trade in trades]})


def _to_wire(trade: Trade) -> dict[str, str | int]:
    return {
        "ticker": trade.ticker,
        "price": format_ticks(trade.price_ticks),
        "volume": trade.volume,
        "timestamp": trade.time_ms,
    }
