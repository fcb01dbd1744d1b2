"""What to write for a group of events: one operation list a record. Pure; testable without a server.

Operations are the dictionaries that aerospike_helpers makes; those that vary are written out here, because
what is built in Python for each record is most of the cost of counting (docs/decisions/0003).

A summary record takes sums by increment, and keeps extremes in ordered lists of one element: append, then
drop all but the end that counts. A record of price levels takes nothing but the marks: a mark's value is
what its event adds, `{price: [volume, count, time]}`, and trimming folds it into `levels`, of the same form.
"""

from collections.abc import Container, Iterable
from typing import Any, NamedTuple

import aerospike
from aerospike_helpers.batch.records import Write
from aerospike_helpers.operations import list_operations

from trades.stores.aerospike.cluster import Operation
from trades.stores.aerospike.layout import Key, Names, band_of, page_of
from trades.summary import PriceLevel
from trades.trade import TradeEvent, trade_id

EVENT_KEY_BYTES = 16
MARK = 1  # the value of a mark that carries nothing
Levels = dict[int, list[int]]  # price in ticks: volume, count, latest time in ms

CREATE_ONLY_MAP: dict[str, int] = {
    "map_order": aerospike.MAP_KEY_ORDERED,
    "map_write_flags": aerospike.MAP_WRITE_FLAGS_CREATE_ONLY,
}
SORTED_MAP: dict[str, int] = {"map_order": aerospike.MAP_KEY_ORDERED}
_SORTED_LIST = {"list_order": aerospike.LIST_ORDERED}


def _keep(bin_: str, index: int) -> Operation:
    operation: Operation = list_operations.list_remove_by_index_range(
        bin_, index, aerospike.LIST_RETURN_NONE, 1, inverted=True
    )
    return operation


_KEEP_HIGHEST = _keep("highest", -1)
_KEEP_LOWEST = _keep("lowest", 0)
_KEEP_LATEST = _keep("latest", -1)


class Planned(NamedTuple):
    """One write, and the events whose marks it puts."""

    write: Write
    marks: dict[bytes, Any]
    ticker: str
    notional: int = 0  # what is added to a summary
    entries: int = 0  # prices in the marks of price levels
    is_index: bool = False  # names a band; has no marks of its own, and may be done any number of times

    @property
    def name(self) -> str:
        name: str = self.write.key[2]
        return name


class _Sums:
    """What a group adds to one summary record. The trade id is made at the end, or where times tie."""

    __slots__ = (
        "count",
        "event",
        "highest",
        "lowest",
        "marks",
        "notional",
        "place",
        "price",
        "time",
        "volume",
    )

    def __init__(
        self, event: TradeEvent, mark: bytes, place: int, price: int, volume: int, time: int
    ) -> None:
        self.count, self.volume, self.notional = 1, volume, price * volume
        self.highest = self.lowest = self.price = price
        self.event, self.place, self.time = event, place, time
        self.marks: dict[bytes, Any] = {mark: MARK}

    def take_latest(self, event: TradeEvent, place: int, price: int, time: int) -> None:
        if time > self.time or (trade_id(event.id, place), price) > (self.latest_id, self.price):
            self.event, self.place, self.price, self.time = event, place, price, time

    @property
    def latest_id(self) -> str:
        return trade_id(self.event.id, self.place)


def plan_group(
    names: Names, shard: int, events: Iterable[TradeEvent], named: Container[str] = frozenset()
) -> list[Planned]:
    """The writes that count `events` in `shard`. Bands whose records are `named` are not named again."""
    sums: dict[str, _Sums] = {}
    levels: dict[tuple[str, int], dict[bytes, Levels]] = {}
    for event in events:
        _add_event(sums, levels, event)
    planned = [_plan_summary(names.summary(ticker, shard), ticker, total) for ticker, total in sums.items()]
    new_bands: dict[str, set[int]] = {}
    for (ticker, band), marks in levels.items():
        key = names.levels(ticker, shard, band)
        entries = sum(map(len, marks.values()))
        planned.append(Planned(Write(key, [put_marks(marks)]), marks, ticker, entries=entries))
        if key[2] not in named:
            new_bands.setdefault(ticker, set()).add(band)
    for ticker, bands in new_bands.items():
        planned += plan_bands(names, ticker, shard, bands)
    return planned


def _add_event(
    sums: dict[str, _Sums], levels: dict[tuple[str, int], dict[bytes, Levels]], event: TradeEvent
) -> None:
    """The hot loop: once a trade."""
    mark = event.key
    for index, (ticker, price, volume, time) in enumerate(event.trades):
        total = sums.get(ticker)
        if total is None:
            sums[ticker] = _Sums(event, mark, event.place(index), price, volume, time)
        else:
            total.count += 1
            total.volume += volume
            total.notional += price * volume
            if price > total.highest:
                total.highest = price
            elif price < total.lowest:
                total.lowest = price
            if time >= total.time:
                total.take_latest(event, event.place(index), price, time)
            total.marks[mark] = MARK
        band = (ticker, band_of(price))
        marks = levels.get(band)
        if marks is None:
            levels[band] = {mark: {price: [volume, 1, time]}}
            continue
        added = marks.get(mark)
        if added is None:
            marks[mark] = {price: [volume, 1, time]}
            continue
        level = added.get(price)
        if level is None:
            added[price] = [volume, 1, time]
        else:
            level[0] += volume
            level[1] += 1
            if time > level[2]:
                level[2] = time


