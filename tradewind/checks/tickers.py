"""Compare summaries with raw trades while others write: what `verify` and `repair` have in common.

A difference counts only when it is the same before and after a moment at which nothing was on its way: at
that moment whatever had been accepted was stored and counted (or was a dead letter), so what still differs
will not settle by itself. A ticker that keeps changing is not judged.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

from trades.store import StoredTrade, TradeStore
from trades.summary import Tally
from trades.verify import Difference, compare, tally_ticker, to_tally
from tradewind.checks.events import EventCheck
from tradewind.checks.tallies import tally_all
from tradewind.laptop.snapshot import Queue, queues_of

PAGE = 1_000
MAX_JUDGED_LEVELS = 500_000  # at a time, twice: about 200 MB
ROUNDS = 8
PAUSE_S = 0.25

Idle = Callable[[], bool]
"""Return after a moment at which nothing was on its way; False if there was none for long."""


class Judgement(NamedTuple):
    """`confirmed` differences stay; `moving` tickers never held still."""

    confirmed: list[Difference]
    moving: list[str]


class Found(NamedTuple):
    """What the passes over everything found."""

    trades: int
    tickers: int
    suspects: list[str]
    not_kept: int = 0  # trades counted that are not there any more, where raw trades expire


class Checker:
    """Over one store. `count` is told of each raw trade that was read."""

    def __init__(self, store: TradeStore, count: Callable[[int], None] = lambda trades: None) -> None:
        self._store = store
        self._count = count
        self.expiry = store.read_expiry()
        self.events = EventCheck(store, self.expiry)

    def scan(self, max_levels: int | None = None) -> Found:
        """All tickers whose summary is not that of the raw trades, as far as one look at each can tell.

        The events, with trades or a claim, are looked at in the same pass over the trades; where they are
        many, in more of them. Raises StoreError, NoRoom.
        """
        suspects: list[str] = []
        trades = tickers = not_kept = 0
        parts = tally_all(self._watched_trades(), max_levels)
        first = next(parts)  # all trades were read
        counted = [*self._store.scan_tickers()]
        for part in chain([first], parts):
            names = sorted({*part.tallies, *filter(part.covers, counted)})
            tickers += len(names)
            for name in names:
                raw, summary = part.tallies.get(name), self._summary(name)
                trades += raw.summary.trade_count if raw else 0
                if self._compare(name, raw, summary):
                    suspects.append(name)
                elif summary:
                    not_kept += summary.summary.trade_count - (raw.summary.trade_count if raw else 0)
        self.watch_events()
        return Found(trades, tickers, sorted(suspects), not_kept)

    def watch_events(self) -> None:
        """Only the events. What is done of it, `scan` does not do again."""
        while not self.events.is_done:
            deque(self._watched_trades(), maxlen=0)

    def _watched_trades(self) -> Iterator[StoredTrade]:
        return self.events.watch(self._counted(self._store.scan_trades()))

    def check(self, ticker: str) -> Difference | None:
        """One ticker, now."""
        return self._compare(ticker, tally_ticker(self._raw(ticker)), self._summary(ticker))

    def _compare(self, ticker: str, raw: Tally | None, summary: Tally | None) -> Difference | None:
        return compare(ticker, raw, summary, trades_expire=self.expiry.trades)

    def judge(
        self,
        suspects: Iterable[str],
        idle: Idle,
        rounds: int = ROUNDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[Judgement]:
        """Look at each again until it agrees, or differs in the same way on both sides of an idle moment.

        Some at a time: what differs may be all there is, and each difference has all its price levels.
        """
        for differing in self._differing(suspects):
            yield self._judge(differing, idle, rounds, sleep)

    def _judge(
        self,
        differing: dict[str, Difference],
        idle: Idle,
        rounds: int,
        sleep: Callable[[float], None],
    ) -> Judgement:
        confirmed: list[Difference] = []
        for round_ in range(rounds):
            if not differing:
                break
            if round_:
                sleep(PAUSE_S)
            if not idle():
                continue
            now = self._check_all(differing)
            confirmed += (found for ticker, found in now.items() if differing[ticker] == found)
            differing = {ticker: found for ticker, found in now.items() if differing[ticker] != found}
        return Judgement(sorted(confirmed, key=lambda found: found.ticker), sorted(differing))

    def _differing(self, suspects: Iterable[str]) -> Iterator[dict[str, Difference]]:
        """Those that still differ, in portions of MAX_JUDGED_LEVELS or little more."""
        portion: dict[str, Difference] = {}
        levels = 0
        for ticker in suspects:
            found = self.check(ticker)
            if found is None:
                continue
            portion[ticker] = found
            levels += sum(len(tally.levels) for tally in (found.raw, found.summary) if tally)
            if levels >= MAX_JUDGED_LEVELS:
                yield portion
                portion, levels = {}, 0
        if portion:
            yield portion

    def _check_all(self, tickers: Iterable[str]) -> dict[str, Difference]:
        looked = ((ticker, self.check(ticker)) for ticker in tickers)
        return {ticker: found for ticker, found in looked if found is not None}

    def _summary(self, ticker: str) -> Tally | None:
        return to_tally(self._store.read_summary(ticker), self._store.read_levels(ticker))

    def _raw(self, ticker: str) -> Iterator[StoredTrade]:
        cursor: str | None = None
        while True:
            page = self._store.read_trades(ticker, PAGE, cursor)
            yield from page.trades
            cursor = page.next_cursor
            if cursor is None:
                return

    def _counted(self, trades: Iterable[StoredTrade]) -> Iterator[StoredTrade]:
        for number, trade in enumerate(trades, 1):
            if number % PAGE == 0:
                self._count(PAGE)
            yield trade


IDLE_WITHIN_S = 15.0
IDLE_POLL_S = 0.03
_TRIGGERS = ("store-trade", "update-summary")


def idle_broker(broker_url: str) -> Idle:
    """An Idle that asks the local broker. Raises Unreachable when called and the broker does not answer."""
    from tradewind.client import ask

    return lambda: wait_for_rest(lambda: queues_of(ask(broker_url + "/-/status").json))


def wait_for_rest(
    read_queues: Callable[[], Mapping[str, Queue]],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    poll_s: float = IDLE_POLL_S,
) -> bool:
    """Whether nothing was on its way to the functions that write trades, at some moment before long.

    An event that the broker keeps, as nobody took it, is not at rest: replayed, it would be counted after
    all.
    """
    deadline_s = clock() + IDLE_WITHIN_S
    while clock() < deadline_s:
        queues = read_queues()
        if not any(queue.pending or queue.kept for name, queue in queues.items() if name in _TRIGGERS):
            return True
        sleep(poll_s)
    return False
