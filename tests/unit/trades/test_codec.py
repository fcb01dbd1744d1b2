"""The data of trade events: whole or refused, with the trade and the rule that was broken."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trades.codec import (
    MAX_TIME_MS,
    TRADE_BATCH,
    TRADE_EXECUTED,
    BadTrade,
    decode_event,
    encode_batch,
    encode_trade,
)
from trades.ticks import MAX_PRICE_TICKS
from trades.trade import MAX_NOTIONAL_TICKS, MAX_VOLUME, SINGLE, Trade

GOOD: dict[str, Any] = {"ticker": "A.COM", "price": "32.1", "volume": 5, "timestamp": 1_760_000_000_000}

tickers = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters=" "), min_size=1, max_size=32
).filter(str.isprintable)


@st.composite
def trades(draw: st.DrawFn) -> Trade:
    price_ticks = draw(st.integers(1, MAX_PRICE_TICKS))
    volume = draw(st.integers(1, min(MAX_VOLUME, MAX_NOTIONAL_TICKS // price_ticks)))
    return Trade(draw(tickers), price_ticks, volume, draw(st.integers(0, MAX_TIME_MS)))


def decode_one(data: Any) -> Trade:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    (trade,) = decode_event(TRADE_EXECUTED, "/s", "e", body).trades
    return trade


def refusal(type_: str, data: Any) -> str:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    with pytest.raises(BadTrade) as caught:
        decode_event(type_, "/s", "e", body)
    return str(caught.value)


@given(trades())
def test_a_trade_is_read_back(trade: Trade) -> None:
    event = decode_event(TRADE_EXECUTED, "/s", "e", encode_trade(trade))
    assert event.trades == [trade]
    assert not event.is_batch
    assert event.place(0) == SINGLE


@given(st.lists(trades(), min_size=1, max_size=20))
def test_a_batch_is_read_back_in_order(made: list[Trade]) -> None:
    event = decode_event(TRADE_BATCH, "/s", "e", encode_batch(made))
    assert event.trades == made
    assert event.is_batch
    assert event.place(3) == 3


@given(st.lists(trades(), min_size=1, max_size=5), st.integers(0, 3))
def test_the_digest_is_of_the_trades_not_of_the_bytes(made: list[Trade], indent: int) -> None:
    compact = encode_batch(made)
    spaced = json.dumps(json.loads(compact), indent=indent, sort_keys=True).encode()
    assert decode_event(TRADE_BATCH, "/s", "e", compact) == decode_event(TRADE_BATCH, "/s", "e", spaced)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    for type_ in (TRADE_EXECUTED, TRADE_BATCH):
        with suppress(BadTrade):  # and nothing else
            decode_event(type_, "/s", "e", data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(GOOD)), json_values)
def test_any_json_in_place_of_a_member_is_refused_or_read(member: str, value: Any) -> None:
    for type_, data in [
        (TRADE_EXECUTED, GOOD | {member: value}),
        (TRADE_BATCH, {"trades": [GOOD, GOOD | {member: value}]}),
        (TRADE_BATCH, {"trades": value}),
    ]:
        with suppress(BadTrade):  # and nothing else
            for trade in decode_event(type_, "/s", "e", json.dumps(data).encode()).trades:
                assert 0 < trade.price_ticks <= MAX_PRICE_TICKS
                assert 0 < trade.volume <= MAX_VOLUME
                assert 0 <= trade.time_ms <= MAX_TIME_MS
                assert trade.price_ticks * trade.volume <= MAX_NOTIONAL_TICKS
                assert 1 <= len(trade.ticker) <= 32


def test_unknown_members_are_ignored() -> None:
    assert decode_one(GOOD | {"venue": {"name": "X"}, "conditions": [1, "2"]}) == Trade(
        "A.COM", 321_000, 5, 1_760_000_000_000
    )


@pytest.mark.parametrize("member", sorted(GOOD))
def test_a_member_that_is_missing_is_named(member: str) -> None:
    data = {name: value for name, value in GOOD.items() if name != member}
    assert f"missing required field `{member}`" in refusal(TRADE_EXECUTED, data)


def test_a_refusal_names_the_trade_and_the_rule() -> None:
    batch = {"trades": [GOOD, GOOD, GOOD | {"price": 0}, GOOD | {"volume": 0}]}
    assert refusal(TRADE_BATCH, batch) == "trades[2].price must be greater than 0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ticker": ""}, "ticker must be 1 to 32 printable characters without spaces"),
        ({"ticker": "A" * 33}, "ticker must be 1 to 32 printable characters without spaces"),
        ({"ticker": "A B"}, "ticker must be 1 to 32 printable characters without spaces"),
        ({"ticker": "A\t"}, "ticker must be 1 to 32 printable characters without spaces"),
        ({"ticker": "A\u00a0B"}, "ticker must be 1 to 32 printable characters without spaces"),
        ({"ticker": "A\u200b"}, "ticker must be 1 to 32 printable characters without spaces"),
        ({"ticker": "\x00"}, "ticker must be 1 to 32 printable characters without spaces"),
        ({"price": 0}, "price must be greater than 0"),
        ({"price": -1}, 'price must be a decimal number > 0, such as 32.1 or "32.1000"'),
        ({"price": None}, 'price must be a decimal number > 0, such as 32.1 or "32.1000"'),
        ({"price": [32]}, 'price must be a decimal number > 0, such as 32.1 or "32.1000"'),
        ({"price": 32.00001}, "price must have at most 4 decimal places"),
        ({"price": 1_000_001}, "price must be at most 1000000.0000"),
        ({"volume": 0}, "volume must be a whole number from 1 to 1000000000"),
        ({"volume": -5}, "volume must be a whole number from 1 to 1000000000"),
        ({"volume": 10**9 + 1}, "volume must be a whole number from 1 to 1000000000"),
        ({"volume": 2**64 - 1}, "volume must be a whole number from 1 to 1000000000"),
        ({"price": 1_000_000, "volume": 10_001}, "price times volume must be at most 10000000000.0000"),
        ({"timestamp": -1}, "timestamp must be RFC 3339 or milliseconds since 1970, up to the year 9999"),
        (
            {"timestamp": MAX_TIME_MS + 1},
            "timestamp must be RFC 3339 or milliseconds since 1970, up to the year 9999",
        ),
        (
            {"timestamp": "1969-12-31T23:59:59Z"},
            "timestamp must be RFC 3339 or milliseconds since 1970, up to the year 9999",
        ),
    ],
)
def test_each_rule_has_its_message(change: dict[str, Any], message: str) -> None:
    assert refusal(TRADE_EXECUTED, GOOD | change) == message
    assert refusal(TRADE_BATCH, {"trades": [GOOD, GOOD | change]}) == f"trades[1].{message}"


@pytest.mark.parametrize(
    "change",
    [
        {"ticker": 5},
        {"ticker": None},
        {"volume": 5.5},
        {"volume": "5"},
        {"volume": True},
        {"volume": None},
        {"volume": 1e30},
        {"timestamp": "yesterday"},
        {"timestamp": "2025-10-09T08:53:20"},  # no offset: not a moment
        {"timestamp": "2025-02-30T00:00:00Z"},
        {"timestamp": 1.5},
        {"timestamp": True},
        {"timestamp": None},
    ],
)
def test_a_member_of_another_kind_is_refused_by_name(change: dict[str, Any]) -> None:
    (member,) = change
    assert member in refusal(TRADE_EXECUTED, GOOD | change)
    assert "trades[1]" in refusal(TRADE_BATCH, {"trades": [GOOD, GOOD | change]})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"1",
        b'"x"',
        b"{",
        b'{"trades": 1}',
        b'{"trades": [1]}',
        b"\xff\xfe",
        b"{} {}",
        b"[" * 100_000,
    ],
)
def test_what_is_no_trade_is_refused(data: bytes) -> None:
    for type_ in (TRADE_EXECUTED, TRADE_BATCH):
        assert refusal(type_, data).startswith(("data is not a", "trades must hold"))


def test_a_surrogate_alone_is_refused() -> None:
    assert refusal(TRADE_EXECUTED, b'{"ticker":"\\ud800","price":1,"volume":1,"timestamp":1}')


def test_a_member_given_twice_counts_as_its_last() -> None:
    assert decode_one(b'{"ticker":"A","ticker":"B","price":1,"volume":1,"timestamp":1}').ticker == "B"


@pytest.mark.parametrize("count", [0, 1_001])
def test_a_batch_has_a_bound(count: int) -> None:
    assert (
        refusal(TRADE_BATCH, {"trades": [GOOD] * count}) == f"trades must hold 1 to 1000 trades, not {count}"
    )
    with pytest.raises(ValueError, match=f"not {count}"):
        encode_batch([Trade("A", 1, 1, 1)] * count)


def test_the_longest_batch() -> None:
    assert (
        len(decode_event(TRADE_BATCH, "/s", "e", json.dumps({"trades": [GOOD] * 1_000}).encode()).trades)
        == 1_000
    )


@pytest.mark.parametrize("type_", ["", "trade.executed.v2", "TRADE.BATCH.V1", "trade.batch.v1 "])
def test_another_type_is_refused(type_: str) -> None:
    assert refusal(type_, GOOD) == "type must be trade.executed.v1 or trade.batch.v1"


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)),
    st.integers(-23 * 60, 23 * 60),
)
def test_a_timestamp_with_any_offset_is_cut_to_the_millisecond(moment: datetime, offset_minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    since = aware.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    expected = (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000
    assert decode_one(GOOD | {"timestamp": aware.isoformat()}).time_ms == expected


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2025-10-09T08:53:20Z", 1_760_000_000_000),
        ("2025-10-09t08:53:20.123456z", 1_760_000_000_123),
        ("2025-10-09T10:53:20.9999+02:00", 1_760_000_000_999),
        ("9999-12-31T23:59:59.999Z", MAX_TIME_MS),
    ],
)
def test_timestamps_in_words(text: str, time_ms: int) -> None:
    assert decode_one(GOOD | {"timestamp": text}).time_ms == time_ms
