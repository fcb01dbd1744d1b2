"""The only module that talks to the server: connections, time limits and retries.

Connects at first use and again after a fork, because the client's threads do not live on in a child.
A batch call does not raise for a record, so every caller looks at each record's `result` (`errors`).
"""

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import partial
from typing import Any

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
        if bins:
            operations = [{"op": aerospike.OPERATOR_READ, "bin": name} for name in bins]
            return [entry[1] for entry in self.read_each([(key, operations) for key in keys])]
        return [entry[1] for entry in self._read([Read(key, None, read_all_bins=True) for key in keys])]

    def read_each(self, reads: Sequence[tuple[Key, list[Operation]]]) -> list[tuple[int, Bins | None]]:
        """As `read`, each record with read operations of its own; gives its generation too (0: not there)."""
        return self._read([Read(key, operations) for key, operations in reads])

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
        client = self._connect()
        for record in records:
            record.result = NO_RESPONSE
        size = self._options.batch_size
        parts = [records[start : start + size] for start in range(0, len(records), size)]
        if len(parts) <= 1:
            self._send_parts(client, parts, policy)
            return
        # Two at a time: the client builds one call while the server works on the other.
        rest = partial(self._send_parts, client, parts[1::2], policy)
        other = self._senders.submit(copy_context().run, rest)
        try:
            self._send_parts(client, parts[::2], policy)
        finally:
            wait((other,))
        other.result()

    def _send_parts(self, client: Any, parts: list[Sequence[BatchRecord]], policy: dict[str, Any]) -> None:
        for part in parts:
            batch = BatchRecords(part)
            self._call(client.batch_write, batch, policy)
            if batch.result != OK:
                take_back(part)
            failed = [record for record in part if record.result not in ANSWERS]
            self._tell_failures(failed)
            for record in failed:
                if needs_a_person(record.result):
                    raise misconfigured(record.result, record.key[0], self._hosts)

    def _read(self, records: Sequence[Read]) -> list[tuple[int, Bins | None]]:
        self._send(records, self._policy)
        entries: list[tuple[int, Bins | None]] = []
        for record in records:
            if record.result == OK:
                entries.append((record.record[1]["gen"], record.record[2]))
            elif record.result == NOT_FOUND:
                entries.append((0, None))
            else:
                raise StoreUnavailable(f"Aerospike could not read {record.key[2]!r}: code {record.result}")
        return entries

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
