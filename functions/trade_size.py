"""Whale or minnow? Answers each event of trades with one of type trade.classified.v1, and counts them.

    tradewind attach functions/trade_size.py --expression "type IN ('trade.executed.v1', 'trade.batch.v1')"

The answer follows from the event alone, with the counts of that event by symbol: an event that comes twice
is answered by the same event twice. The counts over all events stand in a store of its own (`own_store`), in
which an event counts once, however often it comes and however many pods run. They are read with the settings
of the function (STORE, and for SQLite FUNCTION_DATA=.tradewind/attached/trade-size), for all symbols or some:

    python -m functions.trade_size ASPS AAPL
"""

import sys
from collections import Counter
from contextlib import closing

from functions.event_function import BadEvent, CloudEvent, event_function, reply_to
from functions.once import Once
from functions.own_store import own_store
from functions.read_trades import read_trades
from trades.store import Outcome, StoreUnavailable, TradeStore
from trades.trade import TradeEvent

WHALE_VOLUME = 5_000
SIZES = ("WHALE", "MINNOW")


def size_of(volume: int) -> str:
    """More than 5,000 shares make a whale."""
    return "WHALE" if volume > WHALE_VOLUME else "MINNOW"


@event_function
def trade_size(event: CloudEvent) -> CloudEvent:
    trades = read_trades(event)
    count(trades)
    classified = [(trade.ticker, trade.volume, size_of(trade.volume)) for trade in trades.trades]
    counts = Counter((ticker, size) for ticker, _, size in classified)
    data = {
        "trades": [{"ticker": ticker, "volume": volume, "size": size} for ticker, volume, size in classified],
        "counts": {
            ticker: {size: counts[ticker, size] for size in SIZES}
            for ticker in dict.fromkeys(trade.ticker for trade in trades.trades)
        },
    }
    return reply_to(event, "trade.classified.v1", data, source="/functions/trade-size")


@Once
def sizes() -> TradeStore:
    """Made at the first event, by the process that uses it."""
    return own_store("tradeSizes")


def count(event: TradeEvent) -> None:
    """A symbol's whales are kept as trades of one more symbol, `ASPS WHALE`, each at the same price.

    Raises BadEvent or StoreUnavailable.
    """
    sized = [
        trade._replace(ticker=f"{trade.ticker} {size_of(trade.volume)}", price_ticks=1)
        for trade in event.trades
    ]
    [outcome] = sizes().count_trades(
        [TradeEvent(event.source, event.id, sized, event.digest, event.is_batch)]
    )
    if outcome is Outcome.UNAVAILABLE:
        raise StoreUnavailable("the store is busy: the event will come again")
    if outcome in (Outcome.CONFLICT, Outcome.OVERFLOW):
        raise BadEvent(f"{outcome}: an event with this source and id came before, or a sum is too large")


def read_counts(store: TradeStore, ticker: str) -> dict[str, int]:
    """A symbol's trades by size."""
    found = {size: store.read_summary(f"{ticker} {size}") for size in SIZES}
    return {size: summary.trade_count if summary else 0 for size, summary in found.items()}


def main(arguments: list[str]) -> None:
    with closing(sizes()) as store:
        tickers = arguments or sorted({name.rpartition(" ")[0] for name in store.scan_tickers()})
        for ticker in tickers:
            print(f"{ticker:<10}", *(f"{size} {n:,}" for size, n in read_counts(store, ticker).items()))


if __name__ == "__main__":
    main(sys.argv[1:])
