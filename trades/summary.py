"""Summaries of trades, and how two of them become one.

Merging is associative and commutative, and a fold of trades in any order, cut into any groups, gives the
same summary. It is not idempotent (counts add up): counting once is the store's work.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from trades.trade import Trade, TradeEvent, trade_id


class Latest(NamedTuple):
    """The latest trade by (time, id), never by arrival. The price breaks the tie of one id in two sources."""

    time_ms: int
    trade_id: str
    price_ticks: int


class Summary(msgspec.Struct):
    """All the trades of one ticker."""

    trade_count: int
    volume: int
    notional_ticks: int
    highest_ticks: int
    lowest_ticks: int
    latest: Latest

    def merge(self, other: "Summary") -> "Summary":
        return Summary(
            self.trade_count + other.trade_count,
            self.volume + other.volume,
            self.notional_ticks + other.notional_ticks,
            max(self.highest_ticks, other.highest_ticks),
            min(self.lowest_ticks, other.lowest_ticks),
            max(self.latest, other.latest),
        )


class PriceLevel(msgspec.Struct):
    """All the trades of one ticker at one price."""

    trade_count: int
    volume: int
    latest_time_ms: int

    def merge(self, other: "PriceLevel") -> "PriceLevel":
        return PriceLevel(
            self.trade_count + other.trade_count,
            self.volume + other.volume,
            max(self.latest_time_ms, other.latest_time_ms),
        )


class Tally(msgspec.Struct):
    """One ticker's summary and its price levels, keyed by price in ticks."""

    summary: Summary
    levels: dict[int, PriceLevel]

    def merge(self, other: "Tally") -> "Tally":
        levels = dict(self.levels)
        for price_ticks, level in other.levels.items():
            levels[price_ticks] = levels[price_ticks].merge(level) if price_ticks in levels else level
        return Tally(self.summary.merge(other.summary), levels)


def tally_events(events: Iterable[TradeEvent]) -> dict[str, Tally]:
    """The tallies of all the trades of some events, by ticker."""
    tallies: dict[str, Tally] = {}
    for event in events:
        for index, trade in enumerate(event.trades):
            add_trade(tallies, trade, event.id, event.place(index))
    return tallies


def add_trade(tallies: dict[str, Tally], trade: Trade, event_id: str, place: int) -> None:
    """Fold one trade in place. This is the hot loop: ids are built only where times tie.

    `place` is the trade's index in its batch, or SINGLE (see `trade_id`).
    """
    ticker, price_ticks, volume, time_ms = trade
    tally = tallies.get(ticker)
    if tally is None:
        latest = Latest(time_ms, trade_id(event_id, place), price_ticks)
        summary = Summary(1, volume, price_ticks * volume, price_ticks, price_ticks, latest)
        tallies[ticker] = Tally(summary, {price_ticks: PriceLevel(1, volume, time_ms)})
        return
    summary = tally.summary
    summary.trade_count += 1
    summary.volume += volume
    summary.notional_ticks += price_ticks * volume
    if price_ticks > summary.highest_ticks:
        summary.highest_ticks = price_ticks
    elif price_ticks < summary.lowest_ticks:
        summary.lowest_ticks = price_ticks
    if time_ms >= summary.latest.time_ms:
        summary.latest = max(summary.latest, Latest(time_ms, trade_id(event_id, place), price_ticks))
    level = tally.levels.get(price_ticks)
    if level is None:
        tally.levels[price_ticks] = PriceLevel(1, volume, time_ms)
        return
    level.trade_count += 1
    level.volume += volume
    if time_ms > level.latest_time_ms:
        level.latest_time_ms = time_ms
