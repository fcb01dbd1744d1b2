"""What one operation of a call does to a record's bins, as the server does it; those the adapter uses."""

import bisect
from collections.abc import Callable
from typing import Any

import aerospike

from tests.simulation.expressions import UNKNOWN, evaluate
from trades.stores.aerospike.errors import ELEMENT_EXISTS

Bins = dict[str, Any]

_INT64 = 1 << 63


class Refused(Exception):
    """The call fails with this code, and the record stays as it was."""

    def __init__(self, code: int) -> None:
        self.code = code


class SortedList(list[Any]):
    """A list that was made by an operation that asked for order. What was written as a whole has none."""


def copy(value: Any) -> Any:
    """A value of its own; maps in the order of their keys, as the server keeps them."""
    if isinstance(value, dict):
        return {key: copy(value[key]) for key in sorted(value)}
    return type(value)(map(copy, value)) if isinstance(value, list) else value


def run(operation: dict[str, Any], bins: Bins) -> Any:
    """Change `bins` in place; gives what the call answers for the operation. Raises Refused."""
    return _OPERATIONS[operation["op"]](operation, bins, operation["bin"])


def _read(_: dict[str, Any], bins: Bins, name: str) -> Any:
    return copy(bins.get(name))


def _write(operation: dict[str, Any], bins: Bins, name: str) -> None:
    if operation["val"] is None:
        bins.pop(name, None)
    else:
        bins[name] = copy(operation["val"])


def _increment(operation: dict[str, Any], bins: Bins, name: str) -> None:
    total = bins.get(name, 0) + operation["val"]
    bins[name] = (total + _INT64) % (2 * _INT64) - _INT64  # it wraps, and nobody is told


def _list_append(operation: dict[str, Any], bins: Bins, name: str) -> int:
    items: list[Any] = bins.setdefault(name, SortedList())
    if isinstance(items, SortedList):
        bisect.insort(items, copy(operation["val"]))
    else:
        items.append(copy(operation["val"]))
    return len(items)


def _list_keep(operation: dict[str, Any], bins: Bins, name: str) -> None:
    """Removal by index range, inverted: only the range stays."""
    items: list[Any] = bins[name]
    start = operation["index"] % len(items)
    bins[name] = type(items)(items[start : start + operation["count"]])


def _map_put_items(operation: dict[str, Any], bins: Bins, name: str) -> int:
    members: dict[Any, Any] = bins.setdefault(name, {})
    flags = operation["map_policy"].get("map_write_flags", aerospike.MAP_WRITE_FLAGS_DEFAULT)
    if flags & aerospike.MAP_WRITE_FLAGS_CREATE_ONLY and members.keys() & operation["val"].keys():
        raise Refused(ELEMENT_EXISTS)
    members.update(copy(operation["val"]))
    return len(members)


def _map_remove_keys(operation: dict[str, Any], bins: Bins, name: str) -> None:
    for key in operation["val"]:
        bins.get(name, {}).pop(key, None)


def _map_get(operation: dict[str, Any], bins: Bins, name: str) -> Any:
    return copy(bins.get(name, {}).get(operation["key"]))


def _expression_write(operation: dict[str, Any], bins: Bins, name: str) -> None:
    value = evaluate(operation["expr"], bins)
    if value is UNKNOWN:
        raise NotImplementedError("an expression whose value is unknown is never written here")
    bins[name] = value


_OPERATIONS: dict[int, Callable[[dict[str, Any], Bins, str], Any]] = {
    aerospike.OPERATOR_READ: _read,
    aerospike.OPERATOR_WRITE: _write,
    aerospike.OPERATOR_INCR: _increment,
    aerospike.OP_LIST_APPEND: _list_append,
    aerospike.OP_LIST_REMOVE_BY_INDEX_RANGE: _list_keep,
    aerospike.OP_MAP_PUT_ITEMS: _map_put_items,
    aerospike.OP_MAP_REMOVE_BY_KEY_LIST: _map_remove_keys,
    aerospike.OP_MAP_GET_BY_KEY: _map_get,
    aerospike.OP_EXPR_WRITE: _expression_write,
}
