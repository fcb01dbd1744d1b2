"""The values of CloudEvents SQL: casts between String, Integer and Boolean, and the built-in functions."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

_INTEGER = re.compile(r"[+-]?[0-9]+")


class Failure(Exception):
    """An event for which the expression has no value."""


def cast(value: str | int | bool, target: type) -> Any:
    """The value as the target type, by the rules of section 3.3. Raises Failure."""
    if target is str:
        return str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str):
        return target(value)
    if target is bool:
        if value.lower() not in ("true", "false"):
            raise Failure(f"{value!r} is not true or false")
        return value.lower() == "true"
    if not _INTEGER.fullmatch(value) or len(value) > 400 or not -(2**31) <= int(value) < 2**31:
        raise Failure(f"{value!r} is not an integer")
    return int(value)


def wrap(number: int) -> int:
    """Integers are 32 bits and go round."""
    return (number + 2**31) % 2**32 - 2**31


def divide(left: int, right: int) -> int:
    """Towards zero."""
    if right == 0:
        raise Failure("division by zero")
    quotient = abs(left) // abs(right)
    return wrap(quotient if (left < 0) == (right < 0) else -quotient)


def modulo(left: int, right: int) -> int:
    """The remainder of `divide`, with the sign of the left side."""
    return wrap(left - right * divide(left, right))


class Function(NamedTuple):
    """Parameter types (object: any; beyond them, where allowed, String), result type, and what it does."""

    parameters: tuple[type, ...]
    result: type
    run: Callable[..., Any]


def _is(target: type) -> Callable[[Any], bool]:
    def castable(value: Any) -> bool:
        try:
            cast(value, target)
        except Failure:
            return False
        return True

    return castable


def _abs(number: int) -> int:
    if number == -(2**31):
        raise Failure("the absolute value is outside 32 bits")
    return abs(number)


def _left(text: str, length: int) -> str:
    if length < 0:
        raise Failure("the length is negative")
    return text[:length]


def _right(text: str, length: int) -> str:
    if length < 0:
        raise Failure("the length is negative")
    return text[max(len(text) - length, 0) :]


def _substring(text: str, position: int, length: int | None = None) -> str:
    """From a position counted from 1, or from the end where it is negative."""
    if position == 0:
        return ""
    if abs(position) > len(text) or (length is not None and length < 0):
        raise Failure("the position is outside the text")
    start = position - 1 if position > 0 else len(text) + position
    return text[start:] if length is None else text[start : start + length]


# By name and number of arguments; None: any number from the count of parameters on.
FUNCTIONS: dict[tuple[str, int | None], Function] = {
    ("INT", 1): Function((object,), int, lambda value: cast(value, int)),
    ("BOOL", 1): Function((object,), bool, lambda value: cast(value, bool)),
    ("STRING", 1): Function((object,), str, lambda value: cast(value, str)),
    ("IS_INT", 1): Function((object,), bool, _is(int)),
    ("IS_BOOL", 1): Function((object,), bool, _is(bool)),
    ("ABS", 1): Function((int,), int, _abs),
    ("LENGTH", 1): Function((str,), int, len),
    ("CONCAT", None): Function((), str, lambda *texts: "".join(texts)),
    ("CONCAT_WS", None): Function((str,), str, lambda separator, *texts: separator.join(texts)),
    ("LOWER", 1): Function((str,), str, str.lower),
    ("UPPER", 1): Function((str,), str, str.upper),
    ("TRIM", 1): Function((str,), str, str.strip),
    ("LEFT", 2): Function((str, int), str, _left),
    ("RIGHT", 2): Function((str, int), str, _right),
    ("SUBSTRING", 2): Function((str, int), str, _substring),
    ("SUBSTRING", 3): Function((str, int, int), str, _substring),
}
