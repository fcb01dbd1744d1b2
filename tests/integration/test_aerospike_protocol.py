"""Counting once: the protocol broken off at every step, on a real server."""

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from aerospike_helpers.batch.records import Write

from tests.integration.shop import Crash, Shop, check_counted, count_until_done, make_events
from trades.store import Outcome
from trades.stores.aerospike import Cluster, ClusterOptions, counting, trimming
from trades.stores.aerospike.errors import NO_RESPONSE
from trades.trade import TradeEvent

pytestmark = pytest.mark.aerospike


@pytest.fixture
def early_trims(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trim as soon as a record has two marks."""
    monkeypatch.setattr(counting, "MARKS_LIMIT", 2)
    monkeypatch.setattr(trimming, "MARKS_LIMIT", 2)


class CrashingCluster(Cluster):
    """Ends the process at the n-th write call: before it, after it, or when half of it was sent."""

    def __init__(self, options: ClusterOptions, crash_at: int, when: str) -> None:
        super().__init__(options)
        self._calls_left = crash_at
        self._when = when

    def write(self, records: Sequence[Write], only_where: object = None) -> None:
        self._calls_left -= 1
        if self._calls_left != 0:
            return super().write(records, only_where)
        sent = {"before": 0, "half": len(records) // 2, "after": len(records)}[self._when]
        super().write(records[:sent], only_where)
        raise Crash


class FaultyCluster(Cluster):
    """Loses requests and answers, whole or record by record, by a seeded choice."""

    def __init__(self, options: ClusterOptions, seed: int, share: float = 0.15) -> None:
        super().__init__(options)
        self._random = random.Random(seed)
        self._share = share
        self.faults = 0

    def write(self, records: Sequence[Write], only_where: object = None) -> None:
        if self._random.random() > self._share:
            return super().write(records, only_where)
        self.faults += 1
        arriving = [record for record in records if self._random.random() < 0.6]
        super().write(arriving, only_where)
        if self._random.random() < 0.3:
            raise Crash
        for record in records:
            if record not in arriving or self._random.random() < 0.5:
                record.result = NO_RESPONSE
                record.record = None
        return None


class RecordingCluster(Cluster):
    """Keeps every write, to let it arrive a second time."""

    def __init__(self, options: ClusterOptions) -> None:
        super().__init__(options)
        self.writes: list[tuple[Write, object]] = []

    def write(self, records: Sequence[Write], only_where: object = None) -> None:
        super().write(records, only_where)
        self.writes += [(record, only_where) for record in records]

    def repeat(self, rng: random.Random) -> None:
        writes = list(self.writes)
        rng.shuffle(writes)
        for record, only_where in writes:
            super().write([Write(record.key, record.ops, record.meta, record.policy)], only_where)


class SleepingCluster(Cluster):
    """Sleeps before its n-th write call until it is woken."""

    def __init__(self, options: ClusterOptions, sleep_at: int) -> None:
        super().__init__(options)
        self._calls_left = sleep_at
        self.asleep = threading.Event()
        self.woken = threading.Event()

    def write(self, records: Sequence[Write], only_where: object = None) -> None:
        self._calls_left -= 1
        if self._calls_left == 0:
            self.asleep.set()
            assert self.woken.wait(30)
        super().write(records, only_where)


@pytest.mark.parametrize("when", ["before", "half", "after"])
@pytest.mark.parametrize("crash_at", [1, 2, 3, 4, 5])
def test_a_crash_at_any_step_is_made_good(shop: Shop, early_trims: None, crash_at: int, when: str) -> None:
    """Its writes: claims, records, done, trim counter, trims."""
    events = make_events(crash_at, 9)
    others = make_events(99, 3)
    assert shop.open().count_trades(others) == [Outcome.COUNTED] * 3
    crashing = shop.open(CrashingCluster(shop.options(), crash_at, when))
    with pytest.raises(Crash):
        crashing.count_trades(events)
    count_until_done(shop.open, events)
    check_counted(shop.open(), events + others)


@pytest.mark.parametrize("seed", range(3))
def test_lost_requests_and_answers(shop: Shop, early_trims: None, seed: int) -> None:
    events = make_events(seed, 60)
    clusters = [FaultyCluster(shop.options(), seed * 10 + number) for number in range(3)]
    stores = [shop.open(cluster) for cluster in clusters]
    rng = random.Random(seed)
    for start in range(0, len(events), 6):
        count_until_done(lambda: rng.choice(stores), events[start : start + 6])
    assert sum(cluster.faults for cluster in clusters) > 3
    check_counted(shop.open(), events)


def test_every_write_may_arrive_a_second_time(shop: Shop, early_trims: None) -> None:
    events = make_events(1, 40)
    cluster = RecordingCluster(shop.options())
    store = shop.open(cluster)
    rng = random.Random(1)
    for start in range(0, len(events), 5):
        store.count_trades(events[start : start + 5])
        if start % 2:
            cluster.repeat(rng)
    cluster.repeat(rng)
    check_counted(shop.open(), events)


@pytest.mark.parametrize("sleep_at", [2, 3, 4])
def test_a_worker_that_slept_through_done_and_trim(shop: Shop, early_trims: None, sleep_at: int) -> None:
    """Sleeps before its claim, its records or its done; meanwhile others finish the event and trim."""
    outcome = _sleep_through(shop, sleep_at)
    assert outcome is (Outcome.COUNTED if sleep_at == 4 else Outcome.DUPLICATE)
    check_counted(shop.open(), make_events(1, 1) + make_events(2, 30))


def test_without_the_fence_the_sleeper_counts_twice(
    shop: Shop, early_trims: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the fence is for: this is the test that the tests above can fail."""
    monkeypatch.setattr(counting, "apply_filter", lambda _trims, _limit: None)
    _sleep_through(shop, 3)
    with pytest.raises(AssertionError):
        check_counted(shop.open(), make_events(1, 1) + make_events(2, 30))


def _sleep_through(shop: Shop, sleep_at: int) -> Outcome:
    (event,) = make_events(1, 1)
    cluster = SleepingCluster(shop.options(timeout_ms=30_000), sleep_at)
    sleeper = shop.open(cluster, shard_count=1)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(sleeper.count_trades, [event])
        assert cluster.asleep.wait(30)
        other = shop.open(shard_count=1)
        other.count_trades([event])
        for later in make_events(2, 30):
            assert other.count_trades([later]) == [Outcome.COUNTED]
        cluster.woken.set()
        return future.result(30)[0]


def test_sixteen_workers_with_the_same_deliveries(shop: Shop, early_trims: None) -> None:
    events = make_events(5, 160, tickers=3)
    stores = [shop.open(shard_count=3) for _ in range(4)]

    def deliver(worker: int) -> None:
        rng = random.Random(worker)
        mine = rng.sample(events, 90)
        store = stores[worker % len(stores)]
        while mine:
            size = rng.randint(1, 12)
            count_until_done(lambda: store, mine[:size])
            mine = mine[size:]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(deliver, range(16)))
    count_until_done(shop.open, events)
    check_counted(shop.open(), events)


