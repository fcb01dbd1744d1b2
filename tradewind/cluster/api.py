"""The API server, through the `kubernetes` client: the only module that imports it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import msgspec

from tradewind.cluster import OURS
from tradewind.cluster.mirror import GONE, Expired, Object, SourceFailed

TIMEOUT_S = 10
WATCH_S = 120  # the server ends a watch after this, and we begin the next
GRACE_PERIOD_S = 30.0  # scale-to-zero-grace-period as Knative has it from its release

PATHS = {
    "Service": "/apis/serving.knative.dev/v1/namespaces/{namespace}/services",
    "PodAutoscaler": "/apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/{namespace}/podautoscalers",
    "Broker": "/apis/eventing.knative.dev/v1/namespaces/{namespace}/brokers",
    "Trigger": "/apis/eventing.knative.dev/v1/namespaces/{namespace}/triggers",
    "SinkBinding": "/apis/sources.knative.dev/v1/namespaces/{namespace}/sinkbindings",
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{namespace}/statefulsets",
    "Pod": "/api/v1/namespaces/{namespace}/pods",
}
_SELECTORS = {"Deployment": f"{OURS},!serving.knative.dev/service"}  # not those of the functions' revisions


class NoClient(Exception):
    """The client is not installed, or knows no cluster; the message says what to do."""


class Cluster:
    """One cluster and namespace. Raises NoClient."""

    def __init__(self, context: str | None, namespace: str) -> None:
        try:
            self._client = _client(context)
        except ImportError:
            raise NoClient(
                "To look at a cluster, install the extra `cluster`: uv sync --extra cluster, or "
                "pip install kubernetes"
            ) from None
        self.namespace = namespace
        self.name = context or _current_context() or "cluster"

    def sources(self) -> "list[KindSource]":
        return [KindSource(self, kind) for kind in PATHS]

    def get(self, path: str, **parameters: Any) -> bytes:
        """One answer's body. Raises SourceFailed, Expired."""
        with _failures(path):
            answer = self._client.request(
                "get", path, serialize=False, _request_timeout=TIMEOUT_S, **parameters
            )
            return bytes(answer.data)

    def stream(self, path: str, **parameters: Any) -> Iterator[bytes]:
        """The lines of one answer as they come. Raises SourceFailed, Expired."""
        with _failures(path):
            timeout = (TIMEOUT_S, WATCH_S + TIMEOUT_S)
            answer = self._client.request(
                "get", path, serialize=False, _request_timeout=timeout, **parameters
            )
            try:
                yield from answer
            finally:
                answer.close()

    def grace_period_s(self) -> float:
        """How long Knative waits with an idle pod; what its release has, if we may not read the setting."""
        try:
            config = self.get("/api/v1/namespaces/knative-serving/configmaps/config-autoscaler")
            text = msgspec.json.decode(config)["data"]["scale-to-zero-grace-period"]
            return float(text.removesuffix("s"))
        except (SourceFailed, Expired, KeyError, ValueError, msgspec.MsgspecError):
            return GRACE_PERIOD_S


# By name, because the client has no types for what is used here.


def _client(context: str | None) -> Any:
    """Of the user's configuration, or of the pod that this runs in. Raises ImportError, NoClient."""
    config, dynamic = import_module("kubernetes.config"), import_module("kubernetes.dynamic")
    try:
        client = config.new_client_from_config(context=context)
    except config.ConfigException as error:
        try:
            config.load_incluster_config()
        except config.ConfigException:
            raise NoClient(f"No cluster is known here ({error}): set KUBECONFIG, or give --context") from None
        client = import_module("kubernetes.client").ApiClient()
    return dynamic.DynamicClient(client, discoverer=lambda *_: None)


def _current_context() -> str:
    config = import_module("kubernetes.config")
    try:
        _, active = config.list_kube_config_contexts()
    except config.ConfigException:
        return ""
    return str((active or {}).get("name", ""))


class KindSource:
    """All objects of one kind in the namespace."""

    def __init__(self, cluster: Cluster, kind: str) -> None:
        self.kind = kind
        self._cluster = cluster
        self._path = PATHS[kind].format(namespace=cluster.namespace)
        self._parameters = {"label_selector": _SELECTORS.get(kind)}

    def list(self) -> tuple[list[Object], str]:
        answer = msgspec.json.decode(self._cluster.get(self._path, **self._parameters))
        # Items of a list come without their kind.
        items: list[Object] = [
            {"apiVersion": answer["apiVersion"], "kind": self.kind, **item} for item in answer["items"]
        ]
        return items, answer["metadata"]["resourceVersion"]

    def watch(self, version: str) -> Iterator[Object]:
        lines = self._cluster.stream(
            self._path,
            **self._parameters,
            watch=True,
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=WATCH_S,
        )
        for line in lines:
            if line.strip():
                yield msgspec.json.decode(line)


@contextmanager
def _failures(path: str) -> Iterator[None]:
    """What the client raises, in our words."""
    api_exception = import_module("kubernetes.client.exceptions").ApiException
    http_error = import_module("urllib3.exceptions").HTTPError
    try:
        yield
    except api_exception as error:
        if error.status == GONE:
            raise Expired from error
        if error.status == 404 and "knative.dev" in path:
            raise SourceFailed(f"this cluster has no {path.split('/')[2]}") from error
        raise SourceFailed(f"{error.status} {error.reason}") from error
    except (http_error, OSError, msgspec.MsgspecError) as error:
        raise SourceFailed(f"the cluster does not answer: {error}") from error
