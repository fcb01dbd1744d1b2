"""Is a trade a whale or a minnow? Answers each event of trades with one of type trade.classified.v1.

    tradewind attach functions/trade_size.py --expression "type IN ('trade.executed.v1', 'trade.batch.v1')"

It keeps nothing: all that it says follows from the event, so any number of pods may run it, and an event
that comes twice is answered by the same event twice. The counts are those of the event's own trades, by
symbol; whoever adds them up has to pass over an answer whose (source, id) it has seen. `volume_alert` shows
a function that keeps something.
"""

from collections import Counter

from functions.event_function import CloudEvent, event_function, reply_to
from functions.read_trades import read_trades

WHALE_VOLUME = 5_000
SIZES = ("WHALE", "MINNOW")


def size_of(volume: int) -> str:
    """More than 5,000 shares make a whale."""
    return "WHALE" if volume > WHALE_VOLUME else "MINNOW"


@event_function
def trade_size(event: CloudEvent) -> CloudEvent:
    trades = read_trades(event).trades
    classified = [(trade.ticker, trade.volume, size_of(trade.volume)) for trade in trades]
    counts = Counter((ticker, size) for ticker, _, size in classified)
    data = {
        "trades": [{"ticker": ticker, "volume": volume, "size": size} for ticker, volume, size in classified],
        "counts": {
            ticker: {size: counts[ticker, size] for size in SIZES}
            for ticker in dict.fromkeys(trade.ticker for trade in trades)
        },
    }
    return reply_to(event, "trade.classified.v1", data, source="/functions/trade-size")
