"""Evaluates the filter expressions that the adapter compiles: the few kinds it uses, as the server does.

A compiled expression is a list of (operation, type, fixed, number of children) in prefix order. A bin that is
not there is unknown; AND and OR give an answer where the known part settles it; unknown as a whole is no.
"""

from collections.abc import Callable, Iterator
from typing import Any

from aerospike_helpers.expressions.resources import _ExprOp as Op

UNKNOWN = object()

_COMPARISONS: dict[int, Callable[[Any, Any], bool]] = {
    Op.EQ: lambda a, b: a == b,
    Op.NE: lambda a, b: a != b,
    Op.GT: lambda a, b: a > b,
    Op.GE: lambda a, b: a >= b,
    Op.LT: lambda a, b: a < b,
    Op.LE: lambda a, b: a <= b,
}


def passes(expression: list[Any] | None, bins: dict[str, Any], updated_ns: int = 0) -> bool:
    """Whether a filter lets a record through that was last written then."""
    return expression is None or evaluate(expression, bins, updated_ns) is True


def evaluate(expression: list[Any], bins: dict[str, Any], updated_ns: int = 0) -> Any:
    return _evaluate(iter(expression), bins, updated_ns)


def _evaluate(rest: Iterator[Any], bins: dict[str, Any], updated_ns: int) -> Any:
    operation, _, fixed, children = next(rest)
    if operation == Op.VAL:
        if isinstance(fixed["val"], int) and not -(1 << 63) <= fixed["val"] < 1 << 63:
            raise OverflowError(f"the client takes no integer like {fixed['val']}")
        return fixed["val"]
    if operation == Op.BIN:
        return bins.get(fixed["bin"], UNKNOWN)
    if operation == Op.BIN_EXISTS:
        return fixed["bin"] in bins
    if operation == Op.META_LAST_UPDATE_TIME:
        return updated_ns
    if operation == Op._AS_EXP_CODE_END_OF_VA_ARGS:
        return None
    values = [_evaluate(rest, bins, updated_ns) for _ in range(children)]
    if operation in _COMPARISONS:
        return UNKNOWN if UNKNOWN in values else _COMPARISONS[operation](*values)
    if operation == Op.NOT:
        return UNKNOWN if values[0] is UNKNOWN else not values[0]
    if operation == Op.AND:
        return _settle(values[:-1], False)
    if operation == Op.OR:
        return _settle(values[:-1], True)
    if operation == Op.COND:
        return _choose(values[:-1])
    raise NotImplementedError(f"expression operation {operation}: add it to {__file__}")


def _settle(values: list[Any], decisive: bool) -> Any:
    if decisive in values:
        return decisive
    return UNKNOWN if UNKNOWN in values else not decisive


def _choose(values: list[Any]) -> Any:
    """Condition, value, condition, value, ..., value otherwise."""
    *pairs, otherwise = values
    for condition, value in zip(pairs[::2], pairs[1::2], strict=True):
        if condition is UNKNOWN:
            return UNKNOWN
        if condition:
            return value
    return otherwise
