"""The list of tickers and what is known of one."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.query.app import create_app
from functions.query.table import REFRESH_INTERVAL_MS
from tests.functions.query.conftest import get_json
from trades.trade import Trade

Read = Callable[..., dict[str, Any]]


def tickers_of(answer: dict[str, Any]) -> list[str]:
    return [row["ticker"] for row in answer["tickers"]]


def test_a_row(feed, read: Read) -> None:
    feed("ASPS", 321_000, 100, 1_769_851_800_250)
    feed("ASPS", 319_999, 50, 1_769_851_800_999)
    feed("ASPS", 330_000, 1, 0)
    row = {
        "ticker": "ASPS",
        "name": "Altisource Portfolio Solutions S.A.",
        "price": "31.9999",
        "volume": 151,
        "value": "4842.9950",
        "trade_count": 3,
        "high": "33.0000",
        "low": "31.9999",
        "last_trade_time": "2026-01-31T09:30:00.999Z",
        "exchange": "NASDAQ",
    }
    assert read("/v1/tickers/ASPS") == row
    assert read("/v1/tickers")["tickers"] == [row]


def test_a_ticker_that_is_listed_nowhere(feed, read: Read) -> None:
    feed("NO-SUCH.X", 10_000)
    row = read("/v1/tickers/NO-SUCH.X")
    assert row["name"] == ""
    assert "exchange" not in row


def test_the_five_reads_of_the_original(feed, read: Read) -> None:
    feed("ASPS", 321_000, 100, 1_769_851_800_250)
    feed("ASPS", 330_000, 20, 1_769_851_800_100)
    assert read("/v1/tickers/ASPS/volume") == {"ticker": "ASPS", "volume": 120}
    assert read("/v1/tickers/ASPS/highest-price") == {"ticker": "ASPS", "highest_price": "33.0000"}
    assert read("/v1/tickers/ASPS/latest-time") == {
        "ticker": "ASPS",
        "latest_time": "2026-01-31T09:30:00.250Z",
    }
    for price in ("33", "33.0", "33.0000"):
        assert read(f"/v1/tickers/ASPS/prices/{price}/volume") == {
            "ticker": "ASPS",
            "price": "33.0000",
            "volume": 20,
        }
    assert read("/v1/tickers/ASPS/prices/33/latest-time") == {
        "ticker": "ASPS",
        "price": "33.0000",
        "latest_time": "2026-01-31T09:30:00.100Z",
    }


def test_a_trade_is_seen_at_once(feed, read: Read) -> None:
    """One ticker's reads ask the store: the clock stands, so the table is not refreshed."""
    feed("ASPS", 321_000, 100)
    assert read("/v1/tickers")["total"] == 1
    feed("ASPS", 321_000, 100)
    assert read("/v1/tickers/ASPS/volume")["volume"] == 200
    assert read("/v1/tickers/ASPS/prices/32.1/volume")["volume"] == 200
    assert read("/v1/tickers/ASPS")["trade_count"] == 2


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/volume",
        "/highest-price",
        "/latest-time",
        "/prices",
        "/trades",
        "/prices/1",
        "/prices/1/volume",
        "/prices/1/latest-time",
    ],
)
def test_what_never_traded(feed, read: Read, path: str) -> None:
    feed("ASPS", 10_000)
    for ticker in ("NEVER", "%20", "a%20b", "%00", "%1F", "%C3%28", "x" * 33, "%E2%80%A8", ".."):
        assert read(f"/v1/tickers/{ticker}{path}", 404)["status"] == 404


@pytest.mark.parametrize("price", ["abc", "-1", "1e2", "1.23456", "12345678", "%221%22", "1.", ".5", "٣"])
def test_what_is_no_price(feed, read: Read, price: str) -> None:
    feed("ASPS", 10_000)
    assert "price" in str(read(f"/v1/tickers/ASPS/prices/{price}", 400)["detail"])


@pytest.mark.parametrize("price", ["0", "0.0000", "1000000.0001", "2"])
def test_a_price_without_trades(feed, read: Read, price: str) -> None:
    feed("ASPS", 10_000)
    read(f"/v1/tickers/ASPS/prices/{price}/volume", 404)


