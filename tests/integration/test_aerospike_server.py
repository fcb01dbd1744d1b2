"""The adapter on a server that is frozen, killed, full, hot or not there. LONG_TESTS=1: longer faults."""

import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.aerospike_server import AerospikeServer
from tests.integration.shop import Shop, check_counted, count_until_done, make_events
from trades.store import DeadLetter, Outcome, StoreMisconfigured, StoreUnavailable, TradeStore
from trades.stores.aerospike import AerospikeStore, Names
from trades.trade import Trade, TradeEvent
from tradewind.checks.events import Faults
from tradewind.checks.repairs import CannotRepair, repair_store
from tradewind.checks.tickers import Checker

pytestmark = pytest.mark.aerospike

LONG = os.environ.get("LONG_TESTS") == "1"
FREEZE_S = 10.0 if LONG else 1.5
THREADS = 4
MakeServer = Callable[..., AerospikeServer]


def _store_and_count(store: TradeStore, event: TradeEvent, give_up_at: float) -> int:
    """Deliver until both are done; gives how often it was answered as unavailable."""
    refusals = 0
    while time.monotonic() < give_up_at:
        try:
            stored, counted = store.store_trades([event])[0], store.count_trades([event])[0]
        except StoreUnavailable:
            refusals += 1
            continue
        if Outcome.UNAVAILABLE not in (stored, counted):
            assert stored in (Outcome.STORED, Outcome.DUPLICATE)
            assert counted in (Outcome.COUNTED, Outcome.DUPLICATE)
            return refusals
        refusals += 1
    raise AssertionError("the store did not recover")


def _check_all_there(store: TradeStore, events: list[TradeEvent]) -> None:
    check_counted(store, events)
    stored = sorted((found.source, found.event_id, found.place, found.trade) for found in store.scan_trades())
    sent = sorted(
        (event.source, event.id, place, trade) for event in events for place, trade in enumerate(event.trades)
    )
    assert stored == sent


def test_a_frozen_server_under_load(own_aerospike_server: MakeServer) -> None:
    """Every call that meets the frozen server is in doubt; none of them counts twice."""
    server = own_aerospike_server()
    shop = Shop(server.host)
    store = shop.open(timeout_ms=300)
    store.ping()
    events = make_events(1, 300)
    give_up_at = time.monotonic() + 60 + FREEZE_S
    with ThreadPoolExecutor(THREADS) as pool:
        refusals = [pool.submit(_store_and_count, store, event, give_up_at) for event in events]
        server.freeze()
        time.sleep(FREEZE_S)
        server.thaw()
        assert sum(future.result() for future in refusals) > 0
    _check_all_there(shop.open(), events)
    store.close()


def test_a_killed_server_comes_back_with_what_it_acknowledged(own_aerospike_server: MakeServer) -> None:
    """The test server flushes within 1 ms; writes younger than that may die, and their events come again."""
    server = own_aerospike_server()
    shop = Shop(server.host)
    store = shop.open(timeout_ms=500)
    before, after = make_events(1, 60), make_events(2, 200)
    give_up_at = time.monotonic() + 90
    for event in before:
        _store_and_count(store, event, give_up_at)
    time.sleep(0.2)
    server.kill()
    with pytest.raises(StoreUnavailable):
        store.read_summary("T-0")
    server.start()
    count_until_done(lambda: store, before)
    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(_store_and_count, store, event, give_up_at) for event in after]:
            future.result()
    _check_all_there(store, before + after)


def test_a_hot_ticker_and_sixty_four_threads(shop: Shop) -> None:
    """All threads write to one record; the server refuses some (code 14), none is lost or counted twice."""
    store = shop.open(shard_count=1)
    store.ping()
    events = make_events(3, 640 if not LONG else 6_400, trades=2, tickers=1)
    give_up_at = time.monotonic() + 100
    start = threading.Barrier(64)

    def deliver(worker: int) -> None:
        start.wait()
        for event in events[worker::64]:
            _store_and_count(store, event, give_up_at)

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(deliver, range(64)))
    _check_all_there(store, events)


def test_a_full_namespace(own_aerospike_server: MakeServer) -> None:
    """stop-writes: nothing is acknowledged that isn't there, and the store says why it is not ready."""
    server = own_aerospike_server(megabytes=128, stop_writes_used_pct=8)
    shop = Shop(server.host)
    store = shop.open()
    stored: list[TradeEvent] = []
    number = 0
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        made = [Trade("FULL", 10_000 + place, 1, number) for place in range(1_000)]
        event = TradeEvent.of("/full", str(number), made, is_batch=True)
        number += 1
        outcome = store.store_trades([event])[0]
        if outcome is Outcome.UNAVAILABLE:
            break
        stored.append(event)
    assert outcome is Outcome.UNAVAILABLE
    assert store.count_trades([event]) == [Outcome.UNAVAILABLE]
    assert store.store_trades([stored[0]]) == [Outcome.UNAVAILABLE], "the server refuses before it looks"
    with pytest.raises(StoreUnavailable, match="full"):
        store.ping()
    whole = {(found.event_id, found.place) for found in store.scan_trades()}
    assert whole >= {(event.id, place) for event in stored for place in range(1_000)}


