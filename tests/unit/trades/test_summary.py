"""The algebra of summaries: any order, any grouping, one result."""

import random
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from trades.summary import PriceLevel, Summary, Tally, add_trade, tally_events
from trades.trade import Trade, TradeEvent, trade_id

trades = st.builds(
    Trade,
    st.sampled_from(["A", "B", "A-1"]),
    st.integers(1, 5) | st.integers(1, 10**10),
    st.integers(1, 10**4),
    st.integers(0, 4) | st.integers(0, 253_402_300_799_999),
)


@st.composite
def events(draw: st.DrawFn) -> TradeEvent:
    is_batch = draw(st.booleans())
    made = draw(st.lists(trades, min_size=1, max_size=12 if is_batch else 1))
    id_ = draw(st.sampled_from(["e", "e-1", "e-10", "é", "z"]))
    return TradeEvent.of(draw(st.sampled_from(["/x", "/y"])), id_, made, is_batch=is_batch)


groups = st.lists(events(), max_size=8)


def merge_all(parts: Iterable[dict[str, Tally]]) -> dict[str, Tally]:
    merged: dict[str, Tally] = {}
    for part in parts:
        for ticker, tally in part.items():
            merged[ticker] = merged[ticker].merge(tally) if ticker in merged else tally
    return merged


def tally_plainly(all_events: list[TradeEvent]) -> dict[str, Tally]:
    """What a summary means, in so many words."""
    found: dict[str, list[tuple[Trade, str]]] = {}
    for event in all_events:
        for index, trade in enumerate(event.trades):
            found.setdefault(trade.ticker, []).append((trade, trade_id(event.id, event.place(index))))
    return {ticker: _tally_ticker(rows) for ticker, rows in found.items()}


def _tally_ticker(rows: list[tuple[Trade, str]]) -> Tally:
    own = [trade for trade, _ in rows]
    prices = [trade.price_ticks for trade in own]
    summary = Summary(
        trade_count=len(own),
        volume=sum(trade.volume for trade in own),
        notional_ticks=sum(trade.price_ticks * trade.volume for trade in own),
        highest_ticks=max(prices),
        lowest_ticks=min(prices),
        latest=max((trade.time_ms, id_, trade.price_ticks) for trade, id_ in rows),  # type: ignore[arg-type]
    )
    levels = {}
    for price in prices:
        at_price = [trade for trade in own if trade.price_ticks == price]
        levels[price] = PriceLevel(
            len(at_price), sum(t.volume for t in at_price), max(t.time_ms for t in at_price)
        )
    return Tally(summary, levels)


@given(groups)
def test_a_tally_is_what_the_words_say(group: list[TradeEvent]) -> None:
    assert tally_events(group) == tally_plainly(group)


@given(groups, st.randoms(use_true_random=False))
def test_order_does_not_matter(group: list[TradeEvent], rng: random.Random) -> None:
    shuffled = list(group)
    rng.shuffle(shuffled)
    assert tally_events(shuffled) == tally_events(group)


@given(st.lists(groups, max_size=5))
def test_grouping_does_not_matter(parts: list[list[TradeEvent]]) -> None:
    together = tally_events(event for part in parts for event in part)
    assert merge_all(tally_events(part) for part in parts) == together


@given(groups)
def test_one_trade_at_a_time_gives_the_same(group: list[TradeEvent]) -> None:
    tallies: dict[str, Tally] = {}
    for event in group:
        for index, trade in enumerate(event.trades):
            add_trade(tallies, trade, event.id, event.place(index))
    assert tallies == tally_events(group)


@given(groups, groups, groups)
def test_merging_is_associative_and_commutative(
    first: list[TradeEvent], second: list[TradeEvent], third: list[TradeEvent]
) -> None:
    a, b, c = (tally_events(group).get("A") for group in (first, second, third))
    if a and b:
        assert a.merge(b) == b.merge(a)
        assert a.summary.merge(b.summary) == b.summary.merge(a.summary)
    if a and b and c:
        assert a.merge(b).merge(c) == a.merge(b.merge(c))


@given(groups, groups)
def test_merging_changes_neither_side(first: list[TradeEvent], second: list[TradeEvent]) -> None:
    a, b = tally_events(first).get("A"), tally_events(second).get("A")
    if a and b:
        merged = a.merge(b)
        for level in merged.levels.values():
            level.volume += 1
        merged.summary.volume += 1
        assert (a, b) == (tally_events(first)["A"], tally_events(second)["A"])
