"""The function that tells whales from minnows, as it is called and as it is served."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.codec import decode
from functions.event_function import BadEvent, CloudEvent, from_cloud_event
from functions.trade_size import size_of, trade_size
from tests.functions.conftest import StartFunction, event_headers, trade, trade_body

SOURCE = str(Path(__file__).parents[2] / "functions" / "trade_size.py")
classify = trade_size.__wrapped__  # type: ignore[attr-defined]


def event_of(data: Any, type_: str = "trade.batch.v1", **attributes: str) -> CloudEvent:
    event = CloudEvent({"id": "e1", "source": "/tests", "type": type_} | attributes, data)
    if "time" not in attributes:
        del event["time"]
    return event


@pytest.mark.parametrize(("volume", "size"), [(1, "MINNOW"), (5_000, "MINNOW"), (5_001, "WHALE")])
def test_more_than_five_thousand_is_a_whale(volume: int, size: str) -> None:
    assert size_of(volume) == size


def test_one_trade() -> None:
    reply = classify(event_of(trade(volume=9_000), "trade.executed.v1", subject="AACT-UN"))
    assert reply["type"] == "trade.classified.v1"
    assert reply["subject"] == "AACT-UN"
    assert reply.get_data() == {
        "trades": [{"ticker": "AACT-UN", "volume": 9_000, "size": "WHALE"}],
        "counts": {"AACT-UN": {"WHALE": 1, "MINNOW": 0}},
    }


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 10_000)), min_size=1, max_size=50))
def test_each_trade_of_a_batch_is_in_one_count(trades: list[tuple[str, int]]) -> None:
    data = classify(event_of({"trades": [trade(ticker=ticker, volume=volume) for ticker, volume in trades]}))
    counts = data.get_data()["counts"]
    whales = Counter(ticker for ticker, volume in trades if volume > 5_000)
    assert {ticker: each["WHALE"] for ticker, each in counts.items()} == {t: whales[t] for t, _ in trades}
    assert sum(sum(each.values()) for each in counts.values()) == len(trades)


def test_the_same_event_is_answered_by_the_same_event() -> None:
    events = [event_of({"trades": [trade()]}) for _ in range(2)]
    first, second = (from_cloud_event(classify(event)) for event in events)
    assert first == second


@pytest.mark.parametrize(
    "other",
    [{"id": "e2"}, {"source": "/other"}, {"source": "/test", "id": "se1"}],
)
def test_another_event_is_answered_by_another(other: dict[str, str]) -> None:
    reply, different = (classify(event_of({"trades": [trade()]}, **more)) for more in ({}, other))
    assert reply["source"] == different["source"]
    assert reply["id"] != different["id"]


@pytest.mark.parametrize("data", [None, {}, {"trades": []}, {"trades": [trade(volume=0)]}, "x", [1]])
def test_what_is_no_trade_is_refused(data: Any) -> None:
    with pytest.raises(BadEvent):
        classify(event_of(data))


def test_it_is_served_and_seen(start_function: StartFunction) -> None:
    function = start_function("trade_size", FUNCTION_SOURCE=SOURCE)
    replies = [function.post(trade_body(volume=6_000), event_headers("e1", subject="AACT-UN")) for _ in "12"]
    (first,), (second,) = (decode(reply.headers.items(), reply.body) for reply in replies)
    assert first == second
    assert json.loads(first.data or b"")["counts"] == {"AACT-UN": {"WHALE": 1, "MINNOW": 0}}
    refused = function.post(trade_body(volume=-1), event_headers("e2"))
    assert (refused.status, "volume" in refused.detail) == (400, True)
