"""The server in memory answers and keeps what a real one does, for everything the adapter asks of it."""

import itertools
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import pytest
from aerospike_helpers.batch.records import BatchRecord, Write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.shop import Shop
from tests.simulation.client import Network, SimulatedCluster
from tests.simulation.operations import copy
from trades.store import DeadLetter, StoreUnavailable
from trades.stores.aerospike import Cluster, ClusterOptions, Names
from trades.stores.aerospike.claims import Claims
from trades.stores.aerospike.counting import EventCounter
from trades.stores.aerospike.dead_letters import DeadLetters
from trades.stores.aerospike.fence import Fence, apply_filter, unchanged_filter
from trades.stores.aerospike.folding import Folder
from trades.stores.aerospike.layout import Key
from trades.stores.aerospike.plan import plan_group
from trades.stores.aerospike.raw_trades import RawTrades
from trades.stores.aerospike.repair import Repairer
from trades.stores.aerospike.resharding import Resharder
from trades.stores.aerospike.shard_pool import ShardPool
from trades.stores.aerospike.shards import Shards
from trades.stores.aerospike.summaries import Summaries
from trades.stores.aerospike.trimming import Trimmer
from trades.summary import tally_events
from trades.trade import Trade, TradeEvent

pytestmark = pytest.mark.aerospike

_runs = itertools.count()


class RealCluster(Cluster):
    """On a client that outlives it."""

    def __init__(self, options: ClusterOptions, client: object) -> None:
        super().__init__(options)
        self._shared = client

    def _connect(self) -> Any:
        return self._shared


