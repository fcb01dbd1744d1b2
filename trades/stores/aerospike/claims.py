"""Claims: one small record an event, create-only: in which shard the event counts, and if it is done."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import aerospike
from aerospike_helpers.batch.records import Write

from trades.stores.aerospike.cluster import EXISTS, OK, Bins, Cluster
from trades.stores.aerospike.layout import Names
from trades.trade import TradeEvent

OPEN = "open"
DONE = "done"

_BINS = ("shard", "digest", "state")
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

    def set_done(self, begun: Iterable[tuple[TradeEvent, int]]) -> set[bytes]:
        """The keys of the events that are now done. Writes the whole claim, in case the server lost it."""
        events = list(begun)
        writes = [
            Write(self._names.claim(event.key), _operations(event, shard, DONE), None, self._done_policy)
            for event, shard in events
        ]
        self._cluster.write(writes)
        return {event.key for (event, _), write in zip(events, writes, strict=True) if write.result == OK}


def _operations(event: TradeEvent, shard: int, state: str) -> list[dict[str, object]]:
    values = {
        "shard": shard,
        "digest": event.digest,
        "state": state,
        "source": event.source,
        "event": event.id,
    }
    return [{"op": aerospike.OPERATOR_WRITE, "bin": name, "val": value} for name, value in values.items()]


def _parse(bins: Bins) -> Claim:
    return Claim(bins["shard"], bytes(bins["digest"]), bins["state"] == DONE)
