"""The cases of the original demo's unit tests: random trades against a tally, many trades at one price."""

import random

from samples import NOON_MS, make_event

from trades.store import TradeStore
from trades.trade import Trade

MARKET = {
    "A.COM": (32.0, 0.3, 50, 10_000),
    "B.COM": (124.0, 0.2, 500, 50_000),
    "C.COM": (75.0, 0.1, 700, 100_000),
}


def make_market(seed: int, count: int) -> list[Trade]:
    rng = random.Random(seed)
    trades = []
    for number in range(count):
        ticker = rng.choice(list(MARKET))
        mean, deviation, least, most = MARKET[ticker]
        price_ticks = round(rng.gauss(mean, deviation) * 100) * 100
        trades.append(Trade(ticker, price_ticks, rng.randint(least, most), NOON_MS + number))
    return trades


def test_a_thousand_random_trades_against_a_tally(store: TradeStore) -> None:
    trades = make_market(1, 1_000)
    for number, trade in enumerate(trades):
        event = make_event(f"e{number:04}", [trade], is_batch=False)
        assert store.count_trades([event]) == ["COUNTED"]
    for ticker in MARKET:
        own = [trade for trade in trades if trade.ticker == ticker]
        summary = store.read_summary(ticker)
        assert summary is not None
        assert summary.volume == sum(trade.volume for trade in own)
        assert summary.highest_ticks == max(trade.price_ticks for trade in own)
        assert summary.lowest_ticks == min(trade.price_ticks for trade in own)
        assert summary.latest.time_ms == max(trade.time_ms for trade in own)
        assert summary.latest.price_ticks == max(own, key=lambda trade: trade.time_ms).price_ticks
        assert summary.trade_count == len(own)
        assert summary.notional_ticks == sum(trade.price_ticks * trade.volume for trade in own)


def test_a_thousand_trades_at_each_price(store: TradeStore) -> None:
    prices = [319_000 + 100 * step for step in range(5)]
    trades = [
        Trade("A.COM", price, number + 1, NOON_MS + number) for number in range(1_000) for price in prices
    ]
    random.Random(2).shuffle(trades)
    events = [make_event(f"e{start}", trades[start : start + 100]) for start in range(0, len(trades), 100)]
    assert store.count_trades(events) == ["COUNTED"] * 50
    levels = store.read_levels("A.COM")
    assert list(levels) == prices
    for price in prices:
        assert levels[price].trade_count == 1_000
        assert levels[price].volume == 1_000 * 1_001 // 2
        assert levels[price].latest_time_ms == NOON_MS + 999
        assert store.read_level("A.COM", price) == levels[price]


def test_a_thousand_random_trades_backwards_give_the_same(store: TradeStore) -> None:
    trades = make_market(3, 1_000)
    events = [make_event(f"e{number:04}", [trade], is_batch=False) for number, trade in enumerate(trades)]
    for start in range(0, 1_000, 50):
        store.count_trades(events[::-1][start : start + 50])
    for ticker in MARKET:
        own = [trade for trade in trades if trade.ticker == ticker]
        summary = store.read_summary(ticker)
        assert summary is not None
        assert (summary.trade_count, summary.volume) == (len(own), sum(trade.volume for trade in own))
        assert summary.latest.price_ticks == own[-1].price_ticks
