"""Where a manifest sends events: a `subscriber`, `deadLetterSink` or `sink`, as one string."""

import re
from collections.abc import Mapping

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]")
_REF_MEMBERS = ("apiVersion", "kind", "name")


class BadDestination(ValueError):
    """A destination that Knative's webhook would refuse; the message names the member."""


def parse_destination(spec: object, where: str = "destination") -> str:
    """The URL, or the object in kn's notation: `ksvc:store-trade`, `broker:default`, `svc:name`.

    A relative `uri` beside a `ref` follows the name: `ksvc:store-trade/path`. Raises BadDestination.
    """
    if not isinstance(spec, Mapping):
        raise BadDestination(f"{where}: must have a ref or a uri")
    ref, uri = spec.get("ref"), spec.get("uri")
    if uri is not None and not isinstance(uri, str):
        raise BadDestination(f"{where}.uri: must be a string")
    absolute = bool(uri and _ABSOLUTE.match(uri))
    if ref is None:
        if not absolute:
            raise BadDestination(
                f"{where}: must have a ref, or a uri that is absolute, like http://host/path"
            )
        return str(uri)
    if absolute:
        raise BadDestination(f"{where}: has a ref and an absolute uri: keep one of them")
    path = "" if not uri else "/" + uri.removeprefix("/")
    return _object(ref, f"{where}.ref") + path


def cluster_url(destination: str, namespace: str) -> str:
    """Where on a cluster is what `parse_destination` gave: a Service of this namespace, or the URL."""
    if "://" in destination:
        return destination
    name, slash, path = destination.partition(":")[2].partition("/")
    return f"http://{name}.{namespace}.svc.cluster.local{slash}{path}"


def _object(ref: object, where: str) -> str:
    if not isinstance(ref, Mapping):
        raise BadDestination(f"{where}: must have {', '.join(_REF_MEMBERS)}")
    for member in _REF_MEMBERS:
        if not isinstance(ref.get(member), str) or not ref[member]:
            raise BadDestination(f"{where}.{member}: is missing: give it a string")
    kind = ref["kind"].lower()
    if kind == "service":
        kind = "ksvc" if ref["apiVersion"].startswith("serving.knative.dev/") else "svc"
    return f"{kind}:{ref['name']}"
