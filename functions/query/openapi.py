"""The OpenAPI 3.1 document, made from the operations: what is documented is what is checked."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from functions.query.operation import Operation
from functions.query.parameters import PATH_PARAMETERS
from functions.query.problems import MEDIA_TYPE, ProblemDetails

Json = dict[str, Any]

_REF = "#/components/schemas/{name}"
_EVERYWHERE = (400, 414, 500, 503)
_PROBLEMS = {
    400: "A parameter is wrong; the detail says which and why",
    403: "Not from a page of another site, and not by a name that is not allowed",
    404: "There is no such thing",
    413: "The body is too large",
    414: "The URL is too long",
    415: "The body's content type is not the one that is needed",
    422: "This can't be sent",
    500: "An error of the service, or the store is set up wrongly; the detail says what to do",
    502: "The broker refused",
    503: "The store or the broker can't answer now; try again after `Retry-After` seconds",
    504: "The broker gave no answer in time: it may have the event; sending the same again is safe",
}
_TAGS = {
    "tickers": "What was traded",
    "events": "What came in, and what could not be handled",
    "service": "The service itself",
}


def make_document(operations: Iterable[Operation]) -> Json:
    """The whole document, as plain JSON values."""
    operations = tuple(operations)
    answers = [operation.answer for operation in operations if operation.answer]
    _, schemas = msgspec.json.schema_components([*answers, ProblemDetails], ref_template=_REF)
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tradewind read API",
            "version": "1",
            "summary": "Tickers, prices, trades, and the events they came in",
            "description": "Money is a string with 4 decimal places, a time is RFC 3339 in UTC, an error is "
            "a problem detail (RFC 9457). Answers have an ETag, and are gzipped on request.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _describe(operation: Operation) -> Json:
    described: Json = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation.query)],
        "responses": _responses(operation),
    }
    if operation.request_type:
        content = {operation.request_type: {"schema": operation.request_schema or {}}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path_parameters(path: str) -> list[Json]:
    names = re.findall(r"{(\w+)}", path)
    return [_parameter("path", name, msgspec.json.schema(PATH_PARAMETERS[name]), True) for name in names]


def _query_parameters(query: type[msgspec.Struct]) -> list[Json]:
    _, schemas = msgspec.json.schema_components([query], ref_template=_REF)
    return [
        _parameter("query", name, schema, False)
        for name, schema in schemas[query.__name__]["properties"].items()
    ]


def _parameter(place: str, name: str, schema: Json, is_required: bool) -> Json:
    description = schema.pop("description", "")
    return {
        "name": name,
        "in": place,
        "required": is_required,
        "description": description,
        "schema": schema,
    }


def _responses(operation: Operation) -> Json:
    schema = {"$ref": _REF.format(name=operation.answer.__name__)} if operation.answer else {}
    statuses = {*_EVERYWHERE, *operation.problems, *([404] if "{" in operation.path else [])}
    problem = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name=ProblemDetails.__name__)}}}
    return {
        "200": {"description": operation.summary, "content": {operation.media_type: {"schema": schema}}},
        **{
            str(status): {"description": _PROBLEMS[status], "content": problem} for status in sorted(statuses)
        },
    }
