"""JSON Schemas (2020-12) of the events' data, for `dataschema` and for people.

What a schema takes, the codec takes, but for rules that a schema can't state: price times volume has a limit,
a ticker's characters are those that Unicode calls printable, and a price written as a number has at most 4
decimal places (`multipleOf` 0.0001 would have validators that reckon in floats refuse a quarter of all
prices). The codec takes a little more: prices with an exponent, or with zeros after the fourth place.
"""

from typing import Any

from trades.codec import MAX_TICKER_LENGTH, MAX_TIME_MS, TRADE_BATCH, TRADE_EXECUTED
from trades.ticks import MAX_PRICE_TICKS, TICKS_PER_DOLLAR, format_ticks
from trades.trade import MAX_NOTIONAL_TICKS, MAX_TRADES_PER_EVENT, MAX_VOLUME

SCHEMA_TYPES = (TRADE_EXECUTED, TRADE_BATCH)

_TRADE: dict[str, Any] = {
    "title": "Trade",
    "description": "One execution. Price times volume is at most "
    f"{format_ticks(MAX_NOTIONAL_TICKS)} dollars.",
    "type": "object",
    "required": ["ticker", "price", "volume", "timestamp"],
    "properties": {
        "ticker": {
            "description": "symbol; printable characters without spaces",
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_TICKER_LENGTH,
            "pattern": "^[^\\u0000-\\u0020\\u007f-\\u00a0]+$",
            "examples": ["ASPS"],
        },
        "price": {
            "description": "dollars, at most 4 decimal places; as a string no reader rounds it",
            "anyOf": [
                {
                    "type": "string",
                    "pattern": "^(?=.*[1-9])([0-9]{1,6}(\\.[0-9]{1,4})?|1000000(\\.0{1,4})?)$",
                },
                {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": MAX_PRICE_TICKS // TICKS_PER_DOLLAR,
                },
            ],
            "examples": ["32.1000", 32.1],
        },
        "volume": {
            "description": "shares",
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_VOLUME,
            "examples": [100],
        },
        "timestamp": {
            "description": "RFC 3339 with a zone, or milliseconds since 1970 (UTC), until the year 9999",
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_TIME_MS},
                {"type": "string", "format": "date-time"},
            ],
            "examples": ["2026-01-31T09:30:00.250Z", 1769851800250],
        },
    },
}

_BATCH: dict[str, Any] = {
    "title": "Trade batch",
    "description": "Trades that are stored and counted as one event: all or none.",
    "type": "object",
    "required": ["trades"],
    "properties": {
        "trades": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_TRADES_PER_EVENT,
            "items": {"$ref": "#/$defs/trade"},
        }
    },
    "$defs": {"trade": _TRADE},
}


def make_schema(type_: str, base_url: str) -> dict[str, Any]:
    """The schema of an event type; its `$id` is `<base_url>/<type>`. Raises KeyError for another type."""
    body = {TRADE_EXECUTED: _TRADE, TRADE_BATCH: _BATCH}[type_]
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{base_url.rstrip('/')}/{type_}",
    }
    return head | body
