"""The adapters with one rule of their protocols taken out: the simulation has to see each of these fail."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from eventing.broker.schema import State
from eventing.broker.step import Settle, ToSink, next_step
from functions import answer
from tests.simulation import broker
from trades.store import Outcome
from trades.stores.aerospike import (
    changes,
    cluster,
    counting,
    folding,
    plan,
    repair,
    store,
    trimming,
)
from trades.stores.aerospike.changes import ChangedTable
from trades.stores.aerospike.claims import Claims
from trades.stores.aerospike.counting import EventCounter
from trades.stores.aerospike.fence import Fence
from trades.stores.aerospike.folding import Folder
from trades.stores.aerospike.raw_trades import RawTrades
from trades.stores.aerospike.shards import Shards
from trades.stores.aerospike.trimming import Trimmer
from trades.stores.sqlite import claims, summaries
from trades.stores.sqlite import raw_trades as raw_trades_of_sqlite
from trades.stores.sqlite.database import Database
from trades.summary import Summary

Mutant = Callable[[], AbstractContextManager[Any]]


def without_fence() -> Any:
    """A worker that slept through done and trim writes all the same."""
    return patch.object(counting, "apply_filter", lambda _trims, _limit: None)


def fence_after_claim() -> Any:
    """The trim counter is read after the claim, and not before."""
    apply = EventCounter._apply

    def late(self: EventCounter, events: Any, shard: int, _: int, is_close: bool) -> Any:
        return apply(self, events, shard, self._fence.refresh(), is_close)

    return patch.object(EventCounter, "_apply", late)


def fence_never_raised() -> Any:
    """Records are trimmed under the number that everybody has."""
    return patch.object(Fence, "advance", lambda self, _records: self.refresh())


def marks_put_over() -> Any:
    """A mark that is there does not stop a second apply."""
    return patch.dict(plan.CREATE_ONLY_MAP, {"map_write_flags": 0})


def done_before_apply() -> Any:
    """A crash in between leaves an event done that is not counted."""
    carry_on = EventCounter._carry_on

    def hasty(self: EventCounter, begun: Any, claims: Any, *rest: Any) -> Any:
        self._claims.set_done([(event, claims[event.key].shard) for event in begun])
        return carry_on(self, begun, claims, *rest)

    return patch.object(EventCounter, "_carry_on", hasty)


def done_in_doubt_taken_for_done() -> Any:
    """COUNTED is answered though nobody knows that the claim is done."""
    set_done = Claims.set_done

    def sure(self: Claims, begun: Any) -> set[bytes]:
        set_done(self, begun)
        return {event.key for event, _ in begun}

    return patch.object(Claims, "set_done", sure)


def digest_ignored() -> Any:
    """Another event of the same id is taken for a redelivery."""
    sort_out = EventCounter._sort_out

    def trusting(self: EventCounter, pending: Any, claims: Any, outcomes: Any) -> Any:
        claims = {key: claim._replace(digest=pending[key].digest) for key, claim in claims.items()}
        return sort_out(self, pending, claims, outcomes)

    return patch.object(EventCounter, "_sort_out", trusting)


def shard_of_ones_own() -> Any:
    """A claim that was begun by another is carried on in one's own shard."""
    make = Claims.make

    def own(self: Claims, events: Any, shard: int) -> Any:
        return {key: claim._replace(shard=shard) for key, claim in make(self, events, shard).items()}

    return patch.object(Claims, "make", own)


def open_events_trimmed() -> Any:
    """Marks are removed before their events are done."""
    return patch.object(Trimmer, "_find_done", lambda _self, marks: marks)


def levels_trimmed_twice() -> Any:
    """A trim does not look whether another has been there since it read the record."""
    return patch.object(trimming, "unchanged_filter", lambda _trims: None)


def failed_records_ignored() -> Any:
    """A record that did not take its write does not hold back done."""
    look_at = EventCounter._look_at

    def blind(self: EventCounter, *arguments: Any) -> Any:
        return look_at(self, *arguments)._replace(failed=set())

    return patch.object(EventCounter, "_look_at", blind)


