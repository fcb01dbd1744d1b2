"""Count each event exactly once: claim, apply under marks, done.

For a group of events a worker

1. takes the fence: a value of the trim counter;
2. claims: create-only records `{shard, digest, state: open}`. An event that has a claim is a DUPLICATE if
   done, a CONFLICT if its digest is another, and else is carried on with *its* shard;
3. applies: one atomic call a record puts the events' marks, create-only, together with what they add. It is
   filtered on the fence. If a mark is there, the call changes nothing; the events are then sent one by
   one, and one whose mark is there has been applied before;
4. sets done the claims of the events whose records all took them, and only then reports them COUNTED.

Why each event counts once, in each record, whatever happens:

- *At most once while marked.* The mark and the addition are one atomic change, and the mark is create-only.
  The set of records follows from the event and its claim's shard, both of which never change. So anyone
  may do any step again: after a crash, a lost answer (in doubt), a client's own retry that arrives twice,
  or at the same time as others who got the same delivery.
- *At least once before done.* Done is set only after every record answered "applied" or "mark is there".
- *At most once after the mark is trimmed.* A mark is removed only after its claim was read as done, and then
  the trimmer raises the counter to g, and then removes marks while noting g in the record, in one atomic
  change (`trimming`). Take any write that arrives later, from however long a sleep. If its fence is below
  g it is filtered out: nothing changes, and its worker starts again at 1. If its fence is g or more, it
  was taken after the counter was raised, so the claim, looked at later still, was already done.
- *A record that is not there yet* does not evaluate the filter; but then no mark of it was ever trimmed,
  since records are never deleted.
- A claim that is created but not answered, or whose worker died, is open: the redelivery finds it and goes
  on, with the claim's shard.

- A shard that is folded away: after 3 and before 4 the worker reads which shards are closed. Events of those
  start again, and are applied where `folding` says; it has the argument.

Sums stay within 64 bits: see `room`. OVERFLOW is answered only to events without a claim.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from trades.store import Outcome
from trades.stores.aerospike.claims import Claim, Claims
from trades.stores.aerospike.cluster import Cluster
from trades.stores.aerospike.errors import ELEMENT_EXISTS, FILTERED_OUT, KEY_BUSY, OK, RECORD_TOO_BIG
from trades.stores.aerospike.fence import SEALED, Fence, apply_filter
from trades.stores.aerospike.folding import Folder
from trades.stores.aerospike.groups import cut
from trades.stores.aerospike.layout import ENTRIES_LIMIT, MARKS_LIMIT, Names
from trades.stores.aerospike.plan import Planned, plan_group
from trades.stores.aerospike.room import NEARLY_FULL, Room, limit_for
from trades.stores.aerospike.shard_pool import ShardPool
from trades.stores.aerospike.shards import FIRST, Shards
from trades.stores.aerospike.trimming import Trimmer
from trades.trade import TradeEvent

MAX_PASSES = 8  # a pass more is needed only when records are trimmed under our hands

_KNOWN_BANDS_LIMIT = 262_144


class _Applied(NamedTuple):
    """Keys of events that some record refused (start again) or did not take (try later)."""

    refused: set[bytes]
    failed: set[bytes]


class EventCounter:
    """`TradeStore.count_trades`. Thread-safe."""

    def __init__(
        self,
        cluster: Cluster,
        names: Names,
        claims: Claims,
        fence: Fence,
        trimmer: Trimmer,
        shards: Shards,
        folder: Folder,
        pool: ShardPool,
    ) -> None:
        self._cluster = cluster
        self._names = names
        self._claims = claims
        self._fence = fence
        self._trimmer = trimmer
        self._shards = shards
        self._folder = folder
        self._pool = pool
        self._known_bands: set[str] = set()  # a cache: bands are never un-named
        self._room = Room(cluster, names)

    def count(self, events: Sequence[TradeEvent]) -> list[Outcome]:
        """One outcome an event, in order. Raises StoreUnavailable when nothing could be learnt."""
        outcomes: list[Outcome | None] = [None] * len(events)
        for places in cut(events):
            group = {events[place].key: events[place] for place in places}
            counted = self._count_group(group)
            for place in places:
                outcomes[place] = counted[events[place].key]
        return [outcome or Outcome.UNAVAILABLE for outcome in outcomes]

    def _count_group(self, group: dict[bytes, TradeEvent]) -> dict[bytes, Outcome]:
        shard = self._pool.take()
        try:
            return self._count_in(shard, group)
        finally:
            self._pool.give_back(shard)

    def _count_in(self, shard: int, group: dict[bytes, TradeEvent]) -> dict[bytes, Outcome]:
        """New claims are made with `shard`."""
        outcomes: dict[bytes, Outcome] = {}
        misfits, is_close = self._room.find_misfits(group.values(), shard)
        claims = self._claims.read(list(misfits)) if misfits else {}
        outcomes.update((key, Outcome.OVERFLOW) for key in misfits if key not in claims)
        pending = {key: event for key, event in group.items() if key not in outcomes}
        for _ in range(MAX_PASSES):
            if not pending:
                break
            fence = self._fence.value
            claims = self._claims.make(list(pending.values()), shard)
            begun = self._sort_out(pending, claims, outcomes)
            refused = self._carry_on(begun, claims, fence, is_close, outcomes)
            pending = {key: event for key, event in pending.items() if key in refused}
            is_close = True
        self._trimmer.trim_due()
        return outcomes | dict.fromkeys(pending, Outcome.UNAVAILABLE)

    def _sort_out(
        self, pending: dict[bytes, TradeEvent], claims: dict[bytes, Claim], outcomes: dict[bytes, Outcome]
    ) -> list[TradeEvent]:
        begun = []
        for key, event in pending.items():
            claim = claims.get(key)
            if claim is None:
                outcomes[key] = Outcome.UNAVAILABLE
            elif claim.digest != event.digest:
                outcomes[key] = Outcome.CONFLICT
            elif claim.is_done:
                outcomes[key] = Outcome.DUPLICATE
            else:
                begun.append(event)
        return begun

    def _carry_on(
        self,
        begun: list[TradeEvent],
        claims: dict[bytes, Claim],
        fence: int,
        is_close: bool,
        outcomes: dict[bytes, Outcome],
    ) -> set[bytes]:
        """Apply and set done; gives the keys of those that have to start again."""
        by_shard: dict[int, list[TradeEvent]] = {}
        for event in begun:
            by_shard.setdefault(claims[event.key].shard, []).append(event)
        refused: set[bytes] = set()
        applied: list[tuple[TradeEvent, int]] = []
        closed = self._shards.closed
        for shard, events in by_shard.items():
            result = (self._apply_folded if shard in closed else self._apply)(events, shard, fence, is_close)
            refused |= result.refused
            for event in events:
                if event.key in result.failed:
                    outcomes[event.key] = Outcome.UNAVAILABLE
                elif event.key not in result.refused:
                    applied.append((event, shard))
        if applied:
            too_late = self._find_closed_since(closed)
            refused |= {event.key for event, shard in applied if shard in too_late}
            applied = [(event, shard) for event, shard in applied if shard not in too_late]
        done = self._claims.set_done(applied) if applied else set()
        self._trimmer.note_done(done)
        for event, _ in applied:
            outcomes[event.key] = Outcome.COUNTED if event.key in done else Outcome.UNAVAILABLE
        return refused - {key for key, outcome in outcomes.items() if outcome is Outcome.UNAVAILABLE}

    def _find_closed_since(self, before: Mapping[int, int]) -> set[int]:
        self._fence.refresh()
        return self._shards.closed.keys() - before.keys()

    def _apply(self, events: list[TradeEvent], shard: int, fence: int, is_close: bool) -> _Applied:
        """Send every record's write; where a mark is there, send the record's events one by one."""
        planned = plan_group(self._names, shard, events, self._known_bands)
        only_where = apply_filter(fence, _limit(planned) if is_close else NEARLY_FULL)
        self._cluster.write([plan.write for plan in planned], only_where)
        split = {plan.name for plan in planned if plan.write.result == ELEMENT_EXISTS}
        if split:
            planned = [plan for plan in planned if plan.name not in split]
            singles = [
                plan
                for event in events
                for plan in plan_group(self._names, shard, [event])
                if plan.name in split
            ]
            self._cluster.write([plan.write for plan in singles], only_where)
            planned += singles
        return self._look_at(planned, events, shard)

    def _apply_folded(self, events: list[TradeEvent], shard: int, fence: int, is_close: bool) -> _Applied:
        """Their shard is closed: what its records don't have already goes into the first shard."""
        pairs = [
            (before, after)
            for event in events
            for before, after in zip(
                plan_group(self._names, shard, [event]), plan_group(self._names, FIRST, [event]), strict=True
            )
        ]
        sealed = self._folder.settle(before.write.key for before, _ in pairs if not before.is_index)
        planned = [
            after
            for before, after in pairs
            if before.is_index or not before.marks.keys() <= sealed[before.write.key].get("marks", {}).keys()
        ]
        self._cluster.write([plan.write for plan in planned], apply_filter(fence, _limit(planned)))
        return self._look_at(planned, events, FIRST)

    def _look_at(self, planned: list[Planned], events: list[TradeEvent], shard: int) -> _Applied:
        result = _Applied(set(), set())
        refused: list[Planned] = []
        most_marks = 0
        for plan in planned:
            code = plan.write.result
            if code == OK:
                if not plan.is_index:
                    marks = plan.write.record[2]["marks"]
                    most_marks = max(most_marks, marks)
                    if marks >= MARKS_LIMIT or plan.entries >= ENTRIES_LIMIT:
                        self._trimmer.note_due(plan)
            elif code == FILTERED_OUT:
                refused.append(plan)
                result.refused.update(plan.marks)
                self._pool.avoid(shard)  # most often since another process trims there
            elif code != ELEMENT_EXISTS:
                if code in (KEY_BUSY, RECORD_TOO_BIG):
                    self._pool.avoid(shard)
                if code == RECORD_TOO_BIG:
                    self._trimmer.note_due(plan)
                result.failed.update(plan.marks)
        self._cluster.observer.applied(shard, sum(len(event.trades) for event in events), most_marks)
        self._remember_bands([plan for plan in planned if plan.is_index], events, shard, result)
        if refused:
            self._learn_why(refused, shard)
        return result

    def _remember_bands(
        self, planned: list[Planned], events: list[TradeEvent], shard: int, result: _Applied
    ) -> None:
        """A band that is not named yet must not be done; one that is need not be named again."""
        if not planned:
            return
        failed = {plan.ticker for plan in planned if plan.write.result != OK}
        for event in events:
            if failed and any(trade.ticker in failed for trade in event.trades):
                result.failed.add(event.key)
        if len(self._known_bands) > _KNOWN_BANDS_LIMIT:
            self._known_bands.clear()
        for plan in planned:
            if plan.ticker not in failed and "bands" in plan.write.record[2]:
                bands = plan.write.ops[0]["val"]
                self._known_bands.update(self._names.levels(plan.ticker, shard, band)[2] for band in bands)

    def _learn_why(self, refused: list[Planned], shard: int) -> None:
        """Refused: trimmed since the fence was taken (take a newer one), sealed, or nearly full."""
        found = self._cluster.read([plan.write.key for plan in refused], "trims", "notional")
        self._room.watch(refused, [(bins or {}).get("notional", 0) for bins in found])
        trims = [(bins or {}).get("trims", 0) for bins in found]
        self._fence.refresh(at_least=max((note for note in trims if note != SEALED), default=0))
        if SEALED in trims and shard not in self._shards.closed:  # the server has lost it
            self._shards.close([shard])


def _limit(planned: list[Planned]) -> int:
    return limit_for(plan.notional for plan in planned)
