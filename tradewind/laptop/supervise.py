"""One `tradewind up` from beginning to end: folder, ports, pipeline, totals, exit code."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace

from rich.console import Console

from trades.store import StoreError, StoreUnavailable
from tradewind.attached.keeper import AttachedFunctions
from tradewind.exits import BROKEN, FINE, UNUSABLE
from tradewind.laptop.folder import DataFolder, FolderInUse, FolderUnusable, Run
from tradewind.laptop.leash import Leash
from tradewind.laptop.ledger import Ledger, open_url, read_ledger
from tradewind.laptop.monitor import Monitor
from tradewind.laptop.monitoring import MISSING, USUAL_PORT, Monitoring, find_prometheus
from tradewind.laptop.pipeline import CannotStart, Pipeline, Plan
from tradewind.laptop.program import (
    PortBusy,
    Ports,
    attached_program,
    check_settings,
    choose_ports,
    generator_program,
    next_free,
    server_programs,
    usual_or_free,
)
from tradewind.laptop.screen import LiveScreen, PlainScreen, totals_table
from tradewind.laptop.snapshot import Snapshot
from tradewind.laptop.stops import Stops
from tradewind.laptop.totals import Totals
from tradewind.options import absolute

LEDGER_TRIES = 10
LEDGER_PAUSE_S = 1.0


@dataclass(frozen=True)
class Wishes:
    """What the user asked for. `generator`: its settings by environment variable; None: do not run it."""

    folder: DataFolder
    store: str | None = None
    fresh: bool = False
    for_s: float | None = None
    query_port: int | None = None
    broker_port: int | None = None
    generator: Mapping[str, str] | None = field(default_factory=dict)
    monitoring: bool = False


def supervise(wishes: Wishes, console: Console) -> int:
    """Run the pipeline until it is asked to stop. Returns the exit code."""
    try:
        with wishes.folder.locked():
            return asyncio.run(_supervise(wishes, console))
    except (FolderInUse, FolderUnusable, PortBusy, StoreError, OSError) as error:
        print(f"tradewind up: {error}", file=sys.stderr)
        return UNUSABLE


async def _supervise(wishes: Wishes, console: Console) -> int:
    check_settings(wishes.generator)
    open_url(wishes.store or wishes.folder.store_url).close()  # connects to nothing, but knows a wrong URL
    if wishes.fresh:
        wishes.folder.clear()
    ports, messages = choose_ports(wishes.query_port, wishes.broker_port)
    monitoring = _monitoring(wishes, ports, messages)
    plan = _plan(wishes, ports, monitoring)
    if wishes.fresh and not plan.run.is_store_in_data:
        messages.append(f"--fresh emptied {plan.run.data} only: {plan.run.store} keeps what it has")
    greet(console, plan.run, messages)
    screen = LiveScreen(console) if console.is_terminal else PlainScreen(console)
    functions = [ports.url(name) for name in ("store-trade", "update-summary")]
    with Leash() as leash, Stops().heeded() as stops:
        async with (
            Monitor(plan.run.query_url, plan.run.broker_url, functions) as monitor,
            monitoring.running(wishes.folder, leash, screen.say) if monitoring else contextlib.nullcontext(),
        ):
            pipeline = Pipeline(plan, monitor, screen, leash)
            attached = AttachedFunctions(
                wishes.folder,
                pipeline,
                lambda each, port: attached_program(each, wishes.folder, plan.run.store, ports, port),
                [*ports.numbers.values(), *(monitoring.ports if monitoring else ())],
                screen.say,
            )
            try:
                await attached.settle()
                if not await _unless(stops.asked, pipeline.start()):
                    screen.say("Stopping before everything is ready; Ctrl-C again does not wait.")
                    await pipeline.abort(stops.again)
                    return FINE
                before = await _read_ledger(plan.run.store)
                if before.counted:
                    screen.say(
                        f"Earlier runs counted {before.counted:,} trades, which the store's figures include."
                    )
                await _unless(stops.asked, pipeline.start_generator())
            except (CannotStart, StoreError) as error:
                console.print(str(error), markup=False, highlight=False, soft_wrap=True)
                await pipeline.abort(stops.again)
                return UNUSABLE
            with screen:
                keeping = asyncio.create_task(attached.keep())
                held = await pipeline.watch(stops.asked, wishes.for_s)
                keeping.cancel()
                screen.say("Stopping: the generator first, then what waits in the broker.")
                last, left = await pipeline.stop(stops.again)
    try:
        after = await _read_ledger(plan.run.store)
    except StoreError as error:
        return report_without_store(console, last, left, error)
    killed = pipeline.generator is not None and (
        pipeline.generator.process.restarts > 0 or stops.again.is_set()
    )
    adds_up = report(console, add_up(before, after, last, left, generator_killed=killed))
    return FINE if held and adds_up else BROKEN


async def _read_ledger(url: str) -> Ledger:
    """A store that is busy for a moment is asked again. Raises StoreError."""
    for _ in range(LEDGER_TRIES - 1):
        with contextlib.suppress(StoreUnavailable):
            return await asyncio.to_thread(read_ledger, url)
        await asyncio.sleep(LEDGER_PAUSE_S)
    return await asyncio.to_thread(read_ledger, url)


async def _unless(asked: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Do the work; False, and the work broken off, if the user asked to stop before it was done."""
    task, stop = asyncio.create_task(work), asyncio.create_task(asked.wait())
    await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not task.done():
        task.cancel()
        return False
    task.result()
    return True


