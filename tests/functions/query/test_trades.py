"""A ticker's raw trades."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from trades.codec import TRADE_EXECUTED, decode_event
from trades.trade import Trade

Read = Callable[..., dict[str, Any]]


def test_newest_first_page_by_page(feed, read: Read) -> None:
    ids = [feed("ASPS", 10_000 + number, 1 + number, 1_000 * number) for number in range(7)]
    feed("OTHER", 10_000)
    seen, cursor = [], ""
    while True:
        page = read(f"/v1/tickers/ASPS/trades?limit=3{cursor}")
        seen += page["trades"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={quote(page['next_cursor'], safe='')}"
    assert [trade["id"] for trade in seen] == ids[::-1]
    assert seen[0] == {
        "id": ids[6],
        "source": "/tests",
        "event_id": ids[6],
        "time": "1970-01-01T00:00:06.000Z",
        "price": "1.0006",
        "volume": 7,
    }


def test_trades_of_a_batch(feed, read: Read) -> None:
    id_ = feed.batch(
        [Trade("ASPS", 10_000, 1, 1_000), Trade("B", 10_000, 2, 1_000), Trade("ASPS", 10_000, 3, 2_000)]
    )
    trades = read("/v1/tickers/ASPS/trades")["trades"]
    assert [(trade["id"], trade["event_id"]) for trade in trades] == [(f"{id_}-2", id_), (f"{id_}-0", id_)]


def test_stored_but_not_yet_counted(store, read: Read) -> None:
    """The two functions are independent: a trade may be seen here before it is in the summary."""
    data = b'{"ticker": "NEW", "price": 1, "volume": 1, "timestamp": 1}'
    store.store_trades([decode_event(TRADE_EXECUTED, "/tests", "1", data)])
    assert len(read("/v1/tickers/NEW/trades")["trades"]) == 1


def test_counted_but_not_yet_stored(store, read: Read) -> None:
    data = b'{"ticker": "NEW", "price": 1, "volume": 1, "timestamp": 1}'
    store.count_trades([decode_event(TRADE_EXECUTED, "/tests", "1", data)])
    assert read("/v1/tickers/NEW/trades") == {"ticker": "NEW", "trades": [], "next_cursor": None}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "cursor=", "cursor=rubbish", "cursor=" + "x" * 513]
)
def test_parameters_have_limits(feed, read: Read, query: str) -> None:
    feed("ASPS", 10_000)
    read(f"/v1/tickers/ASPS/trades?{query}", 400)
