"""Price levels: paging and folding."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.query.prices import fold_levels
from trades.summary import PriceLevel

Read = Callable[..., dict[str, Any]]


def test_levels_page_by_page(feed, read: Read) -> None:
    for price_ticks in (50_000, 9_999, 10_000, 123_456, 20_000):
        feed("ASPS", price_ticks, 10)
    feed("ASPS", 10_000, 5, time_ms=0)
    rows, cursor = [], ""
    while True:
        page = read(f"/v1/tickers/ASPS/prices?limit=2{cursor}")
        assert page["total"] == 5
        rows += page["prices"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert [row["price"] for row in rows] == ["0.9999", "1.0000", "2.0000", "5.0000", "12.3456"]
    assert (
        rows[1]
        == read("/v1/tickers/ASPS/prices/1")
        == {
            "price": "1.0000",
            "price_to": "1.0000",
            "volume": 15,
            "trade_count": 2,
            "latest_time": "2026-01-31T09:30:00.250Z",
        }
    )


def test_folded(feed, read: Read) -> None:
    for price_ticks in range(10_000, 11_000, 10):
        feed("ASPS", price_ticks, 1)
    answer = read("/v1/tickers/ASPS/prices?buckets=10")
    assert answer["total"] == 100
    assert [row["volume"] for row in answer["prices"]] == [10] * 10
    assert len(read("/v1/tickers/ASPS/prices?buckets=200")["prices"]) == 100


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "buckets=1", "buckets=201", "cursor=x", "cursor=1e3"]
)
def test_parameters_have_limits(read: Read, query: str) -> None:
    read(f"/v1/tickers/ASPS/prices?{query}", 400)


levels = st.dictionaries(
    st.integers(1, 10**10) | st.integers(1, 100),
    st.builds(PriceLevel, st.integers(1, 9), st.integers(1, 99), st.integers(0, 999)),
    min_size=1,
    max_size=60,
)


@given(levels=levels, buckets=st.integers(2, 20))
def test_folding_keeps_every_trade_in_its_range(levels: dict[int, PriceLevel], buckets: int) -> None:
    folded = fold_levels(levels, buckets)
    assert len(folded) <= max(buckets, 0)
    places = [place for row in folded for place in row[:2]]
    assert places == sorted(places)
    assert all(right < left for (_, right, _), (left, _, _) in pairwise(folded))
    for first, last, level in folded:
        inside = [each for price, each in levels.items() if first <= price <= last]
        merged = inside[0]
        for each in inside[1:]:
            merged = merged.merge(each)
        assert level == merged
    assert sum(level.volume for _, _, level in folded) == sum(level.volume for level in levels.values())
    if len(levels) > buckets:
        widths = {last - first for first, last, _ in folded}
        assert max(widths) - min(widths) <= 1
