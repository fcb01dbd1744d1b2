"""Cut the events of a call into groups that one round of batch calls can take."""

from collections.abc import Iterator, Sequence

from trades.trade import TradeEvent

# What a call may put into one record stays far below the server's limit of 1 MiB: an entry of a mark has at
# most 31 bytes, a mark itself 20.
MAX_TRADES = 24_000
MAX_EVENTS = 1_024


def cut(events: Sequence[TradeEvent]) -> Iterator[list[int]]:
    """Places of events, in order, in bounded groups; no event is twice in a group."""
    group: list[int] = []
    keys: set[bytes] = set()
    trades = 0
    for place, event in enumerate(events):
        key, size = event.key, len(event.trades)
        if group and (key in keys or trades + size > MAX_TRADES or len(group) == MAX_EVENTS):
            yield group
            group, keys, trades = [], set(), 0
        group.append(place)
        keys.add(key)
        trades += size
    if group:
        yield group
