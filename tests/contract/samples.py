"""Trades and events for tests, from a seed."""

import random
from collections.abc import Iterable, Sequence

from trades.store import TradeStore
from trades.summary import Tally, tally_events
from trades.trade import Trade, TradeEvent

NOON_MS = 1_760_000_000_000


def make_event(
    id_: str, trades: Iterable[Trade], *, source: str = "/test", is_batch: bool = True
) -> TradeEvent:
    made = list(trades)
    return TradeEvent.of(source, id_, made, is_batch=is_batch)


def make_trades(seed: int, count: int, tickers: Sequence[str] = ("A.COM", "B.COM", "AACT-UN")) -> list[Trade]:
    """Trades that share tickers, prices and times, in no order of time."""
    rng = random.Random(seed)
    return [
        Trade(
            rng.choice(tickers),
            rng.randrange(319_900, 320_100),
            rng.randrange(1, 10_000),
            NOON_MS + rng.randrange(5_000),
        )
        for _ in range(count)
    ]


def make_events(
    seed: int, count: int, *, trades: int = 7, tickers: Sequence[str] = ("A.COM", "B.COM", "AACT-UN")
) -> list[TradeEvent]:
    return [
        make_event(f"{seed}-{number}", make_trades(seed * 100_003 + number, trades, tickers))
        for number in range(count)
    ]


def check_counted(store: TradeStore, events: Sequence[TradeEvent]) -> None:
    """All ways to read agree with the events, and there is nothing else."""
    tallies = tally_events(events)
    assert sorted(store.scan_tickers()) == sorted(tallies)
    for ticker, tally in tallies.items():
        assert read_tally(store, ticker) == tally
        price_ticks = next(iter(tally.levels))
        assert store.read_level(ticker, price_ticks) == tally.levels[price_ticks]
    changed = store.read_changed_summaries(0).summaries
    assert changed == {ticker: tally.summary for ticker, tally in tallies.items()}


def read_tally(store: TradeStore, ticker: str) -> Tally | None:
    summary = store.read_summary(ticker)
    return None if summary is None else Tally(summary, store.read_levels(ticker))


def tally_one(events: Iterable[TradeEvent], ticker: str) -> Tally:
    return tally_events(events)[ticker]
