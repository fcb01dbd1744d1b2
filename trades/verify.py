"""Do the summaries say what the raw trades say? The algebra of `tradewind verify` and `tradewind repair`."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zlib import crc32

from trades.store import StoredTrade
from trades.summary import Latest, PriceLevel, Summary, Tally, add_trade
from trades.ticks import format_ticks

HASH_END = 1 << 32
LARGEST_SUM = 2**63 - 1  # that every store has room for

_NO_SUMMARY = Summary(0, 0, 0, 0, 0, Latest(0, "", 0))


class Part(NamedTuple):
    """The tallies of all trades of the tickers with `start <= hash < end`."""

    tallies: dict[str, Tally]
    start: int
    end: int

    def covers(self, ticker: str) -> bool:
        return self.start <= hash_ticker(ticker) < self.end


class Difference(NamedTuple):
    """A ticker whose summary or price levels are not those of its raw trades. None: there are none."""

    ticker: str
    raw: Tally | None
    summary: Tally | None

    @property
    def can_be_set(self) -> bool:
        """Whether a summary has room for the raw trades: their value is the largest of their sums."""
        return self.raw is None or self.raw.summary.notional_ticks <= LARGEST_SUM

    def describe(self) -> list[str]:
        """Each figure that differs, raw trades first: `trade_count 12 stored, 11 counted`."""
        if self.raw is None:
            return ["counted, but no trade of it is stored"]
        if self.summary is None:
            count = self.raw.summary.trade_count
            return [f"{count:,} trade{'s' if count != 1 else ''} stored, none counted"]
        lines = [
            f"{name.removesuffix('_ticks')} {_show(name, mine)} stored, {_show(name, other)} counted"
            for name, mine, other in _fields(self.raw.summary, self.summary.summary)
            if mine != other
        ]
        return lines + _describe_levels(self.raw.levels, self.summary.levels)


def hash_ticker(ticker: str) -> int:
    """The same in every process and run, 0 to HASH_END - 1."""
    return crc32(ticker.encode())


def merge_part(pieces: Iterable[tuple[str, Tally]], start: int, end: int, max_levels: int) -> Part:
    """Add up the pieces of the tickers from hash `start` on, as many as keep to `max_levels` price levels.

    At least one ticker is covered, however many levels it has. The pieces are used up.
    """
    tallies: dict[str, Tally] = {}
    hashes: dict[str, int] = {}
    levels = 0
    for ticker, piece in pieces:
        known = tallies.get(ticker)
        if known is None:
            hashed = hash_ticker(ticker)
            if not start <= hashed < end:
                continue
            hashes[ticker] = hashed
            tallies[ticker] = piece
            levels += len(piece.levels)
        else:
            levels -= len(known.levels)
            _add(known, piece)
            levels += len(known.levels)
        while levels > max_levels and len(set(hashes.values())) > 1:
            end = _middle(hashes)
            for dropped in [name for name, hashed in hashes.items() if hashed >= end]:
                levels -= len(tallies.pop(dropped).levels)
                del hashes[dropped]
    return Part(tallies, start, end)


def _add(tally: Tally, piece: Tally) -> None:
    """As Tally.merge, in place."""
    tally.summary = tally.summary.merge(piece.summary)
    levels = tally.levels
    for price_ticks, level in piece.levels.items():
        known = levels.get(price_ticks)
        levels[price_ticks] = known.merge(level) if known else level


def _middle(hashes: dict[str, int]) -> int:
    """A hash with something below it and something at or above it."""
    ordered = sorted(set(hashes.values()))
    return ordered[len(ordered) // 2]


def tally_ticker(trades: Iterable[StoredTrade]) -> Tally | None:
    """The tally of trades that are all of one ticker."""
    tallies: dict[str, Tally] = {}
    for stored in trades:
        add_trade(tallies, stored.trade, stored.event_id, stored.place)
    return next(iter(tallies.values()), None)


def to_tally(summary: Summary | None, levels: dict[int, PriceLevel]) -> Tally | None:
    """What a store answered about a ticker, as one. Levels without a summary agree with no raw trades."""
    if summary is None and not levels:
        return None
    return Tally(summary or _NO_SUMMARY, levels)


def compare(
    ticker: str, raw: Tally | None, summary: Tally | None, *, trades_expire: bool = False
) -> Difference | None:
    """None when they agree; where raw trades expire, when all that are there can be in the summary."""
    agree = is_within(raw, summary) if trades_expire else raw == summary
    return None if agree else Difference(ticker, raw, summary)


def is_within(raw: Tally | None, summary: Tally | None) -> bool:
    """Whether a summary can be of these trades and of others, which are not there any more."""
    if raw is None or summary is None:
        return raw is None
    mine, other = raw.summary, summary.summary
    return (
        mine.trade_count <= other.trade_count
        and mine.volume <= other.volume
        and mine.notional_ticks <= other.notional_ticks
        and mine.highest_ticks <= other.highest_ticks
        and mine.lowest_ticks >= other.lowest_ticks
        and mine.latest <= other.latest
        and all(_is_level_within(level, summary.levels.get(price)) for price, level in raw.levels.items())
    )


def _is_level_within(mine: PriceLevel, other: PriceLevel | None) -> bool:
    return (
        other is not None
        and mine.trade_count <= other.trade_count
        and mine.volume <= other.volume
        and mine.latest_time_ms <= other.latest_time_ms
    )


def _fields(mine: Summary, other: Summary) -> Iterable[tuple[str, Any, Any]]:
    return ((name, getattr(mine, name), getattr(other, name)) for name in Summary.__struct_fields__)


def _describe_levels(mine: dict[int, PriceLevel], other: dict[int, PriceLevel]) -> list[str]:
    wrong = sorted(price for price in mine.keys() | other.keys() if mine.get(price) != other.get(price))
    if not wrong:
        return []
    price = wrong[0]
    stored = mine[price].volume if price in mine else 0
    counted = other[price].volume if price in other else 0
    example = f"at {format_ticks(price)}: volume {stored:,} stored, {counted:,} counted"
    return [f"{len(wrong):,} price level{'s' if len(wrong) > 1 else ''}, {example}"]


def _show(name: str, value: int | Latest) -> str:
    if isinstance(value, Latest):
        time = datetime.fromtimestamp(value.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
        return f"{time.replace('+00:00', 'Z')} at {format_ticks(value.price_ticks)} ({value.trade_id})"
    return format_ticks(value) if name.endswith("_ticks") else f"{value:,}"
