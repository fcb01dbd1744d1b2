"""The only module that talks to the server: connections, time limits and retries.

Connects at first use and again after a fork, because the client's threads do not live on in a child.
A batch call does not raise for a record, so every caller looks at each record's `result` (`errors`).
"""

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import partial
from itertools import chain, zip_longest
from typing import Any, TypeVar

import aerospike
import msgspec
from aerospike import exception
from aerospike_helpers.batch.records import BatchRecord, BatchRecords, Read, Write

from trades.observer import SILENT, StoreObserver
from trades.store import StoreUnavailable
from trades.stores.aerospike.errors import (
    ANSWERS,
    BUSY,
    NO_RESPONSE,
    NOT_FOUND,
    OK,
    classify,
    error_name,
    misconfigured,
    needs_a_person,
    take_back,
)
from trades.stores.aerospike.layout import Key

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Bins = dict[str, Any]
Operation = dict[str, Any]

READ = aerospike.OPERATOR_READ
_BUSY_PAUSES_S = (0.005, 0.02, 0.08)  # the client itself never retries these
# Clients from before a fork are kept: freeing one waits for its threads, which are not in the child.
_inherited: list[Any] = []
_MAX_RETRIES = 2  # every write of this adapter may be done again
_RETRY_PAUSE_MS = 20


class ClusterOptions(msgspec.Struct, frozen=True):
    """How to reach the cluster. Times are milliseconds of one call, its retries included."""

    hosts: tuple[tuple[str, int], ...]
    user: str = ""
    password: str = ""
    timeout_ms: int = 2_000
    batch_size: int = 1_000
    max_connections: int = 256  # a node; at least the threads of a process


