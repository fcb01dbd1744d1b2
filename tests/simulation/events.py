"""What the producer publishes: events that meet in tickers, prices and times, and some that are poison."""

import random
from typing import NamedTuple

import msgspec

from eventing.event import Event
from tests.simulation.faults import Faults
from trades.codec import TRADE_BATCH, TRADE_EXECUTED, BadTrade, decode_event
from trades.ticks import format_ticks
from trades.trade import TradeEvent

NOON_MS = 1_760_000_000_000
_BAD_DATA = (
    b"{",
    b'{"trades": []}',
    b'{"trades": [{"ticker": "A", "price": "-1", "volume": 1, "timestamp": 1}]}',
    b'{"trades": [{"ticker": "", "price": "1", "volume": 1, "timestamp": 1}]}',
)


class Universe(NamedTuple):
    """How many tickers, and how far their prices spread: few of both make hot records."""

    tickers: int
    price_ticks: int
    trades: int


def publish_some(rng: random.Random, faults: Faults, count: int, universe: Universe) -> list[Event]:
    """`count` events in the order of publishing."""
    events: list[Event] = []
    for number in range(count):
        id_ = f"e{number}"
        if events and faults.strikes("sent again"):
            events.append(rng.choice(events))
        elif faults.strikes("bad data"):
            events.append(_event(id_, TRADE_BATCH, rng.choice(_BAD_DATA)))
        elif events and faults.strikes("conflict"):
            events.append(make_event(rng, rng.choice(events).id, universe))
        else:
            events.append(make_event(rng, id_, universe))
    return events


def make_event(rng: random.Random, id_: str, universe: Universe) -> Event:
    trades = [
        {
            "ticker": f"T-{rng.randrange(universe.tickers)}",
            "price": format_ticks(10_000 + rng.randrange(universe.price_ticks)),
            "volume": rng.randint(1, 900),
            "timestamp": NOON_MS + rng.randrange(4),
        }
        for _ in range(rng.randint(1, universe.trades))
    ]
    if len(trades) == 1 and rng.random() < 0.5:
        return _event(id_, TRADE_EXECUTED, msgspec.json.encode(trades[0]))
    return _event(id_, TRADE_BATCH, msgspec.json.encode({"trades": trades}))


def decode(event: Event) -> TradeEvent | None:
    """The trades in it, if it is not poison."""
    try:
        return decode_event(event.type, event.source, event.id, event.data or b"")
    except BadTrade:
        return None


def _event(id_: str, type_: str, data: bytes) -> Event:
    attributes = {"specversion": "1.0", "id": id_, "source": "/simulated", "type": type_}
    return Event({**attributes, "datacontenttype": "application/json"}, data)
