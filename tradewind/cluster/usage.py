"""How to use what was deployed: addresses, and commands to copy. Pure."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from tradewind.cluster import BROKER, in_kubectl, in_tradewind

Object = dict[str, Any]
LOCAL_PORT = 8081


def how_to_use(
    things: Iterable[Object], namespace: str, context: str | None = None, *, asks_who_sends: bool = False
) -> list[str]:
    """Lines to print: where events go in, where answers come out, what to do next.

    `asks_who_sends`: the Broker takes events only of those that an EventPolicy names.
    """
    found = {(thing["kind"], thing["metadata"]["name"]): thing for thing in things}
    broker = found.get(("Broker", BROKER), {}).get("status", {}).get("address", {}).get("url", "")
    query = found.get(("Service", "query"), {}).get("status", {}).get("url", "")
    lines = [f"Events go to  {broker}  (inside the cluster)", f"The page is   {query}", ""]
    if broker:
        lines += ["Send a trade:", _way_in(broker, context)]
        lines += [*(_as_query(broker, namespace, context) if asks_who_sends else _curl_in(broker)), ""]
    if query:
        lines += ["Ask for it:", f"    curl {query}/v1/tickers/ASPS", f"    curl {query}/v1/totals", ""]
        lines += [
            "To let the page send events, allow it its name: set QUERY_ALLOWED_HOSTS in",
            f"knative/base/settings.yaml to {urlsplit(query).hostname} and deploy again.",
            "",
        ]
    return [*lines, f"See the pods come and go: {in_tradewind('watch', context, namespace)}"]


def _way_in(broker: str, context: str | None) -> str:
    """The Broker is not reachable from outside, and should not be: kubectl opens a way to it."""
    parts = urlsplit(broker)
    service, _, rest = (parts.hostname or "").partition(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    kubectl = in_kubectl(context, rest.partition(".")[0])
    return f"    {kubectl} port-forward service/{service} {LOCAL_PORT}:{port} &"


def _local(broker: str) -> str:
    parts = urlsplit(broker)
    return f"{parts.scheme}://127.0.0.1:{LOCAL_PORT}{parts.path}"


def _curl_in(broker: str) -> list[str]:
    return [
        f"    curl -i --retry 5 --retry-connrefused {_local(broker)} \\",
        "      -H 'ce-specversion: 1.0' -H 'ce-type: trade.executed.v1' -H 'ce-source: /me' -H 'ce-id: 1' \\",
        "      -H 'ce-subject: ASPS' -H 'content-type: application/json' \\",
        """      -d '{"ticker":"ASPS","price":"13.37","volume":100,"timestamp":"2026-01-05T14:30:00Z"}'""",
    ]


def _as_query(broker: str, namespace: str, context: str | None) -> list[str]:
    """In the name of the query function, which may send: the Broker refuses who shows no token."""
    kubectl = in_kubectl(context, namespace)
    account = "-o jsonpath='{.status.auth.serviceAccountName}'"
    audience = "-o jsonpath='{.status.address.audience}'"
    return [
        f"    ACCOUNT=$({kubectl} get sinkbinding query {account})",
        f"    AUDIENCE=$({kubectl} get broker {BROKER} {audience})",
        f'    {kubectl} create token "$ACCOUNT" --audience "$AUDIENCE" > token',
        f"    OIDC_TOKEN_FILE=token tradewind send ASPS 13.37 100 --sink {_local(broker)}",
    ]
