"""The API server, through the `kubernetes` client: the only module that imports it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import msgspec

from tradewind.cluster import OURS, NoCluster
from tradewind.cluster.mirror import GONE, Expired, Object, SourceFailed
from tradewind.cluster.scaling import Scaling

T = TypeVar("T")

TIMEOUT_S = 10.0
WATCH_S = 30  # the server ends a watch after this, and we begin the next: so we know that it is still there
SILENT_S = 5.0  # so long after that it counts as gone
_SCALING_S = 2.0  # the picture waits for it, and can do without it

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
_SCALING = "/api/v1/namespaces/knative-serving/configmaps/config-autoscaler"


class _Metadata(msgspec.Struct, rename="camel"):
    resource_version: str


class _List(msgspec.Struct, rename="camel"):
    api_version: str
    metadata: _Metadata
    items: list[dict[str, Any]] | None = None


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] = {}


class Cluster:
    """One cluster and namespace. Raises NoCluster."""

    def __init__(self, context: str | None, namespace: str) -> None:
        try:
            self._client = _client(context)
        except ImportError:
            raise NoCluster(
                "To look at a cluster, install the extra `cluster`: uv sync --extra cluster, or "
                "pip install kubernetes"
            ) from None
        self.namespace = namespace
        self.name = context or _current_context() or "cluster"
        self._address: str = self._client.configuration.host

    def sources(self) -> "list[KindSource]":
        return [KindSource(self, kind) for kind in PATHS]

    def get(self, path: str, type_: type[T], *, timeout_s: float = TIMEOUT_S, **parameters: Any) -> T:
        """One answer. Raises SourceFailed, also if it is not of that type, and Expired."""
        with _failures(path, self._address):
            answer = self._client.request(
                "get", path, serialize=False, _request_timeout=timeout_s, **parameters
            )
            return msgspec.json.decode(answer.data, type=type_)

    def stream(self, path: str, **parameters: Any) -> Iterator[Object]:
        """The lines of one answer as they come. Raises as `get`."""
        with _failures(path, self._address):
            timeout = (TIMEOUT_S, WATCH_S + SILENT_S)
            answer = self._client.request(
                "get", path, serialize=False, _request_timeout=timeout, **parameters
            )
            try:
                for line in answer:
                    if line.strip():
                        yield msgspec.json.decode(line, type=dict[str, Any])
            finally:
                answer.close()

    def scaling(self) -> Scaling:
        """When Knative scales to zero; as it is released, if we may not read the setting."""
        try:
            return Scaling.of(self.get(_SCALING, _ConfigMap, timeout_s=_SCALING_S).data)
        except (SourceFailed, Expired):
            return Scaling()


# By name, because the client has no types for what is used here.


def _client(context: str | None) -> Any:
    """Of the user's configuration, or of the pod that this runs in. Raises ImportError, NoCluster."""
    config, dynamic = import_module("kubernetes.config"), import_module("kubernetes.dynamic")
    client = import_module("kubernetes.client")
    configuration = client.Configuration()
    configuration.retries = False  # of its own it tries four times, and each takes the whole timeout
    try:
        config.load_kube_config(context=context, client_configuration=configuration)
    except config.ConfigException as error:
        try:
            if context is not None:  # not the cluster around for one that was mistyped
                raise
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            raise _unknown(context, error) from None
    except Exception as error:  # what else the user's file can be wrong in: no YAML, a folder, no address …
        raise _unknown(context, error) from None
    api_client = client.ApiClient(configuration)
    api_client.set_default_header("Connection", "close")  # one kept open may be closed just when it is used
    return dynamic.DynamicClient(api_client, discoverer=lambda *_: None)


def _unknown(context: str | None, error: Exception) -> NoCluster:
    why = " ".join(str(error).split())
    if context is not None:
        return NoCluster(f"No context {context} is known here ({why}): see `kubectl config get-contexts`")
    return NoCluster(f"No cluster is known here ({why}): set KUBECONFIG, or give --context")


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
        self._parameters: dict[str, Any] = {"label_selector": _SELECTORS.get(kind)}

    def list(self) -> tuple[list[Object], str]:
        answer = self._cluster.get(self._path, _List, **self._parameters)
        # Items of a list come without their kind.
        items: list[Object] = [
            {"apiVersion": answer.api_version, "kind": self.kind, **item} for item in answer.items or ()
        ]
        return items, answer.metadata.resource_version

    def watch(self, version: str) -> Iterator[Object]:
        return self._cluster.stream(
            self._path,
            **self._parameters,
            watch=True,
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=WATCH_S,
        )


@contextmanager
def _failures(path: str, address: str) -> Iterator[None]:
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
        if not error.status:  # TLS
            raise SourceFailed(f"{address} does not answer: {_in_short(error)}") from error
        raise SourceFailed(f"{error.status} {error.reason}") from error
    except (http_error, OSError) as error:
        raise SourceFailed(f"{address} does not answer: {_in_short(error)}") from error
    except msgspec.MsgspecError as error:
        raise SourceFailed(f"this is no answer of a Kubernetes API: {error}") from error


def _in_short(error: BaseException) -> str:
    """What the operating system said, if it did: urllib3 and the client wrap it in their own state."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause.strerror or str(cause)
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split())