class Side:
    """The adapter's parts on one cluster, and what that cluster answered."""

    def __init__(self, cluster: Cluster, names: Names, run: int) -> None:
        self.cluster, self.names, self.run = cluster, names, run
        self.answers: list[tuple[Any, ...]] = []
        self.keys: set[Any] = set()
        send = cluster._send
        cluster._send = partial(self._listen, send)  # type: ignore[method-assign]
        read = cluster.read_generations
        cluster.read_generations = partial(self._listen_to_reads, read)  # type: ignore[method-assign]
        self.claims, self.shards = Claims(cluster, names, 0), Shards(cluster, names)
        self.fence, self.folder = Fence(cluster, names, self.shards), Folder(cluster, names)
        self.trimmer = Trimmer(cluster, self.claims, self.fence, self.shards)
        self.counter = EventCounter(
            cluster,
            names,
            self.claims,
            self.fence,
            self.trimmer,
            self.shards,
            self.folder,
            ShardPool(self.shards, 2, random.Random(1)),
        )
        self.shards.raise_count(2)
        self.summaries = Summaries(cluster, names, self.shards)
        self.repairer = Repairer(cluster, names, self.shards, self.summaries, self.fence)
        self.resharder = Resharder(cluster, names, self.shards, self.folder, self.trimmer)
        self.raw_trades, self.letters = RawTrades(cluster, names), DeadLetters(cluster, names)

    def _listen(self, send: Any, requests: Sequence[BatchRecord], policy: Any) -> None:
        send(requests, policy)
        self.keys.update(request.key for request in requests)
        answers = [
            (
                request.key,
                request.result,
                request.record and (request.record[1]["gen"], copy(request.record[2])),
            )
            for request in requests
        ]
        self.answers += sorted(answers, key=repr)  # in what order a call's records are written is open

    def _listen_to_reads(self, read: Any, keys: Sequence[Key], *bins: str) -> Any:
        found = read(keys, *bins)
        self.keys.update(keys)
        self.answers += sorted(copy([*zip(keys, found, strict=True)]), key=repr)  # a scan gave the keys
        return found

    def event(self, rng: random.Random) -> TradeEvent:
        """One of few events, some of which have one id."""
        number = rng.randrange(8)
        made = random.Random(number)
        trades = [
            Trade(
                f"T{self.run}-{made.randrange(2)}",
                9_900 + made.randrange(300),
                made.randint(1, 9),
                made.randrange(5),
            )
            for _ in range(made.randint(1, 4))
        ]
        return TradeEvent.of(f"/{self.run}", str(number // 2 * 2), trades, is_batch=True)

    def events(self, rng: random.Random) -> list[TradeEvent]:
        return list(
            {event.key: event for event in (self.event(rng) for _ in range(rng.randint(1, 4)))}.values()
        )

    def ticker(self, rng: random.Random) -> str:
        return f"T{self.run}-{rng.randrange(2)}"


def count(side: Side, rng: random.Random) -> object:
    return side.counter.count(side.events(rng))


def apply_late(side: Side, rng: random.Random) -> None:
    """With any fence and any limit."""
    planned = plan_group(side.names, rng.randint(1, 2), side.events(rng))
    only_where = apply_filter(rng.randrange(4), rng.choice((1, 10**6, 2**61)))
    side.cluster.write([plan.write for plan in planned], only_where)


def claim(side: Side, rng: random.Random) -> object:
    return side.claims.make(side.events(rng), rng.randint(1, 2))


def set_done(side: Side, rng: random.Random) -> object:
    return side.claims.set_done([(event, 1) for event in side.events(rng)])


def trim(side: Side, rng: random.Random) -> None:
    ticker, shard = side.ticker(rng), rng.randint(1, 2)
    side.trimmer.trim([side.names.summary(ticker, shard), side.names.levels(ticker, shard, 39)])


def trim_late(side: Side, rng: random.Random) -> None:
    """With any note."""
    write = Write(
        side.names.summary(side.ticker(rng), 1),
        [{"op": 1, "bin": "trims", "val": rng.randrange(5)}],
        None,
        {"expressions": unchanged_filter(rng.choice((None, 0, 1, 2)))},
    )
    side.cluster.write([write])


def store(side: Side, rng: random.Random) -> object:
    return side.raw_trades.store(side.events(rng))


def repair(side: Side, rng: random.Random) -> object:
    ticker = side.ticker(rng)
    summary, levels = side.summaries.read_summary(ticker), side.summaries.read_levels(ticker)
    goal = tally_events(side.events(rng)).get(ticker)
    if summary is None:
        return side.repairer.replace(ticker, None, goal)
    found = tally_events(side.events(rng)).get(ticker)
    expected = type(found)(summary, levels) if found else None
    return side.repairer.replace(ticker, expected, goal)


def write_at_generation(side: Side, rng: random.Random) -> None:
    operations = [{"op": 1, "bin": "count", "val": rng.randrange(9)}]
    key = side.names.summary(side.ticker(rng), 1)
    side.cluster.write([Write(key, operations, {"gen": rng.randint(1, 4)}, {"gen": 1})])


def read_levels(side: Side, rng: random.Random) -> object:
    return side.summaries.read_level(side.ticker(rng), 9_900 + rng.randrange(300))


def note_shards(side: Side, rng: random.Random) -> None:
    side.shards.raise_count(rng.randint(1, 4))


def settle(side: Side, rng: random.Random) -> object:
    """Of any shard but the first, whether closed or not."""
    keys = [side.names.summary(side.ticker(rng), 2), side.names.levels(side.ticker(rng), 2, 39)]
    return {key: copy(bins) for key, bins in side.folder.settle(keys).items()}


def reshard(side: Side, rng: random.Random) -> object:
    return side.resharder.reshard(rng.randint(1, 3), lambda _records: None)


def make_letter(side: Side, rng: random.Random) -> DeadLetter:
    data = bytes(rng.choice([4, 150_000]))
    return DeadLetter(
        f"{side.run}-{rng.randrange(3)}", rng.randrange(3), {"id": "1"}, data, "f", "503", "busy", 0
    )


def keep_dead_letter(side: Side, rng: random.Random) -> object:
    return side.letters.add([make_letter(side, rng)])


def replay_dead_letter(side: Side, rng: random.Random) -> object:
    return side.letters.mark_replayed(make_letter(side, rng), rng.randrange(9))


Step = Callable[[Side, random.Random], object]
STEPS: list[Step] = [
    count,
    apply_late,
    claim,
    set_done,
    trim,
    trim_late,
    store,
    repair,
    write_at_generation,
    read_levels,
    note_shards,
    settle,
    reshard,
    keep_dead_letter,
    replay_dead_letter,
]


def simulated_cluster() -> Cluster:
    """A server in memory that nothing goes wrong with."""
    return SimulatedCluster(Network.without_faults())


def take(step: Step, side: Side, rng: random.Random) -> object:
    """A repair is refused while shards are closed and not folded."""
    try:
        return step(side, rng)
    except StoreUnavailable as error:
        return str(error)


def test_both_answer_alike(shop: Shop) -> None:
    options = shop.options()

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 10_000)), min_size=5, max_size=25))
    def compare(steps: list[tuple[Step, int]]) -> None:
        run = next(_runs)
        names = msgspec.structs.replace(shop.names, summary_set=f"s{run}{shop.names.summary_set}")
        real = Side(RealCluster(options, client), names, run)
        simulated = Side(simulated_cluster(), names, run)
        for step, seed in steps:
            answers = [take(step, side, random.Random(seed)) for side in (simulated, real)]
            assert answers[0] == answers[1], step.__name__
            assert simulated.answers == real.answers, step.__name__
        keys = sorted(real.keys)
        assert simulated.cluster.read(keys) == real.cluster.read(keys)

    client = Cluster(options)._connect()
    compare()
    client.close()
