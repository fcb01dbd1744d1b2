"""The door over real HTTP: what comes in which form, and what the answer says."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventing.bounded_http import MAX_HEAD_BYTES
from tests.functions.conftest import (
    FunctionProcess,
    Reply,
    StartFunction,
    event_headers,
    trade,
    trade_body,
)
from trades.store import TradeStore
from trades.stores.sqlite import SqliteStore

MAX_BODY_BYTES = 64 * 1024


@pytest.fixture(scope="module")
def store_trade(start_module_function: StartFunction) -> FunctionProcess:
    return start_module_function("store_trade", MAX_BODY_BYTES=str(MAX_BODY_BYTES))


@pytest.fixture(scope="module")
def update_summary(start_module_function: StartFunction) -> FunctionProcess:
    return start_module_function("update_summary")


@pytest.fixture
def store(store_folder: Path) -> Iterator[TradeStore]:
    store = SqliteStore(store_folder)
    yield store
    store.close()


def is_done(reply: Reply) -> bool:
    return reply.status == 202 and reply.body == b""


# Forms of one event


def test_binary(store_trade: FunctionProcess, store: TradeStore) -> None:
    assert is_done(store_trade.post(trade_body(ticker="BIN"), event_headers("binary")))
    (stored,) = store.read_trades("BIN", 10).trades
    assert stored.trade == ("BIN", 321000, 100, 1_700_000_000_000)
    assert (stored.source, stored.id) == ("/tests", "binary")


def test_structured(store_trade: FunctionProcess, store: TradeStore) -> None:
    event = {"specversion": "1.0", "id": "structured", "source": "/tests", "type": "trade.executed.v1"}
    event |= {"datacontenttype": "application/json", "data": trade(ticker="STRUCT", price=32.1)}
    content_type = {"content-type": "application/cloudevents+json; charset=utf-8"}
    assert is_done(store_trade.post(json.dumps(event), content_type))
    assert [stored.id for stored in store.read_trades("STRUCT", 10).trades] == ["structured"]


def test_many_trades_in_one_event(store_trade: FunctionProcess, store: TradeStore) -> None:
    body = json.dumps({"trades": [trade(ticker="MANY", volume=index + 1) for index in range(300)]})
    assert is_done(store_trade.post(body, event_headers("many", "trade.batch.v1")))
    ids = {stored.id for stored in store.read_trades("MANY", 1000).trades}
    assert ids == {f"many-{index}" for index in range(300)}


def _batch(*events: dict[str, object]) -> tuple[bytes, dict[str, str]]:
    attributes = {"specversion": "1.0", "source": "/tests", "type": "trade.executed.v1"}
    content_type = {"content-type": "application/cloudevents-batch+json"}
    return json.dumps([attributes | event for event in events]).encode(), content_type


def test_batch_of_events(store_trade: FunctionProcess, store: TradeStore) -> None:
    events = [{"id": f"batched-{index}", "data": trade(ticker="BATCH")} for index in range(150)]
    assert is_done(store_trade.post(*_batch(*events)))
    assert len(store.read_trades("BATCH", 1000).trades) == 150


def test_a_batch_with_a_bad_event_is_refused_after_its_good_ones_are_done(
    store_trade: FunctionProcess, store: TradeStore
) -> None:
    good, bad = trade(ticker="MIXED"), trade(ticker="MIXED", volume=0)
    reply = store_trade.post(*_batch({"id": "good", "data": good}, {"id": "bad", "data": bad}))
    assert reply.status == 400
    assert reply.detail == "event 1: volume must be a whole number from 1 to 1000000000"
    assert [stored.id for stored in store.read_trades("MIXED", 10).trades] == ["good"]


def test_chunked_body(store_trade: FunctionProcess, store: TradeStore) -> None:
    body = trade_body(ticker="CHUNKED")
    assert is_done(store_trade.post(iter([body[:10], body[10:]]), event_headers("chunked")))
    assert len(store.read_trades("CHUNKED", 10).trades) == 1


def test_any_path_takes_events(store_trade: FunctionProcess) -> None:
    assert is_done(store_trade.request("POST", "/a/b", trade_body(), event_headers("with a path")))


# Once, and only once


def test_a_duplicate_changes_nothing(update_summary: FunctionProcess, store: TradeStore) -> None:
    for _ in range(3):
        assert is_done(update_summary.post(trade_body(ticker="TWICE"), event_headers("twice")))
    summary = store.read_summary("TWICE")
    assert summary is not None
    assert (summary.trade_count, summary.volume) == (1, 100)
    line = 'tradewind_events_total{function="update_summary",verdict="DUPLICATE"}'
    assert update_summary.metric(line) == 2


def test_the_same_identity_with_other_trades_is_a_conflict(
    store_trade: FunctionProcess, update_summary: FunctionProcess, store: TradeStore
) -> None:
    for function in (store_trade, update_summary):
        assert is_done(function.post(trade_body(ticker="FIRST"), event_headers("conflict")))
        reply = function.post(trade_body(ticker="SECOND"), event_headers("conflict"))
        assert reply.status == 422
        assert "this source and id" in reply.detail
    assert store.read_trades("SECOND", 10).trades == []
    assert store.read_summary("SECOND") is None


# What is wrong in itself: refused with the reason, never retried

JSON = {"content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
MALFORMED = {
    "no attributes": (trade_body(), JSON, 400, "not a CloudEvent"),
    "nothing at all": (b"", {}, 400, "not a CloudEvent"),
    "a form": (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 400, "not a CloudEvent"),
    "empty id": (trade_body(), event_headers(""), 400, "attribute id is empty"),
    "bad time": (trade_body(), event_headers(time="yesterday"), 400, "RFC 3339"),
    "unknown version": (trade_body(), event_headers(specversion="2.0"), 400, "specversion"),
    "broken JSON": (b'{"ticker": ', event_headers(), 400, "data is not a trade.executed.v1"),
    "no data": (b"", event_headers(), 400, "data is not a trade.executed.v1"),
    "not UTF-8": (b'{"ticker":"\xff"}', event_headers(), 400, "data is not a trade.executed.v1"),
    "other type": (trade_body(), event_headers(type_="order.placed.v1"), 400, "type must be"),
    "no volume": (b'{"ticker":"A","price":1,"timestamp":0}', event_headers(), 400, "volume"),
    "price 0": (trade_body(price=0), event_headers(), 400, "price must be greater than 0"),
    "price of 5 places": (trade_body(price="1.00001"), event_headers(), 400, "at most 4 decimal places"),
    "volume 0": (trade_body(volume=0), event_headers(), 400, "volume must be a whole number"),
    "volume 1.5": (trade_body(volume=1.5), event_headers(), 400, "volume"),
    "ticker with a space": (trade_body(ticker="A B"), event_headers(), 400, "ticker must be"),
    "third of a batch": (
        json.dumps({"trades": [trade(), trade(), trade(price=-1)]}).encode(),
        event_headers(type_="trade.batch.v1"),
        400,
        "trades[2].price must be",
    ),
    "empty batch": (b'{"trades":[]}', event_headers(type_="trade.batch.v1"), 400, "1 to 1000 trades"),
    "structured, not JSON": (b"{", STRUCTURED, 400, "not a JSON object"),
    "structured, no id": (b'{"specversion":"1.0","source":"/","type":"t"}', STRUCTURED, 400, "id is missing"),
    "batch, not a list": (b"{}", _batch()[1], 400, "not a JSON array"),
    "batch of none": (b"[]", _batch()[1], 400, "the batch is empty"),
    "batch of 1,001": (b"[" + b"{}," * 1000 + b"{}]", _batch()[1], 413, "send smaller batches"),
    "too large": (b" " * (MAX_BODY_BYTES + 1), event_headers(), 413, "more than 65536 bytes"),
    "text": (trade_body(), event_headers() | {"content-type": "text/csv"}, 415, "application/json"),
    "Avro": (b"", {"content-type": "application/cloudevents+avro"}, 415, "cannot be read here"),
    "compressed": (b"\x1f\x8b", event_headers() | {"content-encoding": "gzip"}, 415, "content-encoding"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(store_trade: FunctionProcess, store: TradeStore, name: str) -> None:
    body, headers, status, words = MALFORMED[name]
    before = store.read_stored_count()
    reply = store_trade.post(body, headers)
    assert reply.status == status
    assert words in reply.detail
    assert len(reply.body) <= 768, "more than a dead letter keeps"
    assert store.read_stored_count() == before


def test_a_long_reason_is_cut(store_trade: FunctionProcess) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/", "type": "t" * 20_000 + "%", "x" * 20_000: []}
    reply = store_trade.post(json.dumps(event), STRUCTURED)
    assert reply.status == 400
    assert len(reply.body) <= 768


def test_refusals_are_counted_and_noted_with_their_reason(
    store_trade: FunctionProcess, store: TradeStore
) -> None:
    refused = store_trade.metric('tradewind_events_total{function="store_trade",verdict="BAD_REQUEST"}')
    assert store_trade.post(trade_body(volume=0), event_headers("noted")).status == 400
    line = 'tradewind_events_total{function="store_trade",verdict="BAD_REQUEST"}'
    assert store_trade.metric(line) == refused + 1

    def is_noted() -> bool:
        return any(note.attributes.get("id") == "noted" for note in store.read_notes(512))

    store_trade.wait_for(is_noted)
    (note,) = [note for note in store.read_notes(512) if note.attributes.get("id") == "noted"]
    assert (note.function, note.verdict) == ("store_trade", "BAD_REQUEST")
    assert note.reason.startswith("volume must be")
    assert note.data == trade_body(volume=0)


# Methods and probes


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods(store_trade: FunctionProcess, method: str) -> None:
    reply = store_trade.request(method, "/")
    assert reply.status == 405
    assert "POST" in reply.headers["allow"]
    assert "POST" in reply.detail


def test_probes(store_trade: FunctionProcess) -> None:
    assert store_trade.get("/healthz").status == 200
    assert store_trade.get("/readyz").status == 200
    assert store_trade.request("HEAD", "/readyz") == store_trade.get("/readyz")._replace(body=b"")


def test_metrics(store_trade: FunctionProcess) -> None:
    line = 'tradewind_trades_total{function="store_trade",outcome="STORED"}'
    groups = 'tradewind_group_events_count{function="store_trade"}'
    seconds = 'tradewind_handling_seconds_count{function="store_trade"}'
    before = [store_trade.metric(name) for name in (line, groups, seconds)]
    body = json.dumps({"trades": [trade(), trade(), trade()]})
    assert is_done(store_trade.post(body, event_headers("measured", "trade.batch.v1")))
    after = [store_trade.metric(name) for name in (line, groups, seconds)]
    assert [now - then for now, then in zip(after, before, strict=True)] == [3, 1, 1]


# The wire


def _status_of(function: FunctionProcess, *pieces: bytes) -> bytes:
    """The status line that comes for these bytes, though the request never ends."""
    with socket.create_connection(("127.0.0.1", function.port), timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return connection.makefile("rb").readline().split(b" ")[1]


HEAD = (
    b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /\r\nce-type: trade.executed.v1\r\n"
)


def test_a_declared_length_is_refused_before_the_body(store_trade: FunctionProcess) -> None:
    head = HEAD + b"content-length: 1000000000000\r\nexpect: 100-continue\r\n\r\n"
    assert _status_of(store_trade, head) == b"413"


def test_an_endless_body_is_refused_while_it_streams(store_trade: FunctionProcess) -> None:
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    head = HEAD + b"transfer-encoding: chunked\r\n\r\n"
    assert _status_of(store_trade, head, *[chunk] * (MAX_BODY_BYTES // 0x4000 + 1)) == b"413"


def test_an_endless_head_is_refused(store_trade: FunctionProcess) -> None:
    assert _status_of(store_trade, (HEAD + b"x-header: ").ljust(MAX_HEAD_BYTES + 1, b"x")) == b"431"
    many = HEAD + b"x-header: x\r\n" * (MAX_HEAD_BYTES // 13)
    assert _status_of(store_trade, many.ljust(MAX_HEAD_BYTES + 1, b"x")) == b"431"


def test_not_http(store_trade: FunctionProcess) -> None:
    assert _status_of(store_trade, b"\x00\x01\x02\r\n\r\n") == b"400"


def test_a_sender_that_goes_away_leaves_nothing(store_trade: FunctionProcess, store: TradeStore) -> None:
    before = store.read_stored_count()
    with socket.create_connection(("127.0.0.1", store_trade.port), timeout=30) as connection:
        connection.sendall(HEAD + b"content-length: 100\r\n\r\n" + trade_body()[:10])
    assert is_done(store_trade.post(trade_body(), event_headers("after one went away")))
    assert store.read_stored_count() == before + 1


def test_logs_tell_refusals_but_no_payload(store_trade: FunctionProcess) -> None:
    assert store_trade.post(b'{"ticker":"S3CRET"}', event_headers("logged")).status == 400
    assert '"verdict": "BAD_REQUEST"' in store_trade.log
    assert "S3CRET" not in store_trade.log