def _plan_summary(key: Key, ticker: str, total: _Sums) -> Planned:
    operations = [
        put_marks(total.marks),
        *add_sums(total.count, total.volume, total.notional),
        *add_extremes(total.highest, total.lowest, [total.time, total.latest_id, total.price]),
    ]
    return Planned(Write(key, operations), total.marks, ticker, total.notional)


def add_sums(count: int, volume: int, notional: int) -> list[Operation]:
    return [
        {"op": aerospike.OPERATOR_INCR, "bin": "count", "val": count},
        {"op": aerospike.OPERATOR_INCR, "bin": "volume", "val": volume},
        {"op": aerospike.OPERATOR_INCR, "bin": "notional", "val": notional},
    ]


def add_extremes(highest: int, lowest: int, latest: list[int | str]) -> list[Operation]:
    """Each list keeps the one that counts."""
    return [
        append_sorted("highest", highest),
        _KEEP_HIGHEST,
        append_sorted("lowest", lowest),
        _KEEP_LOWEST,
        append_sorted("latest", latest),
        _KEEP_LATEST,
    ]


def plan_bands(names: Names, ticker: str, shard: int, bands: set[int]) -> list[Planned]:
    """The writes that make a shard's price levels findable. Putting a band twice changes nothing."""
    by_page: dict[int, dict[int, int]] = {}
    for band in bands:
        by_page.setdefault(page_of(band), {})[band] = 1
    writes = [
        Write(names.bands(ticker, shard, page), [put_items("bands", members, SORTED_MAP)])
        for page, members in by_page.items()
    ]
    writes.append(
        Write(names.pages(ticker, shard), [put_items("pages", dict.fromkeys(by_page, 1), SORTED_MAP)])
    )
    return [Planned(write, {}, ticker, is_index=True) for write in writes]


def put_marks(marks: dict[bytes, Any]) -> Operation:
    """Fails the whole call with ELEMENT_EXISTS if one of the marks is there."""
    return put_items("marks", marks, CREATE_ONLY_MAP)


def fold_mark(shard: int) -> bytes:
    """The mark that carries the price levels of a folded shard (`folding`). An event's key has 16 bytes."""
    return b"shard %d" % shard


def is_fold_mark(mark: bytes) -> bool:
    return len(mark) != EVENT_KEY_BYTES


def put_levels(levels: dict[int, PriceLevel]) -> Operation:
    return put_items("levels", format_levels(levels), SORTED_MAP)


def put_levels_as_mark(mark: bytes, levels: dict[int, PriceLevel]) -> Operation:
    return put_marks({mark: format_levels(levels)})


def empty_marks(marks: Iterable[bytes]) -> Operation:
    """Takes from marks what they carry, and leaves them there."""
    return put_items("marks", {mark: {} for mark in marks}, SORTED_MAP)


def format_levels(levels: dict[int, PriceLevel]) -> Levels:
    """As they are stored."""
    return {price: [level.volume, level.trade_count, level.latest_time_ms] for price, level in levels.items()}


def fold_levels(levels: Levels, added: Iterable[Levels]) -> dict[int, PriceLevel]:
    """Price levels as stored, with what marks add to them."""
    folded = {price: PriceLevel(count, volume, time) for price, (volume, count, time) in levels.items()}
    for entries in added:
        for price, (volume, count, time) in entries.items():
            level = folded.get(price)
            if level is None:
                folded[price] = PriceLevel(count, volume, time)
            else:
                level.volume += volume
                level.trade_count += count
                level.latest_time_ms = max(level.latest_time_ms, time)
    return folded


def append_sorted(bin_: str, value: object) -> Operation:
    """Keeps a new list sorted; one that is there keeps the order, or none, that it was made with."""
    return {"op": aerospike.OP_LIST_APPEND, "bin": bin_, "val": value, "list_policy": _SORTED_LIST}


def put_value(bin_: str, value: object) -> Operation:
    """None removes the bin."""
    return {"op": aerospike.OPERATOR_WRITE, "bin": bin_, "val": value}


def put_values(values: dict[str, Any]) -> list[Operation]:
    return [put_value(name, value) for name, value in values.items()]


def put_items(bin_: str, items: dict[Any, Any], policy: dict[str, int]) -> Operation:
    return {"op": aerospike.OP_MAP_PUT_ITEMS, "bin": bin_, "val": items, "map_policy": policy}
