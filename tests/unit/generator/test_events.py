"""Events: their identity, their attributes, and data that the codec reads back."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.codec import decode, encode_binary
from generator.events import EventMaker, rfc3339
from trades.codec import MAX_TIME_MS, TRADE_BATCH, TRADE_EXECUTED, decode_event, encode_batch, encode_trade
from trades.ticks import MAX_PRICE_TICKS
from trades.trade import Trade

tickers = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=32)
rows = st.tuples(
    tickers, st.integers(1, MAX_PRICE_TICKS), st.integers(1, 10_000), st.integers(0, MAX_TIME_MS)
)


@given(st.lists(rows, min_size=1, max_size=20))
def test_data_is_what_the_codec_writes(made):
    trades = [Trade(*row) for row in made]
    known = {row[0] for row in made}
    batch = EventMaker("r", known, single=False).make(made)
    assert batch.data == encode_batch(trades)
    assert decode_event(TRADE_BATCH, batch.source, batch.id, batch.data).trades == trades
    assert EventMaker("r", known, single=True).make(made[:1]).data == encode_trade(trades[0])


@pytest.mark.parametrize("single", [True, False])
def test_an_event_passes_the_strict_codec_as_it_was(single):
    maker = EventMaker("20260131-ab", ["A"], single=single, schema_base_url="https://example.org/v1/schemas/")
    event = maker.make([("A", 321_000, 100, 1_769_851_800_250)])
    headers, body = encode_binary(event)
    assert decode(headers.items(), body, check_json_data=True) == [event]
    kind = TRADE_EXECUTED if single else TRADE_BATCH
    assert dict(event.attributes) == {
        "specversion": "1.0",
        "id": "0",
        "source": "/tradewind/generator/20260131-ab",
        "type": kind,
        "time": "2026-01-31T09:30:00.250Z",
        "datacontenttype": "application/json",
        "dataschema": f"https://example.org/v1/schemas/{kind}",
        **({"subject": "A"} if single else {}),
    }


def test_ids_count_up_within_a_run_and_runs_differ_in_source():
    row = ("A", 1, 1, 1)
    one, other = EventMaker("one", ["A"], single=True), EventMaker("other", ["A"], single=True)
    events = [one.make([row]) for _ in range(100)]
    assert [event.id for event in events] == [str(n) for n in range(100)]
    assert other.make([row]).source != events[0].source


def test_without_a_schema_url_there_is_no_dataschema():
    assert "dataschema" not in EventMaker("r", ["A"], single=True).make([("A", 1, 1, 1)]).attributes


@given(st.integers(0, MAX_TIME_MS))
def test_times_are_exact(time_ms):
    text = rfc3339(time_ms)
    time = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    assert (time.days * 86_400 + time.seconds) * 1000 + time.microseconds // 1000 == time_ms
    assert text.endswith("Z")
    assert len(text) == 24
