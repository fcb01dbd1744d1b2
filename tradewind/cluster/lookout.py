"""A cluster's board, kept up to date in threads of its own."""

import threading
import time
from datetime import UTC, datetime

from tradewind.cluster import NoCluster, in_kubectl
from tradewind.cluster.api import PATHS, Cluster
from tradewind.cluster.board import Board, cluster_board
from tradewind.cluster.letters import Letters
from tradewind.cluster.mirror import Mirror, follow
from tradewind.cluster.scaling import Scaling

FIRST_LOOK_S = 15.0  # longer than one request's timeout, so that mostly we are told why
_POLL_S = 0.05


class Lookout:
    """Follows one cluster's namespace until `stop`; the first look is over at `ends_s` (monotonic)."""

    def __init__(self, cluster: Cluster, context: str | None, stop: threading.Event, ends_s: float) -> None:
        self._cluster = cluster
        self._context = context
        self._stop = stop
        self._first_ends_s = min(ends_s, time.monotonic() + FIRST_LOOK_S)
        self._mirror = Mirror()
        self._letters = Letters(cluster)
        self._scaling: Scaling | None = None
        for source in cluster.sources():
            threading.Thread(target=follow, args=(source, self._mirror, stop), daemon=True).start()

    def look(self) -> Board:
        """How it is now. The first time it waits for the lists. Raises NoCluster, then only."""
        if self._scaling is None:
            self._wait()
            self._scaling = self._cluster.scaling()
        where = f"{self._cluster.name}, namespace {self._cluster.namespace}"
        letters = self._letters.count(self._mirror.of("Pod"))
        return cluster_board(where, self._mirror, datetime.now(UTC), self._scaling, letters)

    def _wait(self) -> None:
        while self._mirror.unheard(PATHS) and time.monotonic() < self._first_ends_s:
            self._stop.wait(_POLL_S)
        for kind in self._mirror.unheard(PATHS):
            self._mirror.fail(kind, "no answer yet")
        if self._mirror.is_empty:
            raise NoCluster(self._say_why(self._mirror.failures["Pod"]))

    def _say_why(self, reason: str) -> str:
        namespace = self._cluster.namespace
        return (
            f"Nothing can be seen of namespace {namespace} on the cluster {self._cluster.name}: {reason}. "
            f"Check KUBECONFIG and --context; `{in_kubectl(self._context, namespace)} get pods` must work."
        )
