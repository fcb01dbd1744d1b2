"""How many dead letters wait, asked without starting a pod or keeping one alive."""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

from tradewind.cluster.mirror import Expired, SourceFailed
from tradewind.cluster.standing import find_condition
from tradewind.laptop.snapshot import StoreTotals

Object = Mapping[str, Any]
T = TypeVar("T")

INTERVAL_S = 5.0
TIMEOUT_S = 2.0
_QUERY_PORT = 8080  # the function's own port: queue-proxy does not see the request, and so does not count it


class Getter(Protocol):
    """What can ask a pod, by the API server's proxy."""

    namespace: str

    def get(self, path: str, type_: type[T], *, timeout_s: float) -> T: ...


class Letters:
    """Asks a ready pod of the query function every few seconds; None while there is none, or no answer.

    In a thread of its own: with the overlay `secure` the API server does not reach the pod, and finds that
    out slowly.
    """

    def __init__(self, cluster: Getter) -> None:
        self._cluster = cluster
        self._asked_s = float("-inf")
        self._asking: threading.Thread | None = None
        self._count: int | None = None

    def count(self, pods: Iterable[Object]) -> int | None:
        """As last heard. The first answer alone is waited for, since `--once` has no second look."""
        pod = next((pod for pod in pods if _is_ready_query(pod)), None)
        if pod is None:
            self._count = None
        elif self._asking is None:
            self._start(pod["metadata"]["name"]).join(TIMEOUT_S)
        elif time.monotonic() - self._asked_s >= INTERVAL_S and not self._asking.is_alive():
            self._start(pod["metadata"]["name"])
        return self._count

    def _start(self, pod: str) -> threading.Thread:
        self._asked_s = time.monotonic()
        self._asking = threading.Thread(target=self._ask, args=(pod,), daemon=True)
        self._asking.start()
        return self._asking

    def _ask(self, pod: str) -> None:
        path = f"/api/v1/namespaces/{self._cluster.namespace}/pods/{pod}:{_QUERY_PORT}/proxy/v1/totals"
        try:
            self._count = self._cluster.get(path, StoreTotals, timeout_s=TIMEOUT_S).dead_letters_waiting
        except (SourceFailed, Expired):
            self._count = None


def _is_ready_query(pod: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    ready = find_condition(pod, "Ready") or {}
    return (
        labels.get("serving.knative.dev/service") == "query"
        and ready.get("status") == "True"
        and "deletionTimestamp" not in pod["metadata"]
    )
