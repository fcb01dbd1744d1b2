"""The route table's entries: what an operation takes and gives, as types that check and document it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from werkzeug.datastructures import MultiDict

from functions.query.problems import Problem


class NoQuery(msgspec.Struct, frozen=True):
    """No query parameters at all."""


Query = TypeVar("Query", bound=msgspec.Struct)


@dataclass(frozen=True)
class Operation:
    """One method of one path. `handler(services, **path parameters, [query])` returns `answer` or a response.

    `query` is a struct of query parameters, whose constraints are their limits; NoQuery is not passed on.
    `problems` are the statuses that this operation may give besides those that all may give.
    """

    id: str
    path: str
    summary: str
    handler: Callable[..., Any]
    answer: type[msgspec.Struct] | None
    query: type[msgspec.Struct] = NoQuery
    method: str = "GET"
    problems: tuple[int, ...] = ()
    media_type: str = "application/json"
    request_type: str | None = None
    request_schema: dict[str, Any] | None = None
    tag: str = "service"


def parse_query(type_: type[Query], args: MultiDict[str, str]) -> Query:
    """The query parameters as `type_`. Raises Problem 400, which names the parameter and its rule."""
    for name, values in args.lists():
        if name not in type_.__struct_fields__:
            known = ", ".join(type_.__struct_fields__) or "none"
            raise Problem(400, f"unknown parameter {name[:40]!r}: this operation knows {known}")
        if len(values) > 1:
            raise Problem(400, f"parameter {name} is there {len(values)} times: give it once")
    try:
        return msgspec.convert(args.to_dict(), type_, strict=False)
    except msgspec.ValidationError as error:
        rule, _, place = str(error).partition(" - at `$.")
        raise Problem(400, f"parameter {place.rstrip('`') or '?'}: {rule[:1].lower()}{rule[1:]}") from None