def test_a_claim_is_carried_on_with_its_own_shard(shop: Shop) -> None:
    """Two workers of different shards: the second one finishes in the first one's records."""
    (event,) = make_events(7, 1, tickers=1)
    crashing = shop.open(CrashingCluster(shop.options(), 3, "before"), shard_count=1)
    with pytest.raises(Crash):
        crashing.count_trades([event])
    other = shop.open(shard_count=50)
    assert other.count_trades([event]) == [Outcome.COUNTED]
    (bins,) = Cluster(shop.options()).read([shop.names.summary("T-0", 1)], "count")
    assert bins == {"count": 6}


def test_marks_stay_few_and_records_small(shop: Shop) -> None:
    """Many events of one ticker and price: marks are trimmed, totals are not."""
    events = make_events(8, 400, trades=2, tickers=1)
    store = shop.open(shard_count=1)
    for start in range(0, len(events), 10):
        store.count_trades(events[start : start + 10])
    (bins,) = Cluster(shop.options()).read([shop.names.summary("T-0", 1)], "marks", "trims")
    assert bins is not None
    assert len(bins["marks"]) <= counting.MARKS_LIMIT + 10
    assert bins["trims"] > 0
    check_counted(store, events)


def test_the_trim_counter_survives_its_own_loss(shop: Shop, early_trims: None) -> None:
    """A server that lost the counter but not the records must not lock them for ever."""
    store = shop.open(shard_count=1)
    events = make_events(9, 20)
    store.count_trades(events[:10])
    cluster = Cluster(shop.options())
    cluster._connect().remove(shop.names.state())
    assert shop.open(shard_count=1).count_trades(events[10:]) == [Outcome.COUNTED] * 10
    check_counted(store, events)


