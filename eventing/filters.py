"""Which events a Trigger wants: its `filter.attributes`, and the dialects of its `filters`.

(knative.dev/eventing v0.50, pkg/eventfilter, after the CloudEvents Subscriptions API.) A filter is compiled
once into a function of an event's attributes. Values are compared as text; what is not there never matches.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from eventing.cesql import BadExpression, compile_cesql

Attributes = Mapping[str, str]
Filter = Callable[[Attributes], bool]

MAX_DEPTH: Final = 32
_NAME = re.compile(r"[a-z][a-z0-9]*")
_TIME = re.compile(r"(.{19})(?:\.(\d+))?(.+)")
_ZERO_TIME = "0001-01-01T00:00:00Z"


class BadFilter(ValueError):
    """A Trigger's filter that cannot be compiled; the message names the place and says what to change."""


def compile_filters(filter_: object, filters: object) -> Filter:
    """The Trigger's whole condition: `spec.filter` and `spec.filters` as they stand in the YAML, or None.

    As in Knative, `filters` wins where both are there, all of its entries must match, and no filter matches
    every event. Raises BadFilter.
    """
    if filters is not None and filters != []:
        return _all(_list(filters, "filters", 0))
    return _by_attributes({} if filter_ is None else filter_)


def _by_attributes(filter_: object) -> Filter:
    """`filter: {attributes: {name: value}}`: all are equal; the empty value asks for any value but none."""
    if not isinstance(filter_, Mapping):
        raise BadFilter(f"filter: {filter_!r} must be fields: write filter.attributes or use filters")
    unknown = sorted(set(filter_) - {"attributes"})
    if unknown:
        raise BadFilter(f"filter: unknown member {unknown[0]!r}; write filter.attributes or use filters")
    attributes = filter_.get("attributes")
    pairs = _pairs({} if attributes is None else attributes, "filter.attributes")
    return _all([_present(name) if value == "" else _exact(name, value) for name, value in pairs])


def _list(entries: object, where: str, depth: int) -> list[Filter]:
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        raise BadFilter(f"{where}: must be a list with at least one filter")
    return [_one(entry, f"{where}[{index}]", depth) for index, entry in enumerate(entries)]


def _one(entry: object, where: str, depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise BadFilter(f"{where}: filters are nested more than {MAX_DEPTH} deep: flatten them")
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise BadFilter(f"{where}: must have exactly one of {', '.join(_DIALECTS)}")
    [(dialect, operand)] = entry.items()
    compile_ = _DIALECTS.get(dialect)
    if compile_ is None:
        raise BadFilter(f"{where}: unknown dialect {dialect!r}: use one of {', '.join(_DIALECTS)}")
    return compile_(operand, f"{where}.{dialect}", depth + 1)


def _each(test: Callable[[str, str], Filter]) -> Callable[[object, str, int], Filter]:
    """A dialect that compares some attributes, all of which must match, with values that are not empty."""

    def compile_(operand: object, where: str, _: int) -> Filter:
        pairs = _pairs(operand, where)
        if not pairs:
            raise BadFilter(f"{where}: name an attribute and its value")
        for name, value in pairs:
            if not value:
                raise BadFilter(f"{where}.{name}: the value is empty and would never match: give it one")
        return _all([test(name, value) for name, value in pairs])

    return compile_


def _pairs(operand: object, where: str) -> list[tuple[str, str]]:
    if not isinstance(operand, Mapping):
        raise BadFilter(f"{where}: must map attribute names to values")
    for name, value in operand.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise BadFilter(f"{where}: attribute name {name!r} must be a letter a-z, then letters and digits")
        if not isinstance(value, str):
            raise BadFilter(f"{where}.{name}: the value {value!r} must be a string: put it in quotes")
    return list(operand.items())


def _exact(name: str, value: str) -> Filter:
    read = reader(name)
    return lambda attributes: read(attributes) == value


def _prefix(name: str, value: str) -> Filter:
    read = reader(name)
    return lambda attributes: read(attributes).startswith(value)


def _suffix(name: str, value: str) -> Filter:
    read = reader(name)
    return lambda attributes: read(attributes).endswith(value)


def _present(name: str) -> Filter:
    read = reader(name)
    return lambda attributes: read(attributes) != ""


def _all(filters: list[Filter]) -> Filter:
    if len(filters) == 1:
        return filters[0]
    return lambda attributes: all(matches(attributes) for matches in filters)


def _any(filters: list[Filter]) -> Filter:
    return lambda attributes: any(matches(attributes) for matches in filters)


def _not(matches: Filter) -> Filter:
    return lambda attributes: not matches(attributes)


def _cesql(operand: object, where: str, _: int) -> Filter:
    if not isinstance(operand, str):
        raise BadFilter(f"{where}: must be an expression in quotes")
    try:
        return compile_cesql(operand, reader)
    except BadExpression as error:
        raise BadFilter(f"{where}: {operand[:80]!r}: {error}") from None


_DIALECTS: dict[str, Callable[[object, str, int], Filter]] = {
    "exact": _each(_exact),
    "prefix": _each(_prefix),
    "suffix": _each(_suffix),
    "all": lambda operand, where, depth: _all(_list(operand, where, depth)),
    "any": lambda operand, where, depth: _any(_list(operand, where, depth)),
    "not": lambda operand, where, depth: _not(_one(operand, where, depth)),
    "cesql": _cesql,
}


def reader(name: str) -> Callable[[Attributes], str]:
    """How Knative reads an attribute for its filters: "" where it is not there, and four names of its own."""
    special = _SPECIAL.get(name)
    return special or (lambda attributes: attributes.get(name, ""))


def _time(attributes: Attributes) -> str:
    """`time` in UTC with the fraction's trailing zeros cut off, as Knative's ingress passes it on."""
    text = attributes.get("time")
    if text is None:
        return _ZERO_TIME
    match = _TIME.fullmatch(text)
    if match is None:
        return text
    seconds, fraction, zone = match.groups(default="")
    try:
        utc = datetime.fromisoformat(seconds + zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    nanoseconds = fraction[:9].rstrip("0")
    return utc.isoformat()[:19] + (f".{nanoseconds}Z" if nanoseconds else "Z")


def _schema(attributes: Attributes) -> str:
    """`dataschema`, which specversion 0.3 called `schemaurl`."""
    return attributes.get("schemaurl" if attributes.get("specversion") == "0.3" else "dataschema", "")


def _media_type(attributes: Attributes) -> str:
    """`datacontenttype` without its parameters."""
    return attributes.get("datacontenttype", "").partition(";")[0].strip()


_SPECIAL: dict[str, Callable[[Attributes], str]] = {
    "time": _time,
    "dataschema": _schema,
    "schemaurl": _schema,
    "datamediatype": _media_type,
}
