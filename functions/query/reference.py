"""The OpenAPI document as JSON, and as a page to read that needs no script and no other host."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import jinja2
import msgspec
from flask import Response, request
from markupsafe import Markup, escape

from functions.query.bodies import JSON, Body
from functions.query.openapi import Json, make_document
from functions.query.operation import Operation
from functions.query.static import MEDIA_TYPES

_FOLDER = Path(__file__).parent / "docs"


class Reference:
    """Both forms, made at first use."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations

    def pages(self) -> Iterator[tuple[str, str, Callable[..., Response]]]:
        """Routes: path, name, view."""
        yield "/openapi.json", "openapi", lambda: self._json.to_response(request)
        yield "/docs", "docs", lambda: self._html.to_response(request)
        yield "/docs.css", "docs-style", lambda: self._style.to_response(request)

    @cached_property
    def _document(self) -> Json:
        return make_document(self._operations)

    @cached_property
    def _json(self) -> Body:
        return Body(msgspec.json.encode(self._document), JSON)

    @cached_property
    def _style(self) -> Body:
        return Body((_FOLDER / "docs.css").read_bytes(), MEDIA_TYPES[".css"])

    @cached_property
    def _html(self) -> Body:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters["kind"] = describe_kind
        environment.filters["example"] = make_example
        environment.filters["code"] = mark_code
        html = environment.get_template("docs.html").render(document=self._document)
        return Body(html.encode(), MEDIA_TYPES[".html"])


def describe_kind(schema: Json) -> str:
    """A schema in a few words: `integer, 1 to 1000, default 50`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(describe_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        words = [" | ".join(map(str, schema["enum"]))]
    elif schema.get("type") == "array":
        words = [f"list of {describe_kind(schema.get('items', {}))}"]
    elif isinstance(schema.get("additionalProperties"), dict):
        words = [f"map of {describe_kind(schema['additionalProperties'])}"]
    else:
        words = [schema.get("format") or schema.get("type") or "anything"]
    if "minimum" in schema and "maximum" in schema:
        words.append(f"{schema['minimum']} to {schema['maximum']}")
    if "maxLength" in schema:
        words.append(f"at most {schema['maxLength']} characters")
    if schema.get("default", "") != "":
        words.append(f"default {schema['default']!r}")
    return ", ".join(words)


def mark_code(text: str) -> Markup:
    """HTML of a text, with what stands in backticks as code."""
    parts = text.split("`")
    return Markup("").join(  # every second part was between backticks
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def make_example(path: str, parameters: Sequence[Json]) -> str:
    """The path with example values in it."""
    for parameter in parameters:
        example = (parameter["schema"].get("examples") or ["KEY"])[0]
        path = path.replace(f"{{{parameter['name']}}}", str(example))
    return path
