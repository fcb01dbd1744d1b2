"""All tickers' summaries in memory, shared by the requests of this process, and what changed since when.

Refreshed from the store on demand, at most once in an interval: a function that nobody asks does nothing
and may be scaled to zero. No I/O of its own: the store's read, the clock and randomness are arguments.
"""

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from threading import Lock
from typing import NamedTuple, TypeVar, cast

from functions.query.cursor import Cursor
from functions.query.rate import RateMeter
from functions.query.views import encode_row
from trades.listings import Listing
from trades.store import ChangedSummaries, StoreError, StoreUnavailable
from trades.summary import Summary

REFRESH_INTERVAL_MS = 250
MAX_AGE_MS = 1_500  # what is shown while a refresh is on its way may have been read so long ago
RELOAD_INTERVAL_MS = 300_000  # everything is read again now and then: a repair may have removed a ticker
MAX_STARTS = 4_096  # refreshes whose store cursor is remembered, for clients that come from another table
MAX_CACHED = 256  # answers kept until the next refresh

T = TypeVar("T")


class Row:
    """A ticker's summary, when it changed, and its JSON once somebody has asked for it."""

    __slots__ = ("_json", "change", "listing", "refresh", "search_name", "search_ticker", "summary", "ticker")

    def __init__(self, ticker: str, listing: Listing | None, summary: Summary) -> None:
        self.ticker = ticker
        self.listing = listing
        self.search_ticker = ticker.casefold()
        self.search_name = listing.name.casefold() if listing else ""
        self.refresh = 0  # number of the last refresh in which the store named this row, changed or not
        self.set(summary, 0)

    def set(self, summary: Summary, change: int) -> None:
        self.summary = summary
        self.change = change  # number of this row's last change
        self._json: bytes | None = None

    @property
    def json(self) -> bytes:
        if self._json is None:
            self._json = encode_row(self.ticker, self.listing, self.summary)
        return self._json


class Changes(NamedTuple):
    """Rows in order of change. `reset`: these are the first (or all) of everything there is."""

    rows: list[Row]
    cursor: Cursor
    more: bool
    reset: bool


