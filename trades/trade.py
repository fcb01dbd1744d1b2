"""A trade, and the event that carries it: the event is the identity."""

from hashlib import blake2b
from typing import NamedTuple

import msgspec

MAX_TRADES_PER_EVENT = 1_000
MAX_VOLUME = 1_000_000_000
# A trade of more than ten billion dollars is refused: 30,000 of the largest still add up within 64 bits.
MAX_NOTIONAL_TICKS = 10**14


SINGLE = -1  # the place of a trade that is an event of its own


def trade_id(event_id: str, place: int) -> str:
    """A trade's id within its source: the event's own id, or `<event id>-<index>` in a batch."""
    return event_id if place == SINGLE else f"{event_id}-{place}"


class Trade(NamedTuple):
    """One execution. A plain tuple, as there are tens of thousands a second."""

    ticker: str
    price_ticks: int
    volume: int
    time_ms: int


class TradeEvent(msgspec.Struct, frozen=True):
    """The trades of one CloudEvent, with what makes the event recognisable when it comes again.

    CloudEvents 1.0, section 3.1: equal `source` and `id` are the same event. `digest` is of the trades
    as understood, not of the bytes: a broker may re-encode JSON on the way.
    """

    source: str
    id: str
    trades: list[Trade]
    digest: bytes
    is_batch: bool
    key: bytes = b""  # from source and id; computed once, as a store asks for it a dozen times

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "key", event_key(self.source, self.id))

    @classmethod
    def of(cls, source: str, id_: str, trades: list[Trade], *, is_batch: bool) -> "TradeEvent":
        """With the digest of these trades."""
        return cls(source, id_, trades, digest_trades(trades, is_batch), is_batch)

    def place(self, index: int) -> int:
        """Where `trades[index]` stands for `trade_id`: its index in a batch, else SINGLE."""
        return index if self.is_batch else SINGLE


def event_key(source: str, event_id: str) -> bytes:
    """16 bytes; the length keeps ("a", "bc") and ("ab", "c") apart."""
    encoded = source.encode()
    return blake2b(b"%d:%b%b" % (len(encoded), encoded, event_id.encode()), digest_size=16).digest()


def digest_trades(trades: list[Trade], is_batch: bool) -> bytes:
    """16 bytes that differ when any trade of an event, their order, or its kind, and so their ids, differ."""
    kind = b"" if is_batch else b"single"
    return blake2b(msgspec.msgpack.encode(trades), digest_size=16, person=kind).digest()
