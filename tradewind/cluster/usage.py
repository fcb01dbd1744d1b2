"""How to use what was deployed: addresses, and commands to copy. Pure."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

Object = dict[str, Any]
LOCAL_PORT = 8081


def how_to_use(things: Iterable[Object], namespace: str) -> list[str]:
    """Lines to print: where events go in, where answers come out, what to do next."""
    found = {(thing["kind"], thing["metadata"]["name"]): thing for thing in things}
    broker = found.get(("Broker", "default"), {}).get("status", {}).get("address", {}).get("url", "")
    query = found.get(("Service", "query"), {}).get("status", {}).get("url", "")
    lines = [f"Events go to  {broker}  (inside the cluster)", f"The page is   {query}", ""]
    if broker:
        lines += _curl_in(broker)
    if query:
        lines += ["Ask for it:", f"    curl {query}/v1/tickers/ASPS", f"    curl {query}/v1/totals", ""]
        lines += [
            "To let the page send events, allow it its name: set QUERY_ALLOWED_HOSTS in",
            f"knative/base/settings.yaml to {urlsplit(query).hostname} and deploy again.",
            "",
        ]
    return [*lines, f"See the pods come and go: tradewind watch --namespace {namespace}"]


def _curl_in(broker: str) -> list[str]:
    """The Broker is not reachable from outside, and should not be: kubectl opens a way to it."""
    parts = urlsplit(broker)
    service, _, rest = (parts.hostname or "").partition(".")
    namespace = rest.partition(".")[0]
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return [
        "Send a trade:",
        f"    kubectl -n {namespace} port-forward service/{service} {LOCAL_PORT}:{port} &",
        f"    curl -i --retry 5 --retry-connrefused {parts.scheme}://127.0.0.1:{LOCAL_PORT}{parts.path} \\",
        "      -H 'ce-specversion: 1.0' -H 'ce-type: trade.executed.v1' -H 'ce-source: /me' -H 'ce-id: 1' \\",
        "      -H 'ce-subject: ASPS' -H 'content-type: application/json' \\",
        """      -d '{"ticker":"ASPS","price":"13.37","volume":100,"timestamp":"2026-01-05T14:30:00Z"}'""",
        "",
    ]
