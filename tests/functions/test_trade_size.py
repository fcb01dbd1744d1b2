"""The function that tells whales from minnows, as it is called and as it is served."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventing.codec import decode
from functions.event_function import BadEvent, CloudEvent, from_cloud_event
from functions.own_store import data_folder
from functions.stores import open_store
from functions.trade_size import main, read_counts, size_of, sizes, trade_size
from runtime.settings import AerospikeSettings, StoreSettings
from tests.functions.conftest import StartFunction, event_headers, trade, trade_body
from trades.store import StoreMisconfigured

SOURCE = str(Path(__file__).parents[2] / "functions" / "trade_size.py")
classify = trade_size.__wrapped__  # type: ignore[attr-defined]


_ids = count(1)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of the function's store, for each test."""
    monkeypatch.setenv("FUNCTION_DATA", str(tmp_path))
    monkeypatch.delenv("STORE", raising=False)
    sizes.cache_clear()
    yield tmp_path
    sizes().close()
    sizes.cache_clear()


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


some_trades = st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 10_000)), min_size=1, max_size=50)


def batch_of(trades: list[tuple[str, int]]) -> dict[str, Any]:
    return {"trades": [trade(ticker=ticker, volume=volume) for ticker, volume in trades]}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(some_trades)
def test_each_trade_of_a_batch_is_in_one_count(trades: list[tuple[str, int]]) -> None:
    data = classify(event_of(batch_of(trades), id=f"given-{next(_ids)}"))
    counts = data.get_data()["counts"]
    whales = Counter(ticker for ticker, volume in trades if volume > 5_000)
    assert {ticker: each["WHALE"] for ticker, each in counts.items()} == {t: whales[t] for t, _ in trades}
    assert sum(sum(each.values()) for each in counts.values()) == len(trades)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(some_trades, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_all_events_are_counted_once_however_often_they_come(
    batches: list[list[tuple[str, int]]], random: Random
) -> None:
    before = {ticker: read_counts(sizes(), ticker) for ticker in "ABC"}
    events = [event_of(batch_of(trades), id=f"given-{next(_ids)}") for trades in batches]
    for event in random.sample([*events, *events, *events], 2 * len(events)) + events:
        classify(event)
    sold = Counter((ticker, size_of(volume)) for trades in batches for ticker, volume in trades)
    for ticker in "ABC":
        counts = read_counts(sizes(), ticker)
        assert {size: counts[size] - before[ticker][size] for size in counts} == {
            size: sold[ticker, size] for size in counts
        }


def test_it_remembers_and_tells(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = event_of(batch_of([("B", 9_000), ("B", 1), ("A", 6_000)]))
    classify(event)
    for _ in range(2):
        sizes().close()
        sizes.cache_clear()
        classify(event)
    main([])
    sizes.cache_clear()
    main(["B", "C"])
    sizes.cache_clear()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    a, b, c = (
        [ticker, "WHALE", whales, "MINNOW", minnows] for ticker, whales, minnows in ("A10", "B11", "C00")
    )
    assert lines == [a, b, b, c]


def test_an_id_that_is_taken(own_folder: Path) -> None:
    classify(event_of(batch_of([("A", 9_000)])))
    with pytest.raises(BadEvent, match="CONFLICT"):
        classify(event_of(batch_of([("A", 9_001)])))
    assert read_counts(sizes(), "A") == {"WHALE": 1, "MINNOW": 0}


def test_a_pod_needs_a_folder_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SERVICE", "trade-size")
    assert data_folder()
    monkeypatch.delenv("FUNCTION_DATA")
    with pytest.raises(StoreMisconfigured, match="mount a volume"):
        data_folder()
    monkeypatch.setenv("FUNCTION_DATA", ".")  # for the fixture's end


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


def test_it_is_served_and_seen(start_function: StartFunction, own_folder: Path) -> None:
    function = start_function("trade_size", FUNCTION_SOURCE=SOURCE, FUNCTION_DATA=str(own_folder))
    replies = [function.post(trade_body(volume=6_000), event_headers("e1", subject="AACT-UN")) for _ in "12"]
    (first,), (second,) = (decode(reply.headers.items(), reply.body) for reply in replies)
    assert first == second
    assert json.loads(first.data or b"")["counts"] == {"AACT-UN": {"WHALE": 1, "MINNOW": 0}}
    refused = function.post(trade_body(volume=-1), event_headers("e2"))
    assert (refused.status, "volume" in refused.detail) == (400, True)
    assert read_counts(sizes(), "AACT-UN") == {"WHALE": 1, "MINNOW": 0}


def test_on_a_real_server(aerospike_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sets are its own: nothing of it is in the pipeline's."""
    monkeypatch.setenv("STORE", f"aerospike://{aerospike_server}")
    ticker = f"T{uuid4().hex[:8]}"
    event = event_of(batch_of([(ticker, 9_000), (ticker, 5)]), id=ticker)
    for _ in range(3):
        classify(event)
    assert read_counts(sizes(), ticker) == {"WHALE": 1, "MINNOW": 1}
    with closing(
        open_store(f"aerospike://{aerospike_server}", StoreSettings(), AerospikeSettings())
    ) as store:
        assert store.read_summary(f"{ticker} WHALE") is None