class TickerTable:
    """The merged table. `refresh` and `read` may be called from any thread; the rest only within `read`."""

    def __init__(
        self,
        read_changed: Callable[[int], ChangedSummaries],
        listings: Mapping[str, Listing],
        clock_ms: Callable[[], int],
        new_epoch: Callable[[], str],
        run_aside: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """`run_aside`: how to refresh while the request that finds it due is answered from what is there."""
        self._run_aside = run_aside
        self._is_refreshing_aside = Lock()
        self._read_changed = read_changed
        self._listings = listings
        self._clock_ms = clock_ms
        self._new_epoch = new_epoch
        self._epoch = ""  # made by the first refresh, which is after any fork
        self._rows: OrderedDict[str, Row] = OrderedDict()  # what changed last stands last
        self._change = 0
        self._refresh = 0
        self._store_cursor = 0
        self._starts: deque[tuple[int, int]] = deque(maxlen=MAX_STARTS)  # (store cursor, refresh from it)
        self._merged_ms = 0
        self._refreshed_ms: int | None = None
        self._reloaded_ms: int | None = None
        self._comparable_from_ms = 0  # cursors of other tables from before that are not understood here
        self._failure: StoreUnavailable | None = None
        self._cache: dict[object, object] = {}
        self._refreshing = Lock()
        self._lock = Lock()
        self.trade_count = 0
        self.volume = 0
        self.notional_ticks = 0
        self.latest_ms: int | None = None
        self.rate = RateMeter()

    def read(self, key: object, build: Callable[["TickerTable"], T]) -> T:
        """What `build` makes of the fresh table; remembered under `key` (which must tell all that it depends
        on) until the next refresh. Raises as the store's read does."""
        self._refresh_if_due()
        with self._lock:
            if key not in self._cache:
                if len(self._cache) >= MAX_CACHED:
                    self._cache.clear()
                self._cache[key] = build(self)
            return cast(T, self._cache[key])

    def _refresh_if_due(self) -> None:
        """Wait for the refresh where without it nothing could be shown, or only what is too old."""
        now_ms = self._clock_ms()
        read_ms = self._merged_ms if self._reloaded_ms is not None else None
        if (
            self._run_aside is None
            or self._failure is not None
            or not _is_within(now_ms, read_ms, MAX_AGE_MS)
        ):
            self.refresh()
            return
        is_due = not _is_within(now_ms, self._refreshed_ms, REFRESH_INTERVAL_MS)
        if is_due and self._is_refreshing_aside.acquire(blocking=False):
            self._run_aside(self._refresh_aside)

    def _refresh_aside(self) -> None:
        try:
            with suppress(StoreError):  # kept for whoever asks next
                self.refresh()
        finally:
            self._is_refreshing_aside.release()

    def refresh(self) -> None:
        """Read what changed, unless that was done within the interval (also when it failed)."""
        with self._refreshing:
            now_ms = self._clock_ms()
            if _is_within(now_ms, self._refreshed_ms, REFRESH_INTERVAL_MS):
                if self._failure is not None:
                    raise StoreUnavailable(str(self._failure))
                return
            self._refreshed_ms = now_ms
            try:
                self._update(now_ms)
            except StoreUnavailable as error:
                self._failure = error
                raise
            except BaseException:
                self._refreshed_ms = None
                raise
            self._failure = None

    def _update(self, now_ms: int) -> None:
        is_reload = not _is_within(now_ms, self._reloaded_ms, RELOAD_INTERVAL_MS)
        changed = self._read_changed(0 if is_reload else self._store_cursor)
        if changed.next_cursor < self._store_cursor and not is_reload:  # it is another store than before
            is_reload, changed = True, self._read_changed(0)
        with self._lock:
            self._cache.clear()
            self._refresh += 1
            if is_reload:
                self._start_over_if_gone(changed, now_ms)
                self._reloaded_ms = now_ms
            self._remember_start()
            self._merge(changed.summaries)
            if is_reload:  # a repair may have taken the latest trade out
                times = (row.summary.latest.time_ms for row in self._rows.values())
                self.latest_ms = max(times, default=None)
            self._store_cursor = changed.next_cursor
            self._merged_ms = now_ms
            self.rate.add(now_ms, self.trade_count)

    def _start_over_if_gone(self, changed: ChangedSummaries, now_ms: int) -> None:
        """At the first load, and when a row has gone: a new epoch, so that every client is told to start.

        A client of another table may have a row that has gone until that table too has read everything again.
        """
        is_first = self._reloaded_ms is None
        is_other_store = changed.next_cursor < self._store_cursor
        if is_first or is_other_store or not self._rows.keys() <= changed.summaries.keys():
            self._epoch = self._new_epoch()
            self._comparable_from_ms = now_ms + (0 if is_first else RELOAD_INTERVAL_MS)
            self._rows.clear()
            self._starts.clear()
            self._store_cursor = self._change = 0
            self.trade_count = self.volume = self.notional_ticks = 0
            self.latest_ms = None
            self.rate = RateMeter()

    def _remember_start(self) -> None:
        if self._starts and self._starts[-1][0] == self._store_cursor:
            self._starts.pop()
        self._starts.append((self._store_cursor, self._refresh))

    def _merge(self, summaries: Mapping[str, Summary]) -> None:
        for ticker, summary in summaries.items():
            row = self._rows.get(ticker)
            if row is None:
                row = self._rows[ticker] = Row(ticker, self._listings.get(ticker), summary)
            elif row.summary == summary:
                row.refresh = self._refresh
                continue
            else:
                self._add(row.summary, -1)
            self._add(summary, 1)
            self._change += 1
            row.set(summary, self._change)
            row.refresh = self._refresh
            self._rows.move_to_end(ticker)

    def _add(self, summary: Summary, sign: int) -> None:
        self.trade_count += sign * summary.trade_count
        self.volume += sign * summary.volume
        self.notional_ticks += sign * summary.notional_ticks
        if sign > 0 and (self.latest_ms is None or summary.latest.time_ms > self.latest_ms):
            self.latest_ms = summary.latest.time_ms

    def rows(self) -> list[Row]:
        """All rows, in order of change."""
        return list(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def changes(self, cursor: Cursor, limit: int, wanted: Callable[[Row], bool] | None = None) -> Changes:
        """At most `limit` of the rows that changed since `cursor`, oldest change first."""
        if cursor.epoch != self._epoch and self._is_ahead(cursor):
            return Changes([], cursor, more=False, reset=False)
        if cursor.epoch != self._epoch and (foreign := self._changes_elsewhere(cursor)) is not None:
            foreign = list(filter(wanted, foreign))
            if len(foreign) <= limit:
                return Changes(foreign, self.here(), more=False, reset=False)
        is_ours = cursor.epoch == self._epoch and cursor.change <= self._change
        since = cursor.change if is_ours else 0
        rows: list[Row] = []
        for row in reversed(self._rows.values()):
            if row.change <= since:
                break
            rows.append(row)
        found = filter(wanted, reversed(rows))
        rows = list(islice(found, limit))
        more = next(found, None) is not None
        # Half-way the store's cursor is left out: in another table the client has to start over.
        here = self.here()._replace(change=rows[-1].change, store_cursor=0) if more else self.here()
        return Changes(rows, here, more, reset=since == 0)

    def here(self) -> Cursor:
        return Cursor(self._epoch, self._change, self._store_cursor, self._merged_ms)

    def _is_ahead(self, cursor: Cursor) -> bool:
        """Whether another table has shown the client, since this one was read, what is on its way here.

        For so long at most as this one may be behind: then the cursor is of another store.
        """
        is_new = _is_within(self._clock_ms(), cursor.issued_ms, MAX_AGE_MS + REFRESH_INTERVAL_MS)
        return is_new and cursor.issued_ms > self._merged_ms and cursor.store_cursor > self._store_cursor

    def _changes_elsewhere(self, cursor: Cursor) -> list[Row] | None:
        """Rows that a client of another table may lack, or None when that can't be told.

        The client has all that changed before its store cursor. What changed at or after it was named by
        the store in the last of our refreshes that began at or before it, or in a later one.
        """
        if cursor.issued_ms < self._comparable_from_ms or cursor.store_cursor > self._store_cursor:
            return None
        place = bisect_right(self._starts, cursor.store_cursor, key=lambda start: start[0])
        if place == 0 or self._starts[place - 1][0] == 0:
            return None
        refresh = self._starts[place - 1][1]
        return [row for row in self._rows.values() if row.refresh >= refresh]


def _is_within(now_ms: int, then_ms: int | None, interval_ms: int) -> bool:
    return then_ms is not None and 0 <= now_ms - then_ms < interval_ms
