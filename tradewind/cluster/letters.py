"""How many dead letters wait, asked without starting a pod or keeping one alive."""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from tradewind.cluster.mirror import Expired, SourceFailed
from tradewind.cluster.standing import find_condition
from tradewind.snapshot import StoreTotals

Object = Mapping[str, Any]

INTERVAL_S = 5.0
_QUERY_PORT = 8080  # the function's own port: queue-proxy does not see the request, and so does not count it


class Getter(Protocol):
    """What can ask a pod, by the API server's proxy."""

    namespace: str

    def get(self, path: str) -> bytes: ...


class Letters:
    """Asks a ready pod of the query function at most every few seconds; None while there is none."""

    def __init__(self, cluster: Getter) -> None:
        self._cluster = cluster
        self._asked_s = float("-inf")
        self._count: int | None = None

    def count(self, pods: Iterable[Object]) -> int | None:
        pod = next((pod for pod in pods if _is_ready_query(pod)), None)
        if pod is None:
            self._count = None
        elif time.monotonic() - self._asked_s >= INTERVAL_S:
            self._asked_s = time.monotonic()
            self._count = self._ask(pod["metadata"]["name"])
        return self._count

    def _ask(self, pod: str) -> int | None:
        path = f"/api/v1/namespaces/{self._cluster.namespace}/pods/{pod}:{_QUERY_PORT}/proxy/v1/totals"
        try:
            totals = msgspec.json.decode(self._cluster.get(path), type=StoreTotals)
        except (SourceFailed, Expired, msgspec.MsgspecError):
            return None
        return totals.dead_letters_waiting


def _is_ready_query(pod: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    ready = find_condition(pod, "Ready") or {}
    return (
        labels.get("serving.knative.dev/service") == "query"
        and ready.get("status") == "True"
        and "deletionTimestamp" not in pod["metadata"]
    )
