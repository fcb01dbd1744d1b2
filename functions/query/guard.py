"""What may change something: only requests that come from this site's own page, or from no page at all.

A browser sends other sites' posts with the user's reach into the local network. Three checks, each enough
against one way: the content type (a form can't send JSON), Origin or Sec-Fetch-Site (another site's
script), and the Host (DNS rebinding: a name of the attacker's that suddenly leads here, so that both agree).
"""

from urllib.parse import urlsplit

from flask import Request

from eventing.hosts import is_host_allowed
from functions.query.outgoing import Broker
from functions.query.problems import Problem
from functions.query.services import Services


def check_same_site(request: Request, allowed_hosts: tuple[str, ...], media_type: str) -> None:
    """Raises Problem 403 or 415."""
    if request.mimetype != media_type:
        raise Problem(415, f"send the body as content-type {media_type}")
    if not is_host_allowed(request.host, allowed_hosts):
        raise Problem(
            403,
            "this service is not known by the name that it was called by: use its IP address or localhost, "
            "or allow the name with QUERY_ALLOWED_HOSTS",
        )
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        raise Problem(403, "this comes from a page of another site: only this site's own page may do it")
    if request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        raise Problem(403, "this comes from a page of another site: only this site's own page may do it")


def require_broker(services: Services) -> Broker:
    """Raises Problem 503 where there is none."""
    if services.broker is None:
        raise Problem(
            503,
            "no broker is configured: set K_SINK to a broker's ingress URL (on a cluster by a SinkBinding)",
            {"Retry-After": "60"},
        )
    return services.broker
