"""The OpenAPI document and the reference made from it."""

import re
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from functions.query.app import OPERATIONS
from functions.query.reference import describe_kind, mark_code

ORIGINAL_READS = {
    "getAggregateVolumeForTicker": "/v1/tickers/{ticker}/volume",
    "getHighestPriceTradedForTicker": "/v1/tickers/{ticker}/highest-price",
    "getMostRecentTradeTimestampForTicker": "/v1/tickers/{ticker}/latest-time",
    "getAggregateVolumeForTickerAndPrice": "/v1/tickers/{ticker}/prices/{price}/volume",
    "getMostRecentTradeTimestampForTickerAndPrice": "/v1/tickers/{ticker}/prices/{price}/latest-time",
}


@pytest.fixture
def document(client: FlaskClient) -> dict:
    return client.get("/openapi.json").json


def test_is_valid(document: dict) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_names_every_operation_once(document: dict) -> None:
    described = {
        operation["operationId"]: path
        for path, methods in document["paths"].items()
        for operation in methods.values()
    }
    assert described == {operation.id: operation.path for operation in OPERATIONS}
    assert len(described) == len(OPERATIONS)
    assert described.items() >= ORIGINAL_READS.items()


def test_every_parameter_has_limits_and_a_meaning(document: dict) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                schema = parameter["schema"]
                assert parameter["description"], (path, parameter)
                is_bounded = (
                    {"minimum", "maximum"} <= schema.keys()
                    or schema.keys() & {"maxLength", "enum", "pattern"}
                    or schema["type"] == "boolean"
                )
                assert is_bounded, (path, parameter)


def test_every_route_is_documented(client: FlaskClient, document: dict) -> None:
    pages = {"/", "/assets/{name}", "/docs", "/docs.css", "/openapi.json"}
    routes = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule) for rule in client.application.url_map.iter_rules()
    }
    assert routes - pages == document["paths"].keys()


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        named = dict(attrs)
        self.ids.add(named.get("id") or "")
        self.links += [link for link in (named.get("href"), named.get("src")) if link]


def test_the_reference_page_is_whole(client: FlaskClient, document: dict) -> None:
    page = _Page()
    page.feed(client.get("/docs").text)
    assert page.ids >= {operation.id for operation in OPERATIONS}
    assert page.ids >= document["components"]["schemas"].keys()
    assert "script" not in page.tags
    for link in page.links:
        assert link.startswith(("#", "/", "data:")), link
        if link.startswith("#"):
            assert link[1:] in page.ids
        elif link.startswith("/"):
            assert client.get(link).status_code in {200, 404}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 9, "default": 5}, "integer, 1 to 9, default 5"),
        ({"enum": ["asc", "desc"], "default": "asc"}, "asc | desc, default 'asc'"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Row"}}, "list of Row"),
        (
            {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]},
            "string, at most 3 characters or null",
        ),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "map of string"),
        ({}, "anything"),
    ],
)
def test_kinds_in_words(schema: dict, words: str) -> None:
    assert describe_kind(schema) == words


def test_code_in_texts() -> None:
    assert mark_code("the `<b>` of <i>") == "the <code>&lt;b&gt;</code> of &lt;i&gt;"