def _monitoring(wishes: Wishes, ports: Ports, messages: list[str]) -> Monitoring | None:
    """Prometheus, if it is wanted and there; what to tell the user of it is added to the messages."""
    if not wishes.monitoring:
        return None
    executable = find_prometheus()
    if executable is None:
        messages.append(MISSING)
        return None
    taken = list(ports.numbers.values())
    port = usual_or_free(USUAL_PORT, taken)
    monitoring = Monitoring(executable, wishes.folder.monitoring, port, next_free([*taken, port]))
    messages.append(f"Prometheus        {monitoring.url}")
    return monitoring


def _plan(wishes: Wishes, ports: Ports, monitoring: Monitoring | None) -> Plan:
    folder = wishes.folder
    store = absolute(wishes.store or folder.store_url)  # commands may be called in another folder
    run = Run(
        pid=os.getpid(),
        started_ms=int(time.time() * 1000),
        data=str(folder.path),
        store=store,
        query_url=ports.url("query"),
        broker_url=ports.url("broker"),
        ingress_url=ports.ingress_url,
    )
    settings = {"METRICS_ADDRESS": monitoring.generator_address} if monitoring else {}
    generator = None
    if wishes.generator is not None:
        generator = generator_program(ports, {**settings, **wishes.generator})
    plan = Plan(folder, run, server_programs(folder, store, ports), generator)
    return replace(plan, on_run=monitoring.write_targets) if monitoring else plan


def greet(console: Console, run: Run, messages: list[str]) -> None:
    """Where to look and where to send, first of all."""
    lines = [
        f"Page and queries  {run.query_url}",
        f"Events go to      {run.ingress_url}",
        f"Data is kept in   {run.data}" + ("" if run.is_store_in_data else f" and {run.store}"),
        *messages,
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def add_up(
    before: Ledger, after: Ledger, last: Snapshot, left: int | None, *, generator_killed: bool
) -> Totals:
    """The run's totals: from the store where it knows, else from what the processes said."""
    return Totals(
        sent=last.sent,
        accepted=last.accepted,
        refused_events=last.refused,
        previous=before.stored,
        previous_counted=before.counted,
        trades_expire=after.trades_expire,
        stored=after.stored,
        counted=after.counted,
        duplicate_events=last.duplicates,
        retried_events=last.retried,
        dead_letters=after.dead_letters,
        more_dead_letters=after.more_dead_letters,
        dead_store_trades=after.dead_store_trades,
        dead_summary_trades=after.dead_summary_trades,
        left_in_broker=left,
        kept_in_broker=sum(queue.kept for queue in last.queues.values()),
        generator_killed=generator_killed,
    )


def report_without_store(console: Console, last: Snapshot, left: int | None, error: StoreError) -> int:
    """The run is over and its store does not answer: what the processes said, and that it proves nothing."""
    waiting = "an unknown number of" if left is None else f"{left:,}"
    console.print(
        f"{last.sent:,} trades sent, {last.accepted:,} accepted; {waiting} deliveries wait in the broker, on "
        f"disk. What is stored and counted cannot be told: {error}. When the store answers, "
        "`tradewind verify` tells, and the next `tradewind up` delivers what waits.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return BROKEN


def report(console: Console, totals: Totals) -> bool:
    """Print the totals; False if they do not add up."""
    console.print(totals_table(totals))
    problems = totals.problems()
    for line in totals.notes():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for line in problems:
        console.print(
            f"This does not add up: {line}. `tradewind verify` shows where.", style="bold red", markup=False
        )
    if not problems and totals.can_tell:
        console.print(
            f"All adds up: each accepted trade is {totals.proved}, or waits in a dead letter.",
            soft_wrap=True,
        )
    return not problems
