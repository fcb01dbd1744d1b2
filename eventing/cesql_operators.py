"""The operators of CloudEvents SQL, each made once from expressions whose types are known."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from eventing.cesql_functions import cast, divide, modulo, wrap

Attributes = Mapping[str, str]


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "*": lambda left, right: wrap(left * right),
    "/": divide,
    "%": modulo,
    "+": lambda left, right: wrap(left + right),
    "-": lambda left, right: wrap(left - right),
}
_COMPARISON: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Expression(NamedTuple):
    """What computes a value from an event's attributes, and the value's type. May raise Failure."""

    type: type
    value: Callable[[Attributes], Any]


def like_pattern(like: str) -> re.Pattern[str]:
    """% is any text and _ any character, unless after a backslash. Atomic groups bound the backtracking."""
    segments = [""]
    for part in re.findall(r"\\[%_]|.", like, re.DOTALL):
        if part == "%":
            segments.append("")
        else:
            segments[-1] += "." if part == "_" else re.escape(part[1:] or part)
    first, *middle, last = segments if len(segments) > 1 else (*segments, "")
    between = "".join(f"(?>.*?{segment})" for segment in middle)
    return re.compile(first + between + (".*" + last if len(segments) > 1 else ""), re.DOTALL)


def coerce(target: type, expression: Expression) -> Callable[[Attributes], Any]:
    """The expression's value, cast where it is of another type."""
    if expression.type is target:
        return expression.value
    value = expression.value
    return lambda attributes: cast(value(attributes), target)


def negate(expression: Expression) -> Expression:
    """NOT."""
    truth_of = coerce(bool, expression)
    return Expression(bool, lambda attributes: not truth_of(attributes))


def binary(word: str, left: Expression, right: Expression) -> Expression:
    """An operator between two expressions; the left side is evaluated first, and fails first."""
    if word in ("AND", "OR", "XOR"):
        return _logic(word, coerce(bool, left), coerce(bool, right))
    # Equality casts the left side to the type of the right one; all other operators are about integers.
    type_ = right.type if word in ("=", "!=", "<>") else int
    left_of, right_of = coerce(type_, left), coerce(type_, right)
    run: Callable[[Any, Any], Any] = _ARITHMETIC.get(word) or _COMPARISON[word]
    result = int if word in _ARITHMETIC else bool
    return Expression(result, lambda attributes: run(left_of(attributes), right_of(attributes)))


def _logic(word: str, left: Callable[[Attributes], Any], right: Callable[[Attributes], Any]) -> Expression:
    """The right side is not evaluated, and so cannot fail, where the left one decides."""
    if word == "AND":
        return Expression(bool, lambda attributes: left(attributes) and right(attributes))
    if word == "OR":
        return Expression(bool, lambda attributes: left(attributes) or right(attributes))
    return Expression(bool, lambda attributes: left(attributes) != right(attributes))
