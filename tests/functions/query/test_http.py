"""What all answers have in common: errors, ETags, gzip, headers, methods, measures."""

import gzip
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from functions.query.app import OPERATIONS, create_app
from functions.query.table import REFRESH_INTERVAL_MS
from trades.store import StoreError, StoreMisconfigured, StoreUnavailable

Read = Callable[..., dict[str, Any]]

READS = [
    "/v1/tickers",
    "/v1/tickers?changed_since=",
    "/v1/tickers/A",
    "/v1/tickers/A/volume",
    "/v1/tickers/A/prices",
    "/v1/tickers/A/prices/1/volume",
    "/v1/tickers/A/trades",
    "/v1/events",
    "/v1/dead-letters",
    "/v1/schemas/trade.executed.v1",
    "/openapi.json",
    "/docs",
    "/docs.css",
    "/",
]


class BrokenStore:
    """Raises the same at every call."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(*_: object, **__: object) -> Any:
            raise self._error

        return fail


def check_problem(answer: Any, status: int) -> str:
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail"}
    assert answer.json["status"] == status
    return str(answer.json["detail"])


STORE_READS = [*READS[:9], "/v1/totals", "/readyz", f"/v1/dead-letters/{'0' * 32}"]


@pytest.mark.parametrize("url", STORE_READS)
def test_a_store_that_is_not_available(url: str) -> None:
    client = create_app(BrokenStore(StoreUnavailable("timeout of node 7"))).test_client()
    answer = client.get(url)
    assert "timeout of node 7" in check_problem(answer, 503)
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("error", [StoreMisconfigured("set STORE to a folder of yours"), StoreError("odd")])
def test_a_store_that_is_misconfigured(error: StoreError) -> None:
    client = create_app(BrokenStore(error)).test_client()
    for url in STORE_READS:
        assert str(error) in check_problem(client.get(url), 500)


def test_an_error_of_ours_says_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    client = create_app(BrokenStore(RuntimeError("secret"))).test_client()
    assert "secret" not in check_problem(client.get("/v1/tickers/A"), 500)
    assert client.get("/healthz").status_code == 200
    assert "secret" in caplog.text


@pytest.mark.parametrize("url", ["/nothing", "/v1", "/v1/tickers/", "/v1/tickers//volume", "/assets/../x"])
def test_nothing_there(client: FlaskClient, url: str) -> None:
    check_problem(client.get(url), 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
def test_wrong_method(client: FlaskClient, method: str) -> None:
    answer = client.open("/v1/tickers", method=method)
    check_problem(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_a_url_that_is_too_long(client: FlaskClient) -> None:
    check_problem(client.get("/v1/tickers?q=" + "x" * 2_048), 414)
    check_problem(client.get("/v1/tickers/" + "x" * 2_048), 414)


@pytest.mark.parametrize("url", READS)
def test_unchanged_is_304(feed, client: FlaskClient, url: str) -> None:
    feed("A", 10_000)
    first = client.get(url)
    assert first.status_code == 200
    etag = first.headers["ETag"]
    for sent in (etag, f'"x", {etag}', etag.removeprefix("W/"), "*"):
        again = client.get(url, headers={"If-None-Match": sent})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == etag
    assert client.get(url, headers={"If-None-Match": 'W/"other"'}).status_code == 200


def test_the_list_has_one_etag_until_it_changes(feed, clock, client: FlaskClient) -> None:
    """Though its cursor moves with each refresh. Other parameters make another answer."""
    feed("ASPS", 321_000)
    urls = ["/v1/tickers?sort=volume", "/v1/tickers", "/v1/tickers?changed_since="]
    etags = [client.get(url).headers["ETag"] for url in urls]
    assert len(set(etags)) == 3
    clock.advance(10 * REFRESH_INTERVAL_MS)
    for url, etag in zip(urls, etags, strict=True):
        assert client.get(url, headers={"If-None-Match": etag}).status_code == 304
    feed("ASPS", 321_000)
    clock.advance(REFRESH_INTERVAL_MS)
    assert {client.get(url).headers["ETag"] for url in urls}.isdisjoint(etags)


def test_an_answer_to_a_cursor_is_in_no_cache(feed, client: FlaskClient) -> None:
    feed("ASPS", 321_000)
    first = client.get("/v1/tickers?changed_since=")
    assert first.headers["Cache-Control"] == "no-cache"
    again = client.get(f"/v1/tickers?changed_since={first.json['cursor']}")
    assert again.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("url", READS[:7])
def test_changed_has_another_etag(feed, clock, client: FlaskClient, url: str) -> None:
    feed("A", 10_000)
    etag = client.get(url).headers["ETag"]
    feed("A", 10_000)
    clock.advance(REFRESH_INTERVAL_MS)
    assert client.get(url, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "*"])
def test_long_answers_are_gzipped_on_request(feed, client: FlaskClient, accepted: str) -> None:
    for number in range(20):
        feed(f"T{number}", 10_000)
    plain = client.get("/v1/tickers")
    zipped = client.get("/v1/tickers", headers={"Accept-Encoding": accepted})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Vary"] == zipped.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] == zipped.headers["ETag"]


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "br"])
def test_not_gzipped_unasked(feed, client: FlaskClient, accepted: str) -> None:
    for number in range(20):
        feed(f"T{number}", 10_000)
    answer = client.get("/v1/tickers", headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("url", [*READS, "/v1/totals", "/healthz", "/readyz", "/metrics"])
def test_head_is_get_without_a_body(feed, client: FlaskClient, url: str) -> None:
    feed("A", 10_000)
    head, got = client.head(url), client.get(url)
    assert (head.status_code, head.data) == (200, b"")
    assert head.content_type == got.content_type
    assert url == "/metrics" or head.headers["Content-Length"] == got.headers["Content-Length"]


def test_options_says_what_is_possible(client: FlaskClient) -> None:
    answer = client.options("/v1/events")
    assert (answer.status_code, answer.data) == (200, b"")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("url", [*READS, "/v1/totals", "/nothing", "/v1/tickers?limit=x", "/assets/app.js"])
def test_headers_of_every_answer(feed, client: FlaskClient, url: str) -> None:
    feed("A", 10_000)
    headers = client.get(url).headers
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_json_is_json(feed, client: FlaskClient) -> None:
    feed("A", 10_000)
    answer = client.get("/v1/tickers/A")
    assert answer.content_type == "application/json"
    assert msgspec.json.decode(answer.data)["ticker"] == "A"


def test_alive_and_ready(client: FlaskClient) -> None:
    for url in ("/healthz", "/readyz"):
        answer = client.get(url)
        assert (answer.status_code, answer.text) == (200, "ok\n")


def test_measures(feed, client: FlaskClient) -> None:
    feed("A", 10_000)
    names = (
        'tradewind_query_requests_total{operation="getTicker",status="200"}',
        'tradewind_query_requests_total{operation="getTicker",status="404"}',
        'tradewind_query_requests_total{operation="none",status="404"}',
        'tradewind_query_request_seconds_count{operation="getTicker"}',
    )
    before = read_metrics(client)
    client.get("/v1/tickers/A")
    client.get("/v1/tickers/NEVER")
    client.get("/v1/nothing/of/this")
    after = read_metrics(client)
    assert [after[name] - before.get(name, 0) for name in names] == [1, 1, 1, 2]
    assert not any("NEVER" in name for name in after)


def read_metrics(client: FlaskClient) -> dict[str, float]:
    lines = [line for line in client.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_unknown_parameters_are_refused_everywhere(feed, client: FlaskClient) -> None:
    """A misspelt parameter must not look as if it had worked."""
    feed("A", 10_000)
    for operation in OPERATIONS:
        if operation.method == "GET":
            path = operation.path.format(ticker="A", price="1", key="0" * 32, type="trade.batch.v1")
            check_problem(client.get(f"{path}?no_such=1"), 400)