def incomplete_taken_for_duplicate() -> Any:
    """The first trade of an event stands for all, though its writer may have died after it."""
    return patch.object(RawTrades, "_find_missing", lambda *_: ())


def repaired_lists_without_order() -> Any:
    """Repair writes a highest price as a list, and the next append leaves it unsorted."""

    def plain(part: Summary) -> list[dict[str, Any]]:
        lists = {
            "highest": [part.highest_ticks],
            "lowest": [part.lowest_ticks],
            "latest": [list(part.latest)],
        }
        if not part.lowest_ticks:
            lists = {name: [] for name in lists}
        sums = {"count": part.trade_count, "volume": part.volume, "notional": part.notional_ticks}
        return [plan.put_value(name, value) for name, value in (sums | lists).items()]

    return patch.object(repair, "_summary_operations", plain)


def unavailable_taken_for_done() -> Any:
    """A function answers 202 to what its store did not take."""
    return patch.dict(answer.OUTCOMES, {Outcome.UNAVAILABLE: answer.OUTCOMES[Outcome.COUNTED]})


def shards_not_noted() -> Any:
    """Readers do not hear of shards beyond their own."""
    return patch.object(Shards, "raise_count", lambda self, count: self.learn({"shards": count}))


def answers_of_no_node_believed() -> Any:
    """A client without nodes says OK, and is believed."""
    return patch.object(cluster, "take_back", lambda _records: None)


def closed_shards_not_looked_at() -> Any:
    """A worker sets done what it has put into a shard that closed meanwhile."""
    return patch.object(EventCounter, "_find_closed_since", lambda _self, _closed: set())


def folded_without_seal() -> Any:
    """What is added to a record after it was folded is lost."""
    return patch.object(folding, "_SEAL", folding._SEAL[1:])


def folded_twice() -> Any:
    """Two who fold one record add it twice."""

    def again(child: Any) -> Any:
        return fold_operations(child)[1:]

    fold_operations = folding._fold_operations
    return patch.object(folding, "_fold_operations", again)


def marks_of_sealed_records_ignored() -> Any:
    """An event that was applied before its shard closed is applied in the first shard as well."""
    settle = Folder.settle

    def blind(self: Folder, keys: Any) -> Any:
        return {key: bins | {"marks": {}} for key, bins in settle(self, keys).items()}

    return patch.object(Folder, "settle", blind)


def sealed_records_trimmed() -> Any:
    """A trim that finds a record sealed opens it again."""
    return patch.object(trimming, "SEALED", None)


def moved_without_seal() -> Any:
    """An event goes to the first shard, though its own record may still take it from one who is late."""

    class Hasty(Folder):
        def settle(self, keys: Any) -> Any:
            keys = list(keys)
            found = self._cluster.read(keys, "marks")
            return {key: bins or {} for key, bins in zip(keys, found, strict=True)}

    return patch.object(
        store,
        "EventCounter",
        lambda cluster, names, *parts, **more: EventCounter(
            cluster,
            names,
            *(Hasty(cluster, names) if isinstance(part, Folder) else part for part in parts),
            **more,
        ),
    )


def broken_refreshes_forgotten() -> Any:
    """What a refresh read before it broke off is not shown to readers by the next."""
    read_since = ChangedTable._read_since

    def forgetful(self: ChangedTable, since_ms: int) -> None:
        self._unmerged.clear()
        read_since(self, since_ms)

    return patch.object(ChangedTable, "_read_since", forgetful)


def changes_by_ones_own_clock() -> Any:
    """A refresh that took long is taken for one that saw everything up to its end."""
    refresh = ChangedTable._refresh

    def late(self: ChangedTable) -> int:
        refresh(self)
        self._read_until_ms = self._server_time_ms() + changes.OVERLAP_MS
        return self._read_until_ms

    return patch.object(ChangedTable, "_refresh", late)


