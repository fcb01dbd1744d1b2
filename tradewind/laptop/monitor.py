"""Looks at the running pipeline: asks broker, functions and kernel, and listens to the generator."""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Any

import aiohttp
import msgspec

from tradewind.laptop.child import Child
from tradewind.laptop.cpu import CpuMeter, OwnCpuMeter
from tradewind.laptop.snapshot import (
    ProcessRow,
    Progress,
    Queue,
    Rate,
    Snapshot,
    StoreTotals,
    count_duplicates,
    queues_of,
)
from tradewind.laptop.totals import Running

PROBE_TIMEOUT_S = 2.0
PROBE_INTERVAL_S = 2.0
PROBE_INTERVAL_STARTING_S = 0.05
METRICS_INTERVAL_S = 5.0


class Monitor:
    """Open it with `async with`. `progress` is the callback for the generator's lines."""

    def __init__(self, query_url: str, broker_url: str, function_urls: Sequence[str]) -> None:
        self._query_url = query_url
        self._broker_url = broker_url
        self._progress = Progress()
        self._sent, self._accepted, self._refused = Running(), Running(), Running()
        self._duplicates = {url: Running() for url in function_urls}
        self._store = StoreTotals()
        self._queues: dict[str, Queue] = {}
        self.broker_trouble = ""  # why it takes no events
        self._retried: dict[str, Running] = {}  # by trigger, from where each was when it was first seen
        self._sent_rate, self._counted_rate = Rate(), Rate()
        self._cpu = CpuMeter()
        self._own_cpu = OwnCpuMeter()
        self._started_s = time.monotonic()
        self._asked_metrics_s = self._started_s

    async def __aenter__(self) -> "Monitor":
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    # What it is told

    def progress(self, line: bytes) -> None:
        """A line of the generator's standard output; anything but progress is passed over."""
        try:
            self._progress = progress = msgspec.json.decode(line, type=Progress)
        except msgspec.MsgspecError:
            return
        self._sent.seen(progress.sent_trades)
        self._accepted.seen(progress.accepted_trades)
        self._refused.seen(progress.refused)

    def begin(self) -> None:
        """The run begins now, as all is ready."""
        self._started_s = time.monotonic()

    def generator_restarted(self) -> None:
        for counter in (self._sent, self._accepted, self._refused):
            counter.restarted()

    # What it asks

    async def probe(self, url: str) -> str:
        """Why a server is not ready, in words; empty when it is."""
        try:
            async with self._session.get(url + "/readyz") as answer:
                if answer.status < 300:
                    return ""
                text = (await answer.content.read(300)).decode("utf-8", "replace").strip()
                return f"not ready: {answer.status} {text}"
        except aiohttp.ClientConnectorError:
            return "it does not listen yet"
        except TimeoutError:
            return f"no answer within {PROBE_TIMEOUT_S:g} s"
        except (aiohttp.ClientError, OSError) as error:
            return f"no answer: {type(error).__name__}"

    async def keep_probing(self, child: Child) -> None:
        """Tell a child's process how it is, for ever: soon after a start, then seldom."""
        while not child.process.over:
            child.started.clear()
            pid = child.process.pid
            problem = await self.probe(child.program.url) if pid else ""
            if pid and child.process.pid == pid:  # not an answer of its former life
                child.process.probed(problem, time.monotonic())
            interval_s = PROBE_INTERVAL_S
            if child.process.state == "starting":
                interval_s = PROBE_INTERVAL_STARTING_S
            try:
                await asyncio.wait_for(child.started.wait(), interval_s)
            except TimeoutError:
                continue

    async def look(self, children: Sequence[Child], *, last: bool = False) -> Snapshot:
        """Ask all; what does not answer stays as it was. `last`: read the functions' counters, too."""
        now_s = time.monotonic()
        await asyncio.gather(self._ask_broker(), self._ask_query())
        if last or now_s - self._asked_metrics_s >= METRICS_INTERVAL_S:
            self._asked_metrics_s = now_s
            await asyncio.gather(*map(self._ask_function, self._duplicates))
        return Snapshot(
            elapsed_s=now_s - self._started_s,
            processes=[self._row(child, now_s) for child in children],
            own_cpu_percent=self._own_cpu.percent(now_s),
            sent=self._sent.total,
            accepted=self._accepted.total,
            refused=self._refused.total,
            paused=self._progress.paused,
            store=self._store,
            queues=self._queues,
            duplicates=sum(counter.total for counter in self._duplicates.values()),
            retried=self.retried,
            sent_per_s=self._sent_rate.seen(now_s, self._sent.total),
            counted_per_s=self._counted_rate.seen(now_s, self._store.trades_counted),
        )

    @property
    def retried(self) -> int:
        """Deliveries that the broker has repeated since the first look, for triggers that went as well."""
        return sum(counter.total for counter in self._retried.values())

    async def waiting(self, *, besides: Collection[str] = ()) -> int | None:
        """Deliveries that the broker has not finished, without those of the triggers `besides`; None if it
        does not answer.
        """
        if not await self._ask_broker():
            return None
        return sum(queue.pending for name, queue in self._queues.items() if name not in besides)

    async def _ask_broker(self) -> bool:
        status = await self._get_json(self._broker_url + "/-/status")
        if status is None:
            return False
        self._queues = queues_of(status)
        self.broker_trouble = str(status.get("trouble", ""))
        for name, queue in self._queues.items():
            retried = queue.total.retried
            self._retried.setdefault(name, Running(_last=retried)).seen(retried)
        return True

    async def _ask_query(self) -> None:
        totals = await self._get_json(self._query_url + "/v1/totals")
        if totals is not None:
            self._store = msgspec.convert(totals, StoreTotals)

    async def _ask_function(self, url: str) -> None:
        text = await self._get(url + "/metrics")
        if text is not None:
            self._duplicates[url].seen(count_duplicates(text.decode()))

    async def _get(self, url: str) -> bytes | None:
        try:
            async with self._session.get(url) as answer:
                return await answer.read() if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def _get_json(self, url: str) -> Any:
        body = await self._get(url)
        return None if body is None else msgspec.json.decode(body)

    def _row(self, child: Child, now_s: float) -> ProcessRow:
        process = child.process
        return ProcessRow(
            process.name,
            process.state,
            process.reason,
            process.restarts,
            process.pid,
            child.program.url,
            self._cpu.percent(process.pid, now_s),
        )
