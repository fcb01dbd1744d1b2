"""Money as integers: a price is a number of ticks of 1/10,000 dollar (the Price(4) of exchange feeds).

No float comes near a price: text is read digit by digit, sums are integers.
"""

import re
from decimal import Context, Decimal

TICKS_PER_DOLLAR = 10_000
MAX_PRICE_TICKS = 1_000_000 * TICKS_PER_DOLLAR

_PLAIN = re.compile(rb'("?)([0-9]{1,7})(?:\.([0-9]{1,4}))?\1')
_DECIMAL = re.compile(r'("?)([0-9]{1,24}(?:\.[0-9]{1,24})?(?:[eE][+-]?[0-9]{1,2})?)\1')
_EXACT = Context(prec=64)  # holds every digit that _DECIMAL lets in; the usual 28 would round some away
_SCALE = (1, 1_000, 100, 10, 1)  # by number of decimal places, for 1 to 4


def parse_price(text: bytes) -> int:
    """Ticks of a price written as a JSON number or JSON string, e.g. `b'32.1'` or `b'"32.1000"'`.

    Raises ValueError, with the rule that was broken, for anything but a decimal > 0 and
    <= 1,000,000 dollars with at most 4 decimal places.
    """
    plain = _PLAIN.fullmatch(text)
    if plain is None:
        return _in_range(_parse_unusual(text.decode("utf-8", "replace")))
    _, dollars, places = plain.groups()
    if places is None:
        return _in_range(int(dollars) * TICKS_PER_DOLLAR)
    return _in_range(int(dollars) * TICKS_PER_DOLLAR + int(places) * _SCALE[len(places)])


def _parse_unusual(text: str) -> int:
    """The forms that are right but rare: exponents, trailing zeros past the 4th place."""
    unusual = _DECIMAL.fullmatch(text)
    if unusual is None:
        raise ValueError('must be a decimal number > 0, such as 32.1 or "32.1000"')
    ticks = _EXACT.multiply(Decimal(unusual[2]), TICKS_PER_DOLLAR)
    if ticks != ticks.to_integral_value():
        raise ValueError("must have at most 4 decimal places")
    return int(ticks)


def _in_range(ticks: int) -> int:
    if ticks <= 0:
        raise ValueError("must be greater than 0")
    if ticks > MAX_PRICE_TICKS:
        raise ValueError(f"must be at most {format_ticks(MAX_PRICE_TICKS)}")
    return ticks


def format_ticks(ticks: int) -> str:
    """Dollars with exactly 4 decimal places: `format_ticks(321000) == "32.1000"`. Negative amounts too."""
    dollars, places = divmod(abs(ticks), TICKS_PER_DOLLAR)
    return f"{'-' if ticks < 0 else ''}{dollars}.{places:04d}"