def claims_forgotten() -> Any:
    """SQLite: every delivery is taken for a new event."""

    def forget(connection: Any, events: Any) -> Any:
        connection.executemany("DELETE FROM events WHERE key = ?", [(event.key,) for event in events])
        return [None for _ in events], list({event.key: event for event in events}.values())

    return patch.object(summaries, "sort_out", forget)


def conflict_taken_for_duplicate() -> Any:
    """SQLite: another event of the same id is taken for a redelivery."""
    sort_out = claims.sort_out

    def trusting(*arguments: Any) -> Any:
        outcomes, fresh = sort_out(*arguments)
        return [Outcome.DUPLICATE if one is Outcome.CONFLICT else one for one in outcomes], fresh

    return patch.object(summaries, "sort_out", trusting)


def claimed_and_counted_apart() -> Any:
    """SQLite: a crash between two transactions leaves an event claimed that is not counted."""
    merge = summaries._merge

    def late(connection: Any, *arguments: Any) -> None:
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        merge(connection, *arguments)

    return patch.object(summaries, "_merge", late)


def half_a_group_kept() -> Any:
    """SQLite: what a statement that failed has left of its transaction is committed."""

    def keep(_self: Database, connection: Any) -> None:
        if connection.in_transaction:
            sqlite3.Connection.execute(connection, "COMMIT")

    return patch.object(Database, "_roll_back", keep)


def latest_is_what_came_last() -> Any:
    """SQLite: the price that is counted last is the latest, whatever its timestamp says."""
    rule = summaries._MERGE_SUMMARIES
    start, end = rule.index("latest_time_ms = "), rule.index("change_no = ")
    last = "".join(
        f"latest_{part} = excluded.latest_{part}, " for part in ("time_ms", "trade_id", "price_ticks")
    )
    return patch.object(summaries, "_MERGE_SUMMARIES", rule[:start] + last + rule[end:])


def waiting_room_emptied_unsorted() -> Any:
    """SQLite: raw trades that wait are removed and are in no run."""

    def forget(connection: Any) -> None:
        connection.execute("DELETE FROM waiting")
        connection.execute("UPDATE totals SET waiting_trades = 0, waiting_events = 0")

    return patch.object(raw_trades_of_sqlite, "_sort_in", forget)


def changes_not_numbered() -> Any:
    """SQLite: a reader that asks for what has changed is told the number of the commit before."""

    def stay(connection: Any) -> int:
        change_no: int = connection.execute("SELECT change_no FROM totals").fetchone()[0]
        connection.execute("UPDATE totals SET change_no = change_no + 1")
        return change_no

    return patch.object(summaries, "_next_change_no", stay)


def given_up_taken_for_delivered() -> Any:
    """A broker settles what its subscriber will not have, and tells no sink."""

    def hasty(*arguments: Any) -> Any:
        step = next_step(*arguments)
        return Settle(State.DELIVERED) if isinstance(step, ToSink) else step

    return patch.object(broker, "next_step", hasty)


SQLITE_MUTANTS: list[Mutant] = [
    claims_forgotten,
    conflict_taken_for_duplicate,
    claimed_and_counted_apart,
    half_a_group_kept,
    latest_is_what_came_last,
    waiting_room_emptied_unsorted,
    changes_not_numbered,
    unavailable_taken_for_done,
    given_up_taken_for_delivered,
]
AEROSPIKE_MUTANTS: list[Mutant] = [
    without_fence,
    fence_after_claim,
    fence_never_raised,
    marks_put_over,
    done_before_apply,
    done_in_doubt_taken_for_done,
    digest_ignored,
    shard_of_ones_own,
    open_events_trimmed,
    levels_trimmed_twice,
    failed_records_ignored,
    incomplete_taken_for_duplicate,
    repaired_lists_without_order,
    unavailable_taken_for_done,
    shards_not_noted,
    answers_of_no_node_believed,
    closed_shards_not_looked_at,
    folded_without_seal,
    folded_twice,
    marks_of_sealed_records_ignored,
    sealed_records_trimmed,
    moved_without_seal,
    broken_refreshes_forgotten,
    changes_by_ones_own_clock,
]
