"""One run: a pipeline, a producer, faults from a seed; then quiet, and the account of it all."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.aerospike_server import AerospikeServer
from tests.chaos.checks import check_generators, check_producer, check_store, read_taken
from tests.chaos.pipeline import Pipeline, PipelineBroke
from tests.chaos.producer import Producer, Sort
from tests.chaos.schedule import PROCESSES, SERVER, Kind, make_schedule
from tests.chaos.victims import Faults
from tests.chaos.watch import CountedWatch
from tradewind.laptop.folder import DataFolder
from tradewind.laptop.ledger import open_url

MAX_REFUSED_EVENTS = 400  # in a run: `up` looks at a thousand dead letters, two an event
MAX_TAKEN = 10_000_000  # the broker keeps all it took, to be compared with
REFUSALS = ("400", "422")
TRADES_A_PRODUCED_EVENT = 15  # about
FLUSH_S = 1.0  # far longer than the server's flush-max-ms
LOSS_LOAD_S = 5.0
MAX_TRIES = 5
TRY_AGAIN_S = 2.0


@dataclass(frozen=True)
class Wishes:
    """What kind of run. `aerospike`: on a server of its own, which meets with faults too."""

    seed: int
    seconds: float
    aerospike: bool = False
    trades_per_s: float = 1_000
    produced_events_per_s: float = 15
    mean_pause_s: float = 5
    longest_stop_s: float = 60


@dataclass
class Account:
    """What happened, and what is wrong; nothing should be."""

    problems: list[str] = field(default_factory=list)
    faults: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    sent: Counter[Sort] = field(default_factory=Counter)
    deliveries: Counter[tuple[str, str]] = field(default_factory=Counter)
    attempts: int = 0
    events: int = 0
    trades: int = 0
    refused_events: int = 0
    given_up: int = 0  # dead letters after too many attempts, sent again at the end
    starts: int = 0
    longest_accept_stall_s: float = 0.0
    longest_count_stall_s: float = 0.0
    server_loss: str = ""


async def run(wishes: Wishes, folder: Path) -> Account:
    """Everything, from an empty folder to the account, which has what went wrong."""
    with _server(wishes, folder) as server:
        chaos = Chaos(wishes, folder / "data", server)
        try:
            await chaos.run()
            await chaos.check()
            if server is not None and not chaos.account.problems:
                await chaos.lose_server(server)
                await chaos.check()
        except (PipelineBroke, ExceptionGroup) as error:
            chaos.account.problems.append(str(error))
        finally:
            chaos.pipeline.kill()
        return chaos.account


@contextlib.contextmanager
def _server(wishes: Wishes, folder: Path) -> Iterator[AerospikeServer | None]:
    if not wishes.aerospike:
        yield None
        return
    server = AerospikeServer(folder, megabytes=8_192)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Chaos:
    """One run on one data folder."""

    def __init__(self, wishes: Wishes, data: Path, server: AerospikeServer | None) -> None:
        self.account = Account()
        self._wishes = wishes
        self._server = server
        self._store = f"aerospike://{server.address}" if server else DataFolder(data).store_url
        self.pipeline = Pipeline(
            data,
            ["--store", self._store],
            {"BROKER_RETAIN_EVENTS": f"{MAX_TAKEN}", "BROKER_RETAIN_BYTES": f"{1 << 40}"},
        )
        produced_events = wishes.seconds * wishes.produced_events_per_s
        self.producer = Producer(
            self.pipeline.broker_url + "/tradewind/default",
            random.Random(wishes.seed),
            wishes.produced_events_per_s,
            min(0.1, MAX_REFUSED_EVENTS / produced_events),
            self.pipeline.status,
        )

    async def run(self) -> None:
        """Faults for so many seconds, then until nothing is on its way, then the end of all processes."""
        wishes, pipeline = self._wishes, self.pipeline
        generated = wishes.trades_per_s - wishes.produced_events_per_s * TRADES_A_PRODUCED_EVENT
        pipeline.arguments += ["--rate", f"{max(generated, 1):g}"]
        await pipeline.start("--fresh")
        producing = asyncio.create_task(self.producer.run())
        with closing(open_url(self._store)) as store:
            watch = CountedWatch(store)
            watching = asyncio.create_task(watch.run())
            try:
                await self._strike()
            except PipelineBroke:
                producing.cancel()  # it would try for hours to have its events taken
                raise
            self.producer.finish()
            await producing
            await pipeline.until_idle()
            self.account.given_up = await replay_given_up(pipeline)
            await pipeline.until_idle()
            watching.cancel()
        self.account.longest_count_stall_s = watch.longest_stall_s
        await pipeline.stop()

    async def _strike(self) -> None:
        wishes, server = self._wishes, self._server
        faults = Faults(lambda name: server.pid if server and name == SERVER else self.pipeline.find(name))
        self.account.faults = faults.done
        victims = (*PROCESSES, SERVER) if server else PROCESSES
        left_s = wishes.seconds  # of the schedule's own time: a machine that sleeps meets with as many faults
        try:
            for fault in make_schedule(wishes.seed, victims, wishes.mean_pause_s, wishes.longest_stop_s):
                left_s -= fault.pause_s
                if left_s < 0:
                    return
                await asyncio.sleep(fault.pause_s)
                await faults.begin(fault)
                await self.pipeline.restart_if_killed()
        finally:
            await faults.end_all()

    async def lose_server(self, server: AerospikeServer) -> None:
        """Kill the server under load, so that it may lose what it acknowledged last, and cure it as
        docs/store.md says: what the broker retains again, then `repair`.
        """
        pipeline = self.pipeline
        await pipeline.start("--no-generator")
        last = await pipeline.until_idle()
        await asyncio.sleep(FLUSH_S)
        producing = asyncio.create_task(self.producer.run())
        await asyncio.sleep(LOSS_LOAD_S)
        server.kill()
        server.start()
        self.producer.finish()
        await producing
        await pipeline.until_idle()
        await replay_given_up(pipeline)
        await pipeline.until_idle()
        _, found = await asyncio.to_thread(pipeline.command, "verify")
        await asyncio.to_thread(pipeline.replay, last + 1)
        await pipeline.until_idle()
        _, left = await asyncio.to_thread(pipeline.command, "verify")
        code, repaired = await asyncio.to_thread(pipeline.command, "repair")
        if code:
            self.account.problems.append(f"`tradewind repair`: {repaired}")
        self.account.server_loss = (
            f"{len(found['differences'])} tickers differed, {len(left['differences'])} after the replay, "
            f"{len(repaired)} were repaired"
        )
        await pipeline.stop()

    async def check(self) -> None:
        """Put down what happened, and every contradiction."""
        account, pipeline, producer = self.account, self.pipeline, self.producer
        taken = await asyncio.to_thread(read_taken, DataFolder(pipeline.data).broker_file, producer)
        account.problems += taken.problems + check_producer(taken, producer) + check_generators(taken)
        with closing(open_url(self._store)) as store:
            account.problems += await asyncio.to_thread(check_store, taken, store)
        code, report = await asyncio.to_thread(pipeline.command, "verify", "--store", self._store)
        if code or report["differences"] or report["not_judged"]:
            account.problems.append(f"`tradewind verify`: {report}")
        account.sent = producer.sent
        account.deliveries, account.attempts = taken.deliveries, taken.attempts
        account.events, account.refused_events = len(taken.events), len(taken.refused)
        account.trades = sum(content.trades for content in taken.events.values())
        account.starts = pipeline.starts
        account.longest_accept_stall_s = producer.longest_stall_s


async def replay_given_up(pipeline: Pipeline) -> int:
    """Send again what was not refused but tried too often; how many there were."""
    letters = await command(pipeline, "dlq", "list", "--limit", "1000")
    given_up = [letter["key"] for letter in letters if letter["status"] not in REFUSALS]
    for key in given_up:
        await command(pipeline, "dlq", "replay", key)
    return len(given_up)


async def command(pipeline: Pipeline, *words: str) -> Any:
    """What `tradewind` answers: a store that has just been frozen may say "try again" a few times."""
    for _ in range(MAX_TRIES):
        code, answer = await asyncio.to_thread(pipeline.command, *words)
        if not code:
            return answer
        await asyncio.sleep(TRY_AGAIN_S)
    raise PipelineBroke(f"`tradewind {' '.join(words)}`: {answer}")
