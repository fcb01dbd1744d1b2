"""The published JSON Schemas say what the codec does."""

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from trades.codec import MAX_TIME_MS, TRADE_BATCH, TRADE_EXECUTED, BadTrade, decode_event
from trades.schemas import SCHEMA_TYPES, make_schema
from trades.trade import MAX_TRADES_PER_EVENT, MAX_VOLUME

VALIDATORS = {
    type_: jsonschema.Draft202012Validator(make_schema(type_, "http://127.0.0.1:8080/v1/schemas"))
    for type_ in SCHEMA_TYPES
}
GOOD = {"ticker": "AACT-UN", "price": "32.1", "volume": 100, "timestamp": 0}


def is_taken(type_: str, data: Any) -> bool:
    try:
        decode_event(type_, "/tests", "1", json.dumps(data).encode())
    except BadTrade:
        return False
    return True


def near(*limits: int) -> st.SearchStrategy[int]:
    return st.one_of(*[st.integers(limit - 2, limit + 2) for limit in limits])


def write_price(ticks: int, places: int) -> str:
    dollars, rest = divmod(ticks, 10_000)
    return f"{dollars}.{rest:04d}"[: len(str(dollars)) + 1 + places].rstrip(".")


prices = st.one_of(
    st.builds(write_price, near(0, 10**10) | st.integers(0, 10**10), st.integers(0, 4)),
    st.integers(-1, 1_000_001),
    st.sampled_from(
        ["", ".5", "1.", "-1", "+1", "1.00001", "12345678", "0.0000", "00.10", "٣", True, None, []]
    ),
)
trades = st.fixed_dictionaries(
    {
        "ticker": st.text("AZ.-/é日", max_size=3)
        | st.sampled_from(["x" * 32, "x" * 33, "a b", "\t", "\x7f", "\xa0", 1]),
        "price": prices,
        "volume": near(1, MAX_VOLUME) | st.just("1"),
        "timestamp": near(0, MAX_TIME_MS) | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    },
    optional={"note": st.just("ignored")},
)


@settings(max_examples=300)
@given(trade=trades)
def test_a_trade(trade: dict[str, Any]) -> None:
    if trade["volume"] != 1 and VALIDATORS[TRADE_EXECUTED].is_valid(trade):
        trade["price"] = "0.0001"  # the limit of price times volume is one that a schema can't state
    expected = is_taken(TRADE_EXECUTED, trade)
    if isinstance(trade["timestamp"], str) and not expected:
        trade |= {"timestamp": 0}  # nor that a time before 1970 is refused
        expected = is_taken(TRADE_EXECUTED, trade)
    assert VALIDATORS[TRADE_EXECUTED].is_valid(trade) == expected
    assert VALIDATORS[TRADE_BATCH].is_valid({"trades": [trade]}) == expected


@pytest.mark.parametrize("missing", GOOD)
def test_every_member_is_needed(missing: str) -> None:
    trade = {name: value for name, value in GOOD.items() if name != missing}
    assert not VALIDATORS[TRADE_EXECUTED].is_valid(trade)
    assert not is_taken(TRADE_EXECUTED, trade)


@pytest.mark.parametrize("count", [0, 1, MAX_TRADES_PER_EVENT, MAX_TRADES_PER_EVENT + 1])
def test_the_size_of_a_batch(count: int) -> None:
    batch = {"trades": [GOOD] * count}
    assert VALIDATORS[TRADE_BATCH].is_valid(batch) == is_taken(TRADE_BATCH, batch)


@pytest.mark.parametrize("type_", SCHEMA_TYPES)
def test_published_under_its_own_id(client: FlaskClient, type_: str) -> None:
    answer = client.get(f"/v1/schemas/{type_}", headers={"Host": "evil.example"})
    assert answer.content_type == "application/schema+json"
    schema = answer.json
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"/v1/schemas/{type_}"  # of the address that it was read from
    assert client.get("/v1/schemas/trade.cancelled.v1").status_code == 404
