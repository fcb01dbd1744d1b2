"""Path parameters: what they look like, and what they may be."""

import re
from typing import Annotated, Any

from msgspec import Meta

from functions.query.problems import Problem
from trades.codec import MAX_TICKER_LENGTH
from trades.ticks import parse_price

PRICE_PATTERN = r"^[0-9]{1,7}(\.[0-9]{1,4})?$"
KEY_PATTERN = r"^[0-9a-f]{1,128}$"

_PRICE = re.compile(PRICE_PATTERN, re.ASCII)

TickerParameter = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TICKER_LENGTH,
        examples=["ASPS"],
        description="percent-encoded where needed: `%2F` is a slash of the ticker. A blank at its end "
        "(`%20`) is dropped: one after `.` or `..` keeps clients from taking it for a step up.",
    ),
]
PriceParameter = Annotated[
    str, Meta(pattern=PRICE_PATTERN, examples=["32.10"], description="dollars; 32.1 and 32.1000 are the same")
]
KeyParameter = Annotated[str, Meta(pattern=KEY_PATTERN, description="`key` of a dead letter")]
TypeParameter = Annotated[
    str, Meta(min_length=1, max_length=64, examples=["trade.executed.v1"], description="event type")
]

PATH_PARAMETERS: dict[str, Any] = {
    "ticker": TickerParameter,
    "price": PriceParameter,
    "key": KeyParameter,
    "type": TypeParameter,
}


def check_ticker(ticker: str) -> str:
    """The ticker, if a trade could have it; anything else never traded (Problem 404)."""
    if not 1 <= len(ticker) <= MAX_TICKER_LENGTH or not ticker.isprintable() or " " in ticker:
        raise never_traded(ticker)
    return ticker


def parse_traded_price(text: str) -> int | None:
    """Ticks; None for a number that no trade could have as its price. Raises Problem 400 for no number."""
    if not _PRICE.fullmatch(text):
        raise Problem(400, "price must be written like 32.1 or 32.1000, with at most 4 decimal places")
    try:
        return parse_price(text.encode())
    except ValueError:
        return None


def never_traded(ticker: str, price: str | None = None) -> Problem:
    name = repr(ticker[:MAX_TICKER_LENGTH])
    where = f" at {price}" if price else ""
    return Problem(404, f"no trade of {name}{where} has been counted: GET /v1/tickers lists what has")
