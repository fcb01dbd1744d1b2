"""Summaries of trades, and how two of them become one.

Merging is associative and commutative, and a fold of trades in any order, cut into any groups, gives the
same summary. It is not idempotent (counts add up): counting once is the store's work.
"""

from collections.abc import Iterable
from copy import copy
from typing import Any, NamedTuple

import msgspec

from trades.trade import Trade, TradeEvent, trade_id


class Latest(NamedTuple):
    """The latest trade by (time, id), never by arrival. The price breaks the tie of one id in two sources."""

    time_ms: int
    trade_id: str
    price_ticks: int


class Summary(msgspec.Struct, gc=False, array_like=True):  # no cycles, so the collector need not know of it
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


class PriceLevel(msgspec.Struct, gc=False, array_like=True):
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


class Tally(msgspec.Struct, gc=False, array_like=True):
    """One ticker's summary and its price levels, keyed by price in ticks."""

    summary: Summary
    levels: dict[int, PriceLevel]

    def merge(self, other: "Tally") -> "Tally":
        levels = {price_ticks: copy(level) for price_ticks, level in self.levels.items()}
        for price_ticks, level in other.levels.items():
            levels[price_ticks] = levels[price_ticks].merge(level) if price_ticks in levels else copy(level)
        return Tally(self.summary.merge(other.summary), levels)


def tally_events(events: Iterable[TradeEvent]) -> dict[str, Tally]:
    """The tallies of all the trades of some events, by ticker.

    This is the hot loop: the same as `add_trade` for each trade, but sums are kept in plain lists, and an id
    is built only for a ticker's latest trade and where times tie.
    """
    sums: dict[str, list[Any]] = {}
    for event in events:
        for index, (ticker, price_ticks, volume, time_ms) in enumerate(event.trades):
            found = sums.get(ticker)
            if found is None:
                level = PriceLevel(1, volume, time_ms)
                sums[ticker] = [
                    1, volume, price_ticks * volume, price_ticks, price_ticks,
                    time_ms, event, index, price_ticks, {price_ticks: level},
                ]  # fmt: skip
                continue
            found[_COUNT] += 1
            found[_VOLUME] += volume
            found[_NOTIONAL] += price_ticks * volume
            if price_ticks > found[_HIGHEST]:
                found[_HIGHEST] = price_ticks
            elif price_ticks < found[_LOWEST]:
                found[_LOWEST] = price_ticks
            if time_ms > found[_TIME] or (
                time_ms == found[_TIME] and _wins(event, index, price_ticks, found)
            ):
                found[_TIME], found[_EVENT], found[_INDEX], found[_PRICE] = time_ms, event, index, price_ticks
            levels = found[_LEVELS]
            level = levels.get(price_ticks)
            if level is None:
                levels[price_ticks] = PriceLevel(1, volume, time_ms)
                continue
            level.trade_count += 1
            level.volume += volume
            if time_ms > level.latest_time_ms:
                level.latest_time_ms = time_ms
    return {ticker: _to_tally(found) for ticker, found in sums.items()}


# What tally_events keeps for a ticker: the sums of a Summary, its latest trade, its levels.
_COUNT, _VOLUME, _NOTIONAL, _HIGHEST, _LOWEST, _TIME, _EVENT, _INDEX, _PRICE, _LEVELS = range(10)


def _wins(event: TradeEvent, index: int, price_ticks: int, found: list[Any]) -> bool:
    """Whether a trade is the latest of two that have the same time."""
    found_event = found[_EVENT]
    mine, other = event.place(index), found_event.place(found[_INDEX])
    return (trade_id(event.id, mine), price_ticks) > (trade_id(found_event.id, other), found[_PRICE])


def _to_tally(found: list[Any]) -> Tally:
    count, volume, notional, highest, lowest, time_ms, event, index, price_ticks, levels = found
    latest = Latest(time_ms, trade_id(event.id, event.place(index)), price_ticks)
    return Tally(Summary(count, volume, notional, highest, lowest, latest), levels)


def add_trade(tallies: dict[str, Tally], trade: Trade, event_id: str, place: int) -> None:
    """Fold one trade in place.

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