HOSTILE = [
    "A/B",
    "//",
    "/",
    "%2F",
    "%",
    "?q=1",
    "#",
    "<b>",
    '"',
    "\\",
    "ÄÖ",
    "日本",
    "𝄞",
    "a&b=c",
    "a+b",
    "'--",
    "é",
]


@pytest.mark.parametrize("ticker", [*HOSTILE, "volume", "prices", "x" * 32])
def test_hostile_tickers(feed, read: Read, ticker: str) -> None:
    feed(ticker, 15_000, 7)
    path = f"/v1/tickers/{quote(ticker, safe='')}"
    assert read(path)["ticker"] == ticker
    assert read(f"{path}/volume") == {"ticker": ticker, "volume": 7}
    assert read(f"{path}/prices/1.5/volume")["volume"] == 7
    assert len(read(f"{path}/trades")["trades"]) == 1
    assert tickers_of(read("/v1/tickers")) == [ticker]
    assert tickers_of(read(f"/v1/tickers?q={quote(ticker, safe='')}")) == [ticker]


def test_a_slash_in_a_ticker_is_not_one_of_the_path(feed, read: Read) -> None:
    feed("A", 10_000, 1)
    feed("A/volume", 10_000, 2)
    assert read("/v1/tickers/A/volume") == {"ticker": "A", "volume": 1}
    assert read("/v1/tickers/A%2Fvolume")["volume"] == 2
    assert read("/v1/tickers/A%2fvolume/volume") == {"ticker": "A/volume", "volume": 2}