def test_a_client_that_has_given_up_its_last_node(own_aerospike_server: MakeServer) -> None:
    """It says OK to each record of a batch then, and sends nothing: nothing may be acknowledged."""
    server = own_aerospike_server()
    shop = Shop(server.host)
    store = shop.open(timeout_ms=500)
    old, new = make_events(1, 2)
    assert store.store_trades([old]) == [Outcome.STORED]
    assert store.count_trades([old]) == [Outcome.COUNTED]
    server.stop()
    client = store._cluster._connect()
    deadline_s = time.monotonic() + 60
    while client.get_nodes():
        assert time.monotonic() < deadline_s, "the client still knows its node"
        time.sleep(0.1)
    for call in (
        lambda: store.store_trades([new]),
        lambda: store.count_trades([new]),
        lambda: store.add_dead_letters([DeadLetter("0", 1, {}, b"", "", "", "", 0)]),
        lambda: store.reshard(3),
        lambda: store.read_summary("T-0"),
        lambda: store.read_changed_summaries(0),
        lambda: store.read_stored_count(),
        lambda: list(store.scan_trades()),
        lambda: list(store.scan_claims()),
        lambda: list(store.scan_tickers()),
        lambda: store.read_trades("T-0", 5),
        lambda: store.count_dead_letters(),
        lambda: store.read_notes(5),
        store.ping,
    ):
        try:
            assert call() == [Outcome.UNAVAILABLE]
        except StoreUnavailable:
            continue
    server.start()
    give_up_at = time.monotonic() + 60
    _store_and_count(store, new, give_up_at)
    _check_all_there(store, [old, new])
    assert store.read_dead_letters(1) == []


def test_nobody_listens_and_then_somebody_does(own_aerospike_server: MakeServer) -> None:
    server = own_aerospike_server()
    server.stop()
    store = Shop(server.host).open(timeout_ms=500)
    with pytest.raises(StoreUnavailable, match=str(server.port)):
        store.ping()
    server.start()
    store.ping()


def test_a_host_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = AerospikeStore([("127.0.0.1", silent.getsockname()[1])], timeout_ms=200)
        with pytest.raises(StoreUnavailable):
            store.count_trades(make_events(1, 1))


def test_a_namespace_that_is_not_there(shop: Shop) -> None:
    store = AerospikeStore([shop.host], names=Names(summary_namespace="nowhere"))
    with pytest.raises(StoreMisconfigured, match="nowhere"):
        store.ping()
    store.close()


def test_retention_needs_a_server_that_expires(own_aerospike_server: MakeServer, shop: Shop) -> None:
    """Namespace test of our own server has nsup-period; memory_ns has none."""
    server = own_aerospike_server()
    mine = Shop(server.host)
    (event,) = make_events(4, 1)
    expiring = AerospikeStore([server.host], names=mine.names, retention_s=1)
    assert expiring.count_trades([event]) == [Outcome.COUNTED]
    assert expiring.count_trades([event]) == [Outcome.DUPLICATE]
    time.sleep(2.2)
    assert expiring.count_trades([event]) == [Outcome.COUNTED], "a duplicate after retention counts again"
    expiring.close()
    never = Names(trades_namespace="memory_ns", trades_set=f"{mine.names.trades_set}m")
    unable = AerospikeStore([server.host], names=never, retention_s=1)
    with pytest.raises(StoreMisconfigured, match="nsup-period"):
        unable.ping()
    unable.close()


def test_raw_trades_that_expire(own_aerospike_server: MakeServer) -> None:
    """What is gone is no difference; what is there and not counted is one."""
    shop = Shop(own_aerospike_server().host)
    store = AerospikeStore([shop.host], names=shop.names, trade_retention_s=1)
    events = make_events(4, 20)
    assert store.store_trades(events) == [Outcome.STORED] * 20
    assert store.count_trades(events) == [Outcome.COUNTED] * 20
    deadline_s = time.monotonic() + 30
    while any(True for _ in store.scan_trades()):
        assert time.monotonic() < deadline_s, "expired records are still there"
        time.sleep(0.2)
    forever = shop.open()
    assert forever.read_expiry() == (False, True), "the store knows, whatever this process was told"
    checker = Checker(forever)
    assert checker.scan() == (0, 4, [], 120)
    assert checker.events.judge(lambda: True) == (*[Faults()] * 4, 0, 0, {}, {})
    with pytest.raises(CannotRepair, match="TRADE_RETENTION"):
        repair_store(forever, lambda: True)
    assert forever.store_trades(events) == [Outcome.STORED] * 20
    assert forever.count_trades(events) == [Outcome.DUPLICATE] * 20
    check_counted(forever, events)
    (late,) = make_events(9, 1)
    forever.store_trades([late])
    assert Checker(forever).scan().suspects == sorted({trade.ticker for trade in late.trades})
    store.close()
    shop.clear()


def test_a_store_works_on_after_a_fork(shop: Shop) -> None:
    """The client's threads don't live on in a child: it connects anew."""
    store = shop.open()
    first, second = make_events(6, 2)
    assert store.count_trades([first]) == [Outcome.COUNTED]
    child = os.fork()
    if child == 0:
        os._exit(0 if store.count_trades([second]) == [Outcome.COUNTED] else 1)
    assert os.waitpid(child, 0)[1] == 0
    check_counted(store, [first, second])