def _count_in_shards(shop: Shop, events: list[TradeEvent]) -> None:
    for event in events:
        assert shop.open(shard_count=6).count_trades([event]) == [Outcome.COUNTED]


@pytest.mark.parametrize("when", ["before", "half", "after"])
@pytest.mark.parametrize("crash_at", range(1, 13))
def test_a_reshard_that_crashes_at_any_step_is_run_again(
    shop: Shop, early_trims: None, crash_at: int, when: str
) -> None:
    """Its writes: closed; trim counter and trims; seals, names, folds; trims; folded; emptied; cleared."""
    events, later = make_events(crash_at, 12), make_events(99, 4)
    _count_in_shards(shop, events)
    old = shop.open(shard_count=6)
    old.ping()
    crashing = shop.open(CrashingCluster(shop.options(), crash_at, when), shard_count=2)
    with suppress(Crash):
        crashing.reshard(2)
    check_counted(shop.open(shard_count=2), events)
    count_until_done(lambda: old, later[:2])
    again = shop.open(shard_count=2).reshard(2)
    assert again is not None
    assert again.shards == [1, 2]
    count_until_done(lambda: old, later)
    check_counted(shop.open(shard_count=2), events + later)


@pytest.mark.parametrize("sleep_at", [2, 3, 4])
def test_a_worker_that_slept_through_a_reshard(shop: Shop, early_trims: None, sleep_at: int) -> None:
    """Sleeps before its claim, its records or its done, in a shard that is folded away meanwhile."""
    (event,) = make_events(1, 1)
    first = shop.open(shard_count=1)
    first.ping()
    cluster = SleepingCluster(shop.options(timeout_ms=30_000), sleep_at)
    sleeper = shop.open(cluster, shard_count=2)
    sleeper._open().counter._pool._idle.append(2)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(sleeper.count_trades, [event])
        assert cluster.asleep.wait(30)
        first.reshard(1)
        others = make_events(2, 12)
        if sleep_at > 2:
            assert first.count_trades([event]) == [Outcome.COUNTED]
        for later in others:
            assert first.count_trades([later]) == [Outcome.COUNTED]
        cluster.woken.set()
        assert future.result(30)[0] in (Outcome.COUNTED, Outcome.DUPLICATE)
    check_counted(shop.open(shard_count=1), [event, *others])


def test_a_shard_whose_closing_the_server_lost(shop: Shop) -> None:
    """Sealed records are found so, and their events go to the first shard."""
    events = make_events(1, 6)
    store = shop.open(shard_count=2)
    store._open().counter._pool._idle.append(2)
    assert store.count_trades(events[:3]) == [Outcome.COUNTED] * 3
    first = shop.open(shard_count=1)
    first.reshard(1)
    cluster = Cluster(shop.options())
    cluster._connect().remove(shop.names.state())
    late = shop.open(shard_count=2)
    late._open().counter._pool._idle.append(2)
    count_until_done(lambda: late, events)
    first.reshard(1)
    check_counted(shop.open(shard_count=1), events)