COLUMNS = {
    "ticker": lambda row: row["ticker"],
    "name": lambda row: row["name"].casefold(),
    "exchange": lambda row: row.get("exchange", ""),
    "price": lambda row: float(row["price"]),
    "volume": lambda row: row["volume"],
    "value": lambda row: float(row["value"]),
    "trade_count": lambda row: row["trade_count"],
    "high": lambda row: float(row["high"]),
    "low": lambda row: float(row["low"]),
    "last_trade_time": lambda row: row["last_trade_time"],
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(
    batch=st.lists(
        st.builds(
            Trade,
            st.sampled_from(["A", "AA", "ASPS", "b", "B", "Z.Z", "NONE"]),
            st.integers(1, 10**8),
            st.integers(1, 10**4),
            st.integers(0, 10**12),
        ),
        min_size=1,
        max_size=20,
    ),
    limit=st.integers(1, 4),
    column=st.sampled_from(sorted(COLUMNS)),
    order=st.sampled_from(["asc", "desc"]),
)
def test_sorting_and_paging(
    feed, clock, read: Read, batch: list[Trade], limit: int, column: str, order: str
) -> None:
    """By number where it is one, ties by ticker; and pages one after the other are the whole."""
    feed.batch(batch)
    clock.advance(REFRESH_INTERVAL_MS)
    url = f"/v1/tickers?sort={column}&order={order}"
    whole = read(f"{url}&limit=1000")
    expected = sorted(whole["tickers"], key=lambda row: row["ticker"])
    expected.sort(key=COLUMNS[column], reverse=order == "desc")
    assert whole["tickers"] == expected
    assert whole["total"] == len(expected)
    paged, offset = [], 0
    while True:
        page = read(f"{url}&limit={limit}&offset={offset}")
        paged += page["tickers"]
        offset += limit
        if not page["more"]:
            break
    assert paged == expected


def test_search(feed, read: Read) -> None:
    for ticker in ("AAPL", "AA", "AAL", "BAA", "ASPS", "NONE"):
        feed(ticker, 10_000, volume=len(ticker))
    assert tickers_of(read("/v1/tickers?q=aa")) == ["AA", "AAL", "AAPL", "BAA"]
    assert tickers_of(read("/v1/tickers?q=aal")) == ["AAL"]
    assert tickers_of(read("/v1/tickers?q=PORTFOLIO%20sol")) == ["ASPS"]
    assert tickers_of(read("/v1/tickers?q=aa&sort=volume&order=desc")) == ["AAPL", "AAL", "BAA", "AA"]
    assert tickers_of(read("/v1/tickers?q=aa&order=desc")) == ["AA", "AAPL", "AAL", "BAA"]
    assert read("/v1/tickers?q=aa&limit=1")["total"] == 4
    assert read("/v1/tickers?q=zzz") | {"cursor": ""} == {
        "tickers": [],
        "total": 0,
        "cursor": "",
        "more": False,
        "reset": False,
    }


def test_changed_since(feed, clock, read: Read) -> None:
    feed("A", 10_000)
    feed("B", 10_000)
    first = read("/v1/tickers?changed_since=")
    assert sorted(tickers_of(first)) == ["A", "B"]
    assert (first["reset"], first["more"], first["total"]) == (True, False, 2)
    clock.advance(REFRESH_INTERVAL_MS)
    nothing = read(f"/v1/tickers?changed_since={first['cursor']}")
    assert (nothing["tickers"], nothing["reset"], nothing["total"]) == ([], False, 2)
    feed("B", 20_000)
    clock.advance(REFRESH_INTERVAL_MS)
    after = read(f"/v1/tickers?changed_since={nothing['cursor']}")
    assert [(row["ticker"], row["price"]) for row in after["tickers"]] == [("B", "2.0000")]
    assert read(f"/v1/tickers?changed_since={nothing['cursor']}&q=a")["tickers"] == []


def test_many_pages_while_trades_come_in(store, feed) -> None:
    """Threads share the table: each has in the end what the store has."""
    app, is_over = create_app(store), Event()

    def watch() -> dict[str, dict[str, Any]]:
        rows, cursor, is_last = {}, "", False
        while not is_last:
            is_last = is_over.is_set()
            answer = get_json(app.test_client(), f"/v1/tickers?changed_since={cursor}&limit=3")
            if answer["reset"]:
                rows.clear()
            rows |= {row["ticker"]: row for row in answer["tickers"]}
            cursor, is_last = answer["cursor"], is_last and not answer["more"]
        return rows

    with ThreadPoolExecutor(4) as threads:
        watchers = [threads.submit(watch) for _ in range(4)]
        for number in range(60):
            feed(f"T{number % 7}", 10_000 + number)
        time.sleep(2 * REFRESH_INTERVAL_MS / 1_000)
        is_over.set()
        expected = {
            ticker: get_json(app.test_client(), f"/v1/tickers/{ticker}")
            for ticker in tickers_of(get_json(app.test_client(), "/v1/tickers"))
        }
        assert len(expected) == 7
        for watcher in watchers:
            assert watcher.result() == expected


def test_changed_since_goes_on_from_the_list(feed, clock, read: Read) -> None:
    feed("A", 10_000)
    listed = read("/v1/tickers?sort=volume")
    feed("A", 20_000)
    clock.advance(REFRESH_INTERVAL_MS)
    assert tickers_of(read(f"/v1/tickers?changed_since={listed['cursor']}")) == ["A"]


def test_changes_page_by_page(feed, read: Read) -> None:
    for ticker in "ABCDE":
        feed(ticker, 10_000)
    cursor, seen, resets = "", [], []
    while True:
        answer = read(f"/v1/tickers?limit=2&changed_since={cursor}")
        seen += tickers_of(answer)
        resets.append(answer["reset"])
        cursor = answer["cursor"]
        if not answer["more"]:
            break
    assert sorted(seen) == list("ABCDE")
    assert resets == [True, False, False]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("offset=-1", "offset"),
        ("offset=10000001", "offset"),
        ("sort=colour", "sort"),
        ("order=up", "order"),
        ("q=" + "x" * 65, "q"),
        ("changed_since=nonsense", "changed_since"),
        ("changed_since=" + "0" * 65, "changed_since"),
        ("limt=5", "limt"),
        ("limit=5&limit=6", "limit"),
    ],
)
def test_parameters_have_limits(read: Read, query: str, named: str) -> None:
    assert named in str(read(f"/v1/tickers?{query}", 400)["detail"])


def test_an_empty_store(client: FlaskClient, read: Read) -> None:
    assert read("/v1/tickers")["tickers"] == []
    assert read("/v1/tickers?changed_since=")["reset"] is True
