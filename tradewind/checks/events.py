"""Events that are in one place only: trades without a claim, a claim without trades or without some of them;
and claims left open.

Raw trades and claims are compared by event, in the passes in which `tickers` tallies the trades. Memory is
bounded as there: a pass compares the events whose key lies in a range, and makes the range shorter when they
are too many. What looks wrong is looked at again after a moment at which nothing was on its way.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from trades.store import EventName, Expiry, StoredClaim, StoredTrade, TradeStore
from trades.trade import event_key

KEYS_END = 1 << 32
MAX_KEYS = 500_000  # kept at a time: about 60 MB
MAX_SUSPECTS = 10_000  # of each sort, looked at one by one; there may be more
MAX_LISTED = 100


class Faults(msgspec.Struct):
    """Events of one kind. `tickers`: how many of the events have trades of each ticker."""

    count: int = 0
    tickers: dict[str, int] = msgspec.field(default_factory=dict)
    events: list[str] = msgspec.field(default_factory=list)  # the first of them, `SOURCE ID`


class EventFaults(NamedTuple):
    """What is wrong with events.

    `not_judged`: might be, but nothing was at rest long enough, or too many. `maybe_uncounted`: those of them
    that would be among `trades_without_claims` or `open_claims`.
    """

    open_claims: Faults
    claims_without_trades: Faults
    incomplete_events: Faults
    trades_without_claims: Faults
    not_judged: int
    maybe_uncounted: int
    unclaimed: dict[EventName, set[str]]  # all of `trades_without_claims`, with the tickers of their trades
    begun: dict[EventName, set[str]]  # all of `open_claims`, with the tickers of what is stored of them


class _Wrong(NamedTuple):
    """Events by key."""

    begun: dict[bytes, EventName | None]
    orphans: dict[bytes, EventName | None]
    incomplete: dict[bytes, EventName | None]
    unclaimed: dict[bytes, EventName | None]


class EventCheck:
    """Compares events in the passes over all raw trades: `watch` each pass until `is_done`; then `judge`."""

    def __init__(self, store: TradeStore, expiry: Expiry, max_keys: int = MAX_KEYS) -> None:
        self._store = store
        self._expiry = expiry
        self._max_keys = max_keys
        self._end = 0
        self._suspects: dict[bytes, EventName | None] = {}  # with trades and no claim, or with an open claim
        self._uncounted: set[bytes] = set()  # the former
        self._most_are_wrong = False
        self._more = 0
        self._short: list[bytes] = []  # with a claim, and fewer trades than it says
        self._more_short = 0

    @property
    def is_done(self) -> bool:
        return self._end == KEYS_END

    def watch(self, trades: Iterable[StoredTrade]) -> Iterator[StoredTrade]:
        """All of `trades`, which are all there are; compares the next range of events on the way."""
        start = self._end
        missing = self._read_claims(start) if start < KEYS_END else {}
        are_apart = any(trade_count > 1 for trade_count in missing.values())
        for stored in trades:
            if start < self._end and (are_apart or stored.place <= 0):
                key = event_key(stored.source, stored.event_id)
                if start <= _hash(key) < self._end:
                    self._see(key, stored, missing)
            yield stored
        if not self._expiry.trades:
            short = sorted(missing)
            room = MAX_SUSPECTS - len(self._short)
            self._short += short[:room]
            self._more_short += len(short[room:])

    def _see(self, key: bytes, stored: StoredTrade, missing: dict[bytes, int]) -> None:
        """Take a trade off what is `missing` of the events with a claim. An event's first stands for it where
        nothing says how many there are (0)."""
        is_first = stored.place <= 0
        count = missing.get(key)
        if count is None:
            if is_first and not self._expiry.claims:
                self._note_uncounted(key, EventName(stored.source, stored.event_id))
        elif count > 1:
            missing[key] = count - 1
        elif count or is_first:
            del missing[key]

    def _note_uncounted(self, key: bytes, name: EventName) -> None:
        if self._suspect(key, name):
            self._uncounted.add(key)

    def _read_claims(self, start: int) -> dict[bytes, int]:
        """How many trades each event with a claim has, for keys from `start` on, as many as there is room
        for; sets the end of the range."""
        counts: dict[bytes, int] = {}
        end = KEYS_END
        for claim in self._store.scan_claims():
            if not start <= _hash(claim.key) < end:
                continue
            if not claim.is_done:
                self._suspect(claim.key, claim.name)
            counts[claim.key] = claim.trade_count
            if len(counts) > self._max_keys:
                hashes = sorted(map(_hash, counts))
                end = max(hashes[len(hashes) // 2], start + 1)
                counts = {key: count for key, count in counts.items() if _hash(key) < end}
        self._end = end
        return counts

    def _suspect(self, key: bytes, name: EventName | None) -> bool:
        """Remember to look at it again; False if there is no room."""
        if len(self._suspects) >= MAX_SUSPECTS and not self._most_are_wrong:
            self._drop_settled()
        if len(self._suspects) < MAX_SUSPECTS or key in self._suspects:
            self._suspects[key] = name
            return True
        self._more += 1
        return False

    def _drop_settled(self) -> None:
        """What came in since the claims were read has been counted by now, but for the last of it."""
        claims = self._store.read_claims([*self._uncounted])
        for key in [key for key, claim in claims.items() if claim.is_done]:
            self._uncounted.remove(key)
            del self._suspects[key]
        self._most_are_wrong = len(self._suspects) > MAX_SUSPECTS // 2

    def judge(self, idle: Callable[[], bool]) -> EventFaults:
        """Look at each suspect again, after an idle moment."""
        nothing = EventFaults(Faults(), Faults(), Faults(), Faults(), 0, 0, {}, {})
        suspects = {**dict.fromkeys(self._short), **self._suspects}
        if not suspects:
            return nothing
        if not idle():
            return nothing._replace(
                not_judged=len(suspects) + self._more + self._more_short,
                maybe_uncounted=len(self._suspects) + self._more,
            )
        wrong = self._look_again(suspects)
        found = self._find_tickers(set().union(*wrong)) if any(wrong) else {}
        return EventFaults(
            _faults(wrong.begun, found),
            _faults(wrong.orphans, found),
            _faults(wrong.incomplete, found),
            _faults(wrong.unclaimed, found),
            self._more + self._more_short,
            self._more,
            {name: found.get(key, set()) for key, name in wrong.unclaimed.items() if name},
            {name: found.get(key, set()) for key, name in wrong.begun.items() if name},
        )

    def _look_again(self, suspects: Mapping[bytes, EventName | None]) -> _Wrong:
        wrong = _Wrong({}, {}, {}, {})
        claims = self._store.read_claims([*suspects])
        for key, name in suspects.items():
            claim = claims.get(key)
            if claim is None:
                if name is not None and self._store.count_stored(StoredClaim(key, False, name)):
                    wrong.unclaimed[key] = name
            elif not claim.is_done:
                wrong.begun[key] = claim.name
            elif not self._expiry.trades:
                stored = self._store.count_stored(claim)
                if not stored:
                    wrong.orphans[key] = claim.name
                elif stored < claim.trade_count:
                    wrong.incomplete[key] = claim.name
        return wrong

    def _find_tickers(self, keys: set[bytes]) -> dict[bytes, set[str]]:
        """One more pass over the raw trades, where something is wrong."""
        found: dict[bytes, set[str]] = {}
        for stored in self._store.scan_trades():
            key = event_key(stored.source, stored.event_id)
            if key in keys:
                found.setdefault(key, set()).add(stored.trade.ticker)
        return found


def _faults(events: Mapping[bytes, EventName | None], tickers: Mapping[bytes, set[str]]) -> Faults:
    counts = Counter(ticker for key in events for ticker in tickers.get(key, ()))
    shown = sorted(" ".join(name) if name else f"(key {key.hex()})" for key, name in events.items())
    return Faults(len(events), dict(sorted(counts.items())), shown[:MAX_LISTED])


def _hash(key: bytes) -> int:
    return int.from_bytes(key[:4], "big")
