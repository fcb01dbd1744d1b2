"""Over real HTTP: the function as functions-framework and its server serve it."""

import gzip
import http.client
import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from trades.codec import TRADE_BATCH, decode_event
from trades.stores.sqlite import SqliteStore

EVENT = b'{"specversion":"1.0","id":"1","source":"/page","type":"trade.executed.v1","data":{}}'
STRUCTURED = "application/cloudevents+json"
ODD_TICKERS = [
    "A/B",
    "ÄÖ",
    "%2F",
    "//",
    "/A//B/",
    "..",
    ".",
    "A,B",
    "../..",
    "a;b?c#d&e=f+g",
    "\\",
    "'\"<>`{|}^",
]
TICKERS = ["ASPS", *ODD_TICKERS, *(f"T{number}" for number in range(30))]


@pytest.fixture(scope="module")
def filled(store_folder: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(store_folder)
    trades = [{"ticker": ticker, "price": "1.5", "volume": 7, "timestamp": 1_000} for ticker in TICKERS]
    event = decode_event(TRADE_BATCH, "/tests", "1", json.dumps({"trades": trades}).encode())
    store.store_trades([event])
    store.count_trades([event])
    yield store
    store.close()


@pytest.fixture(scope="module")
def query(filled: SqliteStore, module_broker, start_module_function: Callable[..., Any]) -> Any:
    return start_module_function(
        "query", K_SINK=module_broker.url, BROKER_STATUS_URL=module_broker.status_url
    )


def test_reads(query) -> None:
    answer = query.get("/v1/tickers/ASPS/volume")
    assert (answer.status, json.loads(answer.body)) == (200, {"ticker": "ASPS", "volume": 7})
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(query.get("/v1/tickers?limit=5").body)["total"] == len(TICKERS)
    assert query.get("/v1/tickers/NEVER").detail
    assert query.get("/v1/tickers?limit=0").status == 400


@pytest.mark.parametrize(
    ("path", "ticker"),
    [
        ("A%2fB", "A/B"),
        ("%252F", "%2F"),
        ("..%20", ".."),
        (".%20", "."),
        *((quote(ticker, safe=""), ticker) for ticker in ODD_TICKERS),
    ],
)
def test_odd_tickers(query, path: str, ticker: str) -> None:
    for of_ticker in (
        "",
        "/volume",
        "/highest-price",
        "/latest-time",
        "/trades",
        "/prices",
        "/prices/1.5/volume",
    ):
        answer = query.get(f"/v1/tickers/{path}{of_ticker}")
        assert answer.status == 200, (of_ticker, answer.body)
        assert json.loads(answer.body).get("ticker", ticker) == ticker


def test_odd_tickers_where_the_framework_starts_workers(
    filled: SqliteStore, start_module_function: Callable[..., Any]
) -> None:
    """There its own router comes first."""
    query = start_module_function("query", WORKERS="2")
    for ticker in ODD_TICKERS:
        answer = query.get(f"/v1/tickers/{quote(ticker, safe='')}/volume")
        assert (answer.status, json.loads(answer.body).get("ticker")) == (200, ticker)


@pytest.mark.parametrize("path", ["/v1//tickers", "/v1/tickers//volume", "/v1/tickers/%20/volume"])
def test_a_slash_too_many_leads_nowhere(query, path: str) -> None:
    assert query.get(path).status == 404


def test_the_page_and_the_reference(query) -> None:
    links = re.findall('"(/assets/[^"]+)"', query.get("/").body.decode())
    assert links
    for path in ("/", "/docs", "/docs.css", "/openapi.json", "/healthz", "/readyz", "/metrics", *links):
        answer = query.get(path)
        assert answer.status == 200, path
        assert answer.body
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_conditional_and_compressed(query) -> None:
    zipped = query.request("GET", "/v1/tickers", headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert len(zipped.body) == int(zipped.headers["content-length"])
    assert len(json.loads(gzip.decompress(zipped.body))["tickers"]) == len(TICKERS)
    etag = zipped.headers["etag"]
    for _ in range(10):  # the table may be refreshed just then
        again = query.request(
            "GET", "/v1/tickers", headers={"If-None-Match": etag, "Accept-Encoding": "gzip"}
        )
        if again.status == 304:
            break
        etag = again.headers["etag"]
    assert (again.status, again.body) == (304, b"")


def test_head_and_options(query) -> None:
    head = query.request("HEAD", "/v1/tickers")
    assert (head.status, head.body) == (200, b"")
    options = query.request("OPTIONS", "/v1/events")
    assert "POST" in options.headers["allow"]
    assert query.request("DELETE", "/v1/tickers").detail


def test_several_requests_on_one_connection(query) -> None:
    """Also after a body that nobody read. (After more than 64 KiB of it the server closes the connection.)"""
    connection = http.client.HTTPConnection("127.0.0.1", query.port, timeout=30)
    for _ in range(2):
        for method, path, body in (
            ("GET", "/v1/totals", None),
            ("POST", "/v1/events", EVENT),
            ("POST", "/v1/tickers", b"x" * 20_000),
        ):
            connection.request(method, path, body, {"Content-Type": STRUCTURED})
            answer = connection.getresponse()
            assert answer.status == (405 if path == "/v1/tickers" else 200)
            assert answer.read()
    connection.close()


def test_a_body_that_is_too_large(query, module_broker) -> None:
    module_broker.requests.clear()
    answer = query.request("POST", "/v1/events", b" " * (2**20 + 1), {"Content-Type": STRUCTURED})
    assert answer.status == 413
    assert module_broker.requests == []


def test_one_date(query) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", query.port, timeout=30)
    connection.request("GET", "/v1/tickers")
    answer = connection.getresponse()
    answer.read()
    assert len(answer.headers.get_all("Date") or ()) == 1
    connection.close()


def test_an_event_goes_to_the_broker(query, module_broker) -> None:
    module_broker.requests.clear()
    answer = query.request("POST", "/v1/events", EVENT, {"Content-Type": STRUCTURED})
    assert (answer.status, json.loads(answer.body)) == (200, {"status": 202, "text": ""})
    assert [body for _, _, body in module_broker.requests] == [EVENT]


def test_another_sites_page_may_not(query, module_broker) -> None:
    module_broker.requests.clear()
    headers = {"Content-Type": STRUCTURED, "Origin": "http://evil.example"}
    assert query.request("POST", "/v1/events", EVENT, headers).status == 403
    headers = {"Content-Type": STRUCTURED, "Host": "evil.example"}
    assert query.request("POST", "/v1/events", EVENT, headers).status == 403
    assert module_broker.requests == []


@pytest.mark.parametrize("path", ["/v1/tickers/%FF", "/%2e%2e/%2e%2e/etc/passwd", "/v1/tickers?q=%FF%00"])
def test_odd_bytes(query, path: str) -> None:
    with socket.create_connection(("127.0.0.1", query.port), timeout=30) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        status = int(connection.makefile("rb").readline().split()[1])
    assert status in {200, 400, 404}
