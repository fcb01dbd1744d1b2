"""Where things are kept: names, record keys and bins. Pure; docs/store.md has the table for people.

Keys cannot meet, however odd a ticker is, because what follows the last hyphen says what the record is:
digits for a summary, `b` and digits for price levels, `bands` or `p` and digits for their index. The keys
are stored with the records (aql shows them as PK), so a scan knows a record's ticker without another bin.
"""

from typing import NamedTuple
from urllib.parse import quote, unquote
from zlib import crc32

import msgspec

Key = tuple[str, str, str]

# At most 256 prices a record: a full one has 8 kB. Each apply rewrites the record, so its size is a cost.
BAND_TICKS = 256
# An index record names at most 8,192 bands (40 kB); the record of index pages, at most 4,769 of them.
PAGE_TICKS = BAND_TICKS * 8_192
# A record with this many marks is trimmed; each mark has 20 to 60 bytes.
MARKS_LIMIT = 64
# Or when one call put this many price entries into its marks.
ENTRIES_LIMIT = 1_024

TIME_BITS = 48  # milliseconds up to the year 9999
_TICKER_BITS = 15
# Printable ASCII stays as it is; a space would end the word, and a key that held a NUL would be cut there.
_READABLE = "!\"#$&'()*+,/:;<=>?@[\\]^`{|}"


class Names(msgspec.Struct, frozen=True):
    """Namespaces and sets. Set names may have up to 63 characters."""

    trades_namespace: str = "test"
    trades_set: str = "trades"
    events_set: str = "events"
    notes_set: str = "notes"
    dead_letters_set: str = "deadLetters"
    summary_namespace: str = "memory_ns"
    summary_set: str = "contractSummary"
    state_set: str = "tradewind"

    @property
    def drill_index(self) -> str:
        return f"{self.trades_set}_drill"

    def trade(self, prefix: str, index: int) -> Key:
        """`prefix` is `event_prefix(...)`, the same for all trades of an event.

        A trade that is an event of its own has index 0 and a bin `single`: it must meet a batch of its id.
        """
        return (self.trades_namespace, self.trades_set, f"{prefix} {index}")

    def claim(self, event_key: bytes) -> Key:
        """Hexadecimal: this client takes a `bytes` key for a string that ends at the first NUL."""
        return (self.trades_namespace, self.events_set, event_key.hex())

    def note(self, function: str, slot: int) -> Key:
        return (self.trades_namespace, self.notes_set, f"{function}-{slot}")

    def note_counters(self) -> Key:
        return (self.trades_namespace, self.notes_set, "counters")

    def dead_letter(self, key: str) -> Key:
        return (self.trades_namespace, self.dead_letters_set, key)

    def summary(self, ticker: str, shard: int) -> Key:
        return (self.summary_namespace, self.summary_set, f"{ticker}-{shard}")

    def levels(self, ticker: str, shard: int, band: int) -> Key:
        return (self.summary_namespace, self.summary_set, f"{ticker}-{shard}-b{band}")

    def pages(self, ticker: str, shard: int) -> Key:
        return (self.summary_namespace, self.summary_set, f"{ticker}-{shard}-bands")

    def bands(self, ticker: str, shard: int, page: int) -> Key:
        return (self.summary_namespace, self.summary_set, f"{ticker}-{shard}-p{page}")

    def state(self) -> Key:
        """The record of `shards` (the highest number ever used), `closed` and `trims` (see docs/store.md).

        By the summaries that it is about: several deployments share a server.
        """
        return (self.summary_namespace, self.state_set, self.summary_set)


class SummaryKey(NamedTuple):
    """What the key of a record with sums says. `band`: of price levels; None for a summary."""

    ticker: str
    shard: int
    band: int | None


def parse_summary_key(key: str) -> SummaryKey | None:
    """None for an index record, which holds no sums."""
    rest, _, last = key.rpartition("-")
    if last.isdecimal():
        return SummaryKey(rest, int(last), None)
    if last[:1] == "b" and last[1:].isdecimal():
        ticker, _, shard = rest.rpartition("-")
        return SummaryKey(ticker, int(shard), int(last[1:]))
    return None


def band_of(price_ticks: int) -> int:
    return price_ticks // BAND_TICKS


def page_of(band: int) -> int:
    return band * BAND_TICKS // PAGE_TICKS


def event_prefix(source: str, event_id: str) -> str:
    """Source and id as two words, whatever they hold: equal only for equal events."""
    return f"{quote(source, _READABLE)} {quote(event_id, _READABLE)}"


def parse_trade_key(key: str) -> tuple[str, str, int]:
    """Source, event id and index of a raw trade's key."""
    source, event_id, index = key.split(" ")
    return unquote(source), unquote(event_id), int(index)


def drill_base(ticker: str) -> int:
    """With a time, the bin `drill`: 15 bits from the ticker above it, so that one numeric index serves both.

    Tickers that share the 15 bits are told apart by the bin `ticker`.
    """
    return (crc32(ticker.encode()) & ((1 << _TICKER_BITS) - 1)) << TIME_BITS