class Cluster:
    """Batch reads and writes, queries and server information, with errors as the port knows them."""

    def __init__(self, options: ClusterOptions, observer: StoreObserver = SILENT) -> None:
        self.observer = observer
        self._options = options
        self._hosts = ",".join(f"{host}:{port}" for host, port in options.hosts)
        self._lock = threading.Lock()
        self._client: Any = None
        self._senders: ThreadPoolExecutor
        self._pid = 0
        self._policy = {
            "total_timeout": options.timeout_ms,
            "socket_timeout": options.timeout_ms,
            "max_retries": _MAX_RETRIES,
            "sleep_between_retries": _RETRY_PAUSE_MS,
        }

    def write(self, records: Sequence[Write], only_where: object = None) -> None:
        """Send writes, in calls of `batch_size` records; each record's `result` says what became of it.

        A filter is not evaluated for a record that does not exist yet. Raises StoreUnavailable when a
        whole call fails: some of the records may have been written then.
        """
        policy = self._policy if only_where is None else {**self._policy, "expressions": only_where}
        for pause_s in (*_BUSY_PAUSES_S, None):
            self._send(records, policy)
            records = [record for record in records if record.result in BUSY]
            if not records or pause_s is None:
                return
            self.observer.retried(len(records))
            time.sleep(pause_s)

    def read(self, keys: Sequence[Key], *bins: str) -> list[Bins | None]:
        """Records by key, in order, with the bins named (all if none is); None where there is no record."""
        return [found for _, found in self.read_generations(keys, *bins)]

    def read_generations(self, keys: Sequence[Key], *bins: str) -> list[tuple[int, Bins | None]]:
        """As `read`, with each record's generation (0: not there)."""
        read = partial(self._read_part, bins=list(bins) or None)
        return [*chain.from_iterable(self._in_parts(keys, read))]

    def read_by_operations(self, reads: Sequence[tuple[Key, list[Operation]]]) -> list[Bins | None]:
        """As `read`, each record by operations of its own: more than twice the client's work."""
        records = [Read(key, operations) for key, operations in reads]
        self._send(records, self._policy)
        return [found for _, found in map(_answer, records)]

    def query(
        self,
        namespace: str,
        set_: str,
        bins: Sequence[str],
        *,
        where: object = None,
        only_where: object = None,
        page_size: int,
    ) -> Iterator[tuple[str, Bins]]:
        """All records of a set that match, as (key, bins), fetched page by page in no order."""
        query = self._query(namespace, set_, bins, where, page_size)
        policy = self._query_policy(only_where)
        while True:
            for key, _meta, found in self._call(query.results, policy):
                yield key[2], found
            if query.is_done():
                return

    def query_at_most(
        self,
        namespace: str,
        set_: str,
        bins: Sequence[str],
        *,
        where: object,
        only_where: object,
        partitions: tuple[int, int],
        limit: int,
    ) -> tuple[list[tuple[Any, Bins]], bool]:
        """Up to `limit` matching records with their whole keys (0: all), and if these are all there are.

        `partitions`: the first one and how many.
        """
        query = self._query(namespace, set_, bins, where, limit)
        policy = self._query_policy(only_where)
        policy["partition_filter"] = {"begin": partitions[0], "count": partitions[1]}
        rows = self._call(query.results, policy)
        return [(row[0], row[2]) for row in rows], limit == 0 or query.is_done()

    def _query(self, namespace: str, set_: str, bins: Sequence[str], where: object, limit: int) -> Any:
        query = self._connect().query(namespace, set_)
        query.select(*bins)
        if where is not None:
            query.where(where)
        if limit:
            query.max_records = limit
            query.paginate()
        return query

    def _query_policy(self, only_where: object) -> dict[str, Any]:
        policy: dict[str, Any] = {"total_timeout": 0, "socket_timeout": self._options.timeout_ms}
        return policy if only_where is None else {**policy, "expressions": only_where}

    def info(self, command: str) -> list[dict[str, str]]:
        """One dictionary a node of an information command that answers `name=value`, many times."""
        client = self._connect()
        found = self._call(client.info_all, command)
        if not found:
            raise StoreUnavailable(f"Aerospike at {self._hosts}: no node answers")
        answers = []
        for error, text in found.values():
            if error is not None or text is None:
                raise StoreUnavailable(f"Aerospike did not answer {command!r}: {error}")
            answers.append(dict(pair.split("=", 1) for pair in re.split("[;:\n]", text) if "=" in pair))
        return answers

    def create_index(self, namespace: str, set_: str, bin_: str, name: str) -> None:
        """Make a numeric secondary index; nothing happens if it is there. Does not wait until it is built."""
        client = self._connect()
        command = f"sindex-create:namespace={namespace};set={set_};indexname={name};bin={bin_};type=numeric"
        answer = self._call(client.info_random_node, command)
        if not answer.strip().lower().endswith("ok"):
            raise StoreUnavailable(f"Aerospike did not make the index {name!r}: {answer.strip()}")

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is None:
            return
        if self._pid == os.getpid():
            self._senders.shutdown()
            client.close()
        else:
            _inherited.append(client)

    def _send(self, records: Sequence[BatchRecord], policy: dict[str, Any]) -> None:
        for record in records:
            record.result = NO_RESPONSE
        self._in_parts(records, partial(self._send_part, policy=policy))

    def _in_parts(self, items: Sequence[Item], call: Callable[[Any, Sequence[Item]], Answer]) -> list[Answer]:
        """What `call` makes of the client and `batch_size` items at a time."""
        client = self._connect()
        size = self._options.batch_size
        parts = [items[start : start + size] for start in range(0, len(items), size)]
        if len(parts) <= 1:
            return [call(client, part) for part in parts]
        # Two at a time: the client builds one call while the server works on the other.
        rest = self._senders.submit(copy_context().run, lambda: [call(client, part) for part in parts[1::2]])
        try:
            first = [call(client, part) for part in parts[::2]]
        finally:
            wait((rest,))
        in_turn = zip_longest(first, rest.result())
        return [*chain.from_iterable(in_turn)][: len(parts)]

    def _send_part(self, client: Any, part: Sequence[BatchRecord], policy: dict[str, Any]) -> None:
        batch = BatchRecords(part)
        self._call(client.batch_write, batch, policy)
        if batch.result != OK:
            take_back(part)
        self._look_at(part)

    def _read_part(
        self, client: Any, keys: Sequence[Key], bins: list[str] | None
    ) -> list[tuple[int, Bins | None]]:
        batch = self._call(client.batch_read, keys, bins, self._policy)
        if len(batch.batch_records) != len(keys):
            raise StoreUnavailable(f"Aerospike at {self._hosts}: no node is known (code {batch.result})")
        self._look_at(batch.batch_records)
        return [*map(_answer, batch.batch_records)]

    def _look_at(self, records: Sequence[BatchRecord]) -> None:
        """Tell of what failed. Raises StoreMisconfigured where trying again will not help."""
        failed = [record for record in records if record.result not in ANSWERS]
        self._tell_failures(failed)
        for record in failed:
            if needs_a_person(record.result):
                raise misconfigured(record.result, record.key[0], self._hosts)

    def _call(self, function: Any, *arguments: Any) -> Any:
        start_s = time.perf_counter()
        try:
            return function(*arguments)
        except exception.AerospikeError as error:
            self.observer.failed(error_name(error.code), 1, int(bool(getattr(error, "in_doubt", False))))
            raise classify(error, self._hosts) from error
        finally:
            self.observer.called(function.__name__, time.perf_counter() - start_s)

    def _tell_failures(self, records: Sequence[BatchRecord]) -> None:
        for code, times in Counter(record.result for record in records).items():
            in_doubt = sum(record.in_doubt for record in records if record.result == code)
            self.observer.failed(error_name(code), times, in_doubt)

    def _connect(self) -> Any:
        client = self._client
        if client is not None and self._pid == os.getpid():
            return client
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                if self._client is not None:
                    _inherited.append(self._client)
                self._client = self._call(aerospike.client, _config(self._options))
                self._senders = ThreadPoolExecutor(thread_name_prefix="aerospike")
                self._pid = os.getpid()
            return self._client


def _answer(record: BatchRecord) -> tuple[int, Bins | None]:
    """A record's generation and bins. Raises StoreUnavailable if it was not answered."""
    if record.result == NOT_FOUND:
        return 0, None
    if record.result != OK:
        raise StoreUnavailable(f"Aerospike could not read {record.key[2]!r}: code {record.result}")
    _key, meta, bins = record.record
    return meta["gen"], bins


def _config(options: ClusterOptions) -> dict[str, Any]:
    config: dict[str, Any] = {
        "hosts": list(options.hosts),
        "max_conns_per_node": options.max_connections,
        "connect_timeout": options.timeout_ms,
        "policies": {
            "batch_write": {"key": aerospike.POLICY_KEY_SEND, "ttl": aerospike.TTL_NEVER_EXPIRE},
            "info": {"timeout": options.timeout_ms},
        },
    }
    if options.user:
        config |= {"user": options.user, "password": options.password}
    return config
