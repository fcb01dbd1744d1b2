"""The port that every store implements. One contract suite (`tests/contract`) runs against all of them.

    StoreError              what a caller may catch
    ├── StoreUnavailable    busy, down, slow or in doubt: doing the same again is safe and may succeed
    └── StoreMisconfigured  a person has to act: wrong address, missing namespace, file of another kind

Writes take a group of events and answer with one outcome an event, in order. A group may name the same
event twice. Doing any write again, whole or in part, by any number of workers at once, changes nothing
that was already done: this is what makes retries safe, whoever makes them.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from trades.summary import PriceLevel, Summary, Tally
from trades.trade import Trade, TradeEvent, event_key, trade_id


class StoreError(Exception):
    """Something is wrong with the store, not with the event."""


class StoreUnavailable(StoreError):
    """Busy, down, slow or in doubt. Nothing is known to have been done; doing it again is safe."""


class StoreMisconfigured(StoreError):
    """Trying again will not help before a person has acted; the message says what to do."""


class Outcome(StrEnum):
    """What became of one event."""

    STORED = "STORED"  # its raw trades are durable, by this call or an earlier, unfinished one
    COUNTED = "COUNTED"  # it is in the summaries, durably
    DUPLICATE = "DUPLICATE"  # the same event was done before; nothing changed
    CONFLICT = "CONFLICT"  # the same (source, id) with other trades was there first; nothing changed
    OVERFLOW = "OVERFLOW"  # a sum would leave 63 bits; nothing changed
    UNAVAILABLE = "UNAVAILABLE"  # as StoreUnavailable, for this event of the group only


class StoredTrade(NamedTuple):
    """A raw trade with the event it came in."""

    trade: Trade
    source: str
    event_id: str
    place: int

    @property
    def id(self) -> str:
        return trade_id(self.event_id, self.place)


class EventName(NamedTuple):
    """What makes an event itself."""

    source: str
    event_id: str

    @property
    def key(self) -> bytes:
        return event_key(*self)


class StoredClaim(NamedTuple):
    """That an event is counted; if not `is_done`, that it was begun. `name`: None where it is not kept.

    `trade_count`: of the event, where each trade is kept alone; 0 where an event is kept whole, or not known.
    """

    key: bytes  # the event's
    is_done: bool
    name: EventName | None
    trade_count: int = 0


class Expiry(NamedTuple):
    """What this store has ever been told to let go after a while."""

    claims: bool
    trades: bool


class TradePage(NamedTuple):
    """Trades newest first by (time, store order), and the cursor of the next page, or None at the end."""

    trades: list[StoredTrade]
    next_cursor: str | None


class ChangedSummaries(NamedTuple):
    """Summaries that changed at or after a cursor, and the cursor to ask with next time.

    A row may come again without having changed; a changed row is never left out.
    """

    summaries: dict[str, Summary]
    next_cursor: int


class Resharded(NamedTuple):
    """The shards that are written to now, and how many records were folded into the first."""

    shards: list[int]
    folded_records: int


class EventNote(msgspec.Struct):
    """What a function made of one delivery: an entry of the bounded ring that the events view reads."""

    function: str
    time_ms: int
    attributes: dict[str, str]
    data: bytes  # cut to MAX_CUT_DATA_BYTES
    data_size: int  # bytes, before the cut
    verdict: str  # an Outcome, or BAD_REQUEST
    reason: str  # "" when there is nothing to say


MAX_CUT_DATA_BYTES = 2_048  # in notes and in lists of dead letters
MAX_NOTES_PER_FUNCTION = 512


class LetterPlace(NamedTuple):
    """Where a dead letter stands in their order: by time, those of one millisecond by key."""

    received_ms: int
    key: str


class DeadLetter(msgspec.Struct):
    """An event that could not be handled, as the broker handed it over last, and why."""

    key: str  # hex; from source, id, destination and data: a redelivery is the same dead letter
    received_ms: int  # raised whenever it comes, so that it tells one coming from the next
    attributes: dict[str, str]  # the event's own, without the knativeerror* ones
    data: bytes
    destination: str  # knativeerrordest
    status: str  # knativeerrorcode
    reason: str  # knativeerrordata, decoded
    replayed_ms: int  # 0 while it waits
    left_out_bytes: int = 0  # of the data, where it is cut

    @property
    def place(self) -> LetterPlace:
        return LetterPlace(self.received_ms, self.key)


class TradeStore(Protocol):
    """Raw trades, summaries, dead letters and the ring of events, wherever they are kept.

    Objects are cheap to make and connect at first use, so that they can be made before a fork.
    Methods may be called from several threads. All raise StoreUnavailable or StoreMisconfigured;
    writes prefer an UNAVAILABLE outcome where only some events of a group are concerned.
    """

    def ping(self) -> None:
        """Return if the store can serve right now."""

    def close(self) -> None:
        """Let go of files and connections; a second call does nothing."""

    # Writes

    def store_trades(self, events: Sequence[TradeEvent]) -> list[Outcome]:
        """Make the raw trades durable: STORED, DUPLICATE, CONFLICT or UNAVAILABLE for each event."""

    def count_trades(self, events: Sequence[TradeEvent]) -> list[Outcome]:
        """Add the trades to the summaries, once: COUNTED, DUPLICATE, CONFLICT, OVERFLOW or UNAVAILABLE."""

    def add_notes(self, notes: Sequence[EventNote]) -> None:
        """Append to the ring of recent events; the oldest fall out. Losing notes is no harm."""

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> list[Outcome]:
        """Keep them: STORED or UNAVAILABLE for each. One that was there is as it came last, and waits."""

    def mark_replayed(self, letter: DeadLetter, time_ms: int) -> bool:
        """Note that a dead letter was sent again; False if it is not there, or has come again since `letter`
        was read: then it waits."""

    # Reads

    def read_summary(self, ticker: str) -> Summary | None: ...

    def read_level(self, ticker: str, price_ticks: int) -> PriceLevel | None: ...

    def read_levels(self, ticker: str) -> dict[int, PriceLevel]:
        """All price levels of a ticker by price in ticks, lowest price first."""

    def read_changed_summaries(self, cursor: int) -> ChangedSummaries:
        """Summaries of all tickers that changed since `cursor` (0 for all)."""

    def read_trades(self, ticker: str, limit: int, cursor: str | None = None) -> TradePage:
        """At most `limit` trades of a ticker, newest first. Raises ValueError for a cursor not of ours."""

    def read_stored_count(self) -> int:
        """How many raw trades are stored; may lag by a second, and costs the same however many there are."""

    def read_notes(self, limit: int) -> list[EventNote]:
        """The newest notes of all functions, newest first."""

    def read_dead_letters(
        self,
        limit: int,
        *,
        waiting_only: bool = True,
        before: LetterPlace | None = None,
        cut: bool = False,
    ) -> list[DeadLetter]:
        """Dead letters, newest first, those past `before`; `cut`: with MAX_CUT_DATA_BYTES of data at most."""

    def read_dead_letter(self, key: str) -> DeadLetter | None:
        """The one with this key, waiting or not, whole."""

    def count_dead_letters(self) -> int:
        """How many wait."""

    # Maintenance: what verify and repair stand on

    def scan_dead_letters(self, replayed_since_ms: int) -> Iterator[DeadLetter]:
        """Every one that waits, or was sent again then or later, whole, once, in any order, streamed."""

    def scan_trades(self) -> Iterator[StoredTrade]:
        """Every raw trade, once, in any order, streamed."""

    def scan_tickers(self) -> Iterator[str]:
        """Every ticker that has a summary, once, in any order."""

    def scan_claims(self) -> Iterator[StoredClaim]:
        """The claim of every event that is counted, or was begun, once, in any order, streamed."""

    def read_claims(self, keys: Sequence[bytes]) -> dict[bytes, StoredClaim]:
        """The claims that there are of these events, by key."""

    def count_stored(self, claim: StoredClaim) -> int:
        """How many raw trades of this event are there; 0 or 1 for all if the claim has no `trade_count`."""

    def claim_stored(self, events: Sequence[EventName]) -> None:
        """Claim as counted those of the events that are stored and have no claim; nothing is counted."""

    def read_expiry(self) -> Expiry:
        """Whether claims or raw trades may be gone because they were old."""

    def replace_tally(self, ticker: str, expected: Tally | None, tally: Tally | None) -> bool:
        """Set a ticker's summary and levels if they still are `expected`; False if they have changed.

        A store with several records a ticker changes each of them only if it is as it was read. So when it
        says False some may have been set: read again, and work out anew what is lacking.
        """

    def reshard(
        self, shard_count: int, count: Callable[[int], None] = lambda records: None
    ) -> Resharded | None:
        """Spread each ticker over `shard_count` records from now on; None for a store that does not spread.

        May be broken off anywhere and done again, by several at once, while others read and write.
        `count` is told of the records that were looked at.
        """
