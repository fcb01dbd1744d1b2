"""Claims: one small record an event, create-only: in which shard the event counts, and if it is done."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import aerospike
from aerospike_helpers.batch.records import Write

from trades.store import EventName, StoredClaim, StoreUnavailable
from trades.stores.aerospike.cluster import Bins, Cluster, Operation
from trades.stores.aerospike.errors import EXISTS, OK
from trades.stores.aerospike.layout import Names
from trades.stores.aerospike.plan import put_values
from trades.stores.aerospike.shards import FIRST
from trades.trade import TradeEvent

OPEN = "open"
DONE = "done"
_SCAN_PAGE = 20_000

_BINS = ("shard", "digest", "state")
_STORED_BINS = ("source", "event", "trades", "state")
_CREATE_ONLY = {"exists": aerospike.POLICY_EXISTS_CREATE}


class Claim(NamedTuple):
    """What the store says of one event."""

    shard: int
    digest: bytes
    is_done: bool


class Claims:
    """Makes claims, reads them and sets them done; a whole group in one call."""

    def __init__(self, cluster: Cluster, names: Names, retention_s: int) -> None:
        self._cluster = cluster
        self._names = names
        # Only what is done may expire: an open claim is all that is known of a half-counted event.
        self._done_policy = {"ttl": retention_s or aerospike.TTL_NEVER_EXPIRE}

    def make(self, events: Sequence[TradeEvent], shard: int) -> dict[bytes, Claim]:
        """Each event's claim: new with `shard`, or the one that was there first. Missing: not known now."""
        writes = [
            Write(self._names.claim(event.key), _operations(event, shard, OPEN), None, _CREATE_ONLY)
            for event in events
        ]
        self._cluster.write(writes)
        claims = {}
        there = []
        for event, write in zip(events, writes, strict=True):
            if write.result == OK:
                claims[event.key] = Claim(shard, event.digest, False)
            elif write.result == EXISTS:
                there.append(event.key)
        return claims | (self.read(there) if there else {})

    def read(self, event_keys: Sequence[bytes]) -> dict[bytes, Claim]:
        """The claims that there are."""
        found = self._cluster.read([self._names.claim(key) for key in event_keys], *_BINS)
        return {key: _parse(bins) for key, bins in zip(event_keys, found, strict=True) if bins is not None}

    def scan(self) -> Iterator[StoredClaim]:
        rows = self._cluster.query(
            self._names.trades_namespace,
            self._names.events_set,
            _STORED_BINS,
            page_size=_SCAN_PAGE,
        )
        return (_parse_stored(bytes.fromhex(key), bins) for key, bins in rows)

    def read_stored(self, keys: Sequence[bytes]) -> dict[bytes, StoredClaim]:
        found = self._cluster.read([self._names.claim(key) for key in keys], *_STORED_BINS)
        return {key: _parse_stored(key, bins) for key, bins in zip(keys, found, strict=True) if bins}

    def make_done(self, digests: Iterable[tuple[EventName, bytes]]) -> None:
        """Claim events as counted; claims that are there stay. Raises StoreUnavailable if some failed."""
        policy = {**_CREATE_ONLY, **self._done_policy}
        writes = [
            Write(self._names.claim(name.key), _claim_operations(name, 0, digest, FIRST, DONE), None, policy)
            for name, digest in digests
        ]
        self._cluster.write(writes)
        failed = [write.result for write in writes if write.result not in (OK, EXISTS)]
        if failed:
            raise StoreUnavailable(f"Aerospike could not claim {len(failed)} events: code {failed[0]}")

    def set_done(self, begun: Iterable[tuple[TradeEvent, int]]) -> set[bytes]:
        """The keys of the events that are now done. Writes the whole claim, in case the server lost it."""
        events = list(begun)
        writes = [
            Write(self._names.claim(event.key), _operations(event, shard, DONE), None, self._done_policy)
            for event, shard in events
        ]
        self._cluster.write(writes)
        return {event.key for (event, _), write in zip(events, writes, strict=True) if write.result == OK}


def _operations(event: TradeEvent, shard: int, state: str) -> list[Operation]:
    name = EventName(event.source, event.id)
    return _claim_operations(name, len(event.trades), event.digest, shard, state)


def _claim_operations(
    name: EventName, trade_count: int, digest: bytes, shard: int, state: str
) -> list[Operation]:
    """`trade_count`: 0 where it is not known."""
    values = {
        "shard": shard,
        "digest": digest,
        "state": state,
        "source": name.source,
        "event": name.event_id,
        "trades": trade_count,
    }
    return put_values(values)


def _parse_stored(key: bytes, bins: Bins) -> StoredClaim:
    name = EventName(bins["source"], bins["event"])
    return StoredClaim(key, bins["state"] == DONE, name, bins.get("trades", 0))


def _parse(bins: Bins) -> Claim:
    return Claim(bins["shard"], bytes(bins["digest"]), bins["state"] == DONE)
