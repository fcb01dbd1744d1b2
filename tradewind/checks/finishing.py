"""Events that were begun and never finished: their delivery was lost, and no dead letter tells of it.

Such an event is counted to its end from its raw trades, as its redelivery would have done: however far it had
come, and should it come again after all, it counts once. If its raw trades are not those that were claimed,
or not all of them are there, the store says CONFLICT, and nothing has changed.
"""

from collections.abc import Collection, Sequence

from trades.store import EventName, Outcome, StoredTrade, TradeStore
from trades.trade import SINGLE, TradeEvent

EVENTS_A_PASS = 500  # whose trades are kept at a time: half a million at most

_FINISHED = (Outcome.COUNTED, Outcome.DUPLICATE)


def finish_events(store: TradeStore, names: Collection[EventName]) -> set[EventName]:
    """Gives those that are finished now."""
    finished: set[EventName] = set()
    ordered = sorted(names)
    for start in range(0, len(ordered), EVENTS_A_PASS):
        events = _read_events(store, set(ordered[start : start + EVENTS_A_PASS]))
        outcomes = store.count_trades(events)
        finished |= {
            EventName(event.source, event.id)
            for event, outcome in zip(events, outcomes, strict=True)
            if outcome in _FINISHED
        }
    return finished


def _read_events(store: TradeStore, names: Collection[EventName]) -> list[TradeEvent]:
    """What is stored of these events, in one pass over all raw trades."""
    found: dict[EventName, list[StoredTrade]] = {}
    for stored in store.scan_trades():
        name = EventName(stored.source, stored.event_id)
        if name in names:
            found.setdefault(name, []).append(stored)
    return [_to_event(name, trades) for name, trades in found.items()]


def _to_event(name: EventName, stored: Sequence[StoredTrade]) -> TradeEvent:
    in_order = sorted(stored, key=lambda each: each.place)
    trades, is_batch = [each.trade for each in in_order], in_order[0].place != SINGLE
    return TradeEvent.of(*name, trades, is_batch=is_batch)
