"""The Flask application: routes from the operations, and what all answers have in common."""

import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request
from flask.ctx import RequestContext
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from eventing.credentials import Credentials
from functions import metrics
from functions.query import dead_letters, events, prices, service, ticker_list, tickers, totals, trades
from functions.query.bodies import Body, encode
from functions.query.operation import NoQuery, Operation, parse_query
from functions.query.outgoing import Broker
from functions.query.paths import take_parameter, take_request
from functions.query.problems import Problem
from functions.query.recent import Recent
from functions.query.reference import Reference
from functions.query.services import Services
from functions.query.static import Pages
from functions.query.table import TickerTable
from trades.listings import load_listings
from trades.store import StoreError, StoreUnavailable, TradeStore

MAX_URL_LENGTH = 2_048
MAX_BODY_BYTES = 1024 * 1024
DASHBOARD = Path(__file__).parents[2] / "dashboard"

OPERATIONS: tuple[Operation, ...] = (
    *ticker_list.OPERATIONS,
    *tickers.OPERATIONS,
    *prices.OPERATIONS,
    *trades.OPERATIONS,
    *totals.OPERATIONS,
    *events.OPERATIONS,
    *dead_letters.OPERATIONS,
    *service.OPERATIONS,
)

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

logger = logging.getLogger(__name__)


class QueryApp(Flask):
    """Flask, that takes the request over from functions-framework."""

    def request_context(self, environ: dict[str, Any]) -> RequestContext:
        return super().request_context(take_request(environ))


def _new_epoch() -> str:
    return secrets.token_hex(4)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def create_app(
    store: TradeStore,
    *,
    clock_ms: Callable[[], int] = _now_ms,
    broker_url: str | None = None,
    broker_status_url: str | None = None,
    credentials: Credentials | None = None,
    allowed_hosts: tuple[str, ...] = (),
    dashboard: Path = DASHBOARD,
    new_epoch: Callable[[], str] = _new_epoch,
    run_aside: Callable[[Callable[[], None]], None] | None = None,
) -> Flask:
    """The read API and the page, over a store that connects at its first use.

    `broker_url` is where replayed and sent events go (None: that is not possible here), `broker_status_url`
    the local broker's status page, `credentials` what the broker is shown. `allowed_hosts` are names, besides
    localhost and IP addresses, under which requests that change something are taken; "*" for any, where the
    ingress checks. `run_aside` starts a thread, so that a refresh of the list keeps no request waiting.
    Raises ValueError for a bad URL.
    """
    listings = load_listings()
    services = Services(
        store=store,
        table=TickerTable(store.read_changed_summaries, listings, clock_ms, new_epoch, run_aside),
        recent=Recent(clock_ms),
        listings=listings,
        clock_ms=clock_ms,
        broker=Broker(broker_url, broker_status_url, credentials=credentials) if broker_url else None,
        allowed_hosts=allowed_hosts,
    )
    app = QueryApp("tradewind-query", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.merge_slashes = False
    for operation in OPERATIONS:
        _add_operation(app, services, operation)
    for path, name, page in [*Reference(OPERATIONS).pages(), *Pages(dashboard).pages()]:
        app.add_url_rule(path, name, page, methods=["GET"])
    app.before_request(_start)
    app.after_request(_finish)
    app.register_error_handler(Exception, _answer_error)
    return app


def _add_operation(app: Flask, services: Services, operation: Operation) -> None:
    def view(**path: str) -> Response:
        query = parse_query(operation.query, request.args)
        arguments: list[Any] = [take_parameter(name, value) for name, value in path.items()]
        if operation.query is not NoQuery:
            arguments.append(query)
        answer = operation.handler(services, *arguments)
        if isinstance(answer, Response):
            return answer
        return (answer if isinstance(answer, Body) else encode(answer)).to_response(request)

    rule = operation.path.replace("{", "<").replace("}", ">")
    app.add_url_rule(rule, operation.id, view, methods=[operation.method])


def _start() -> None:
    g.started = time.perf_counter()
    if len(request.full_path) > MAX_URL_LENGTH:
        raise Problem(414, f"the URL is longer than {MAX_URL_LENGTH} characters: shorten its parameters")


def _finish(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    elapsed_s = time.perf_counter() - g.started if "started" in g else 0.0
    operation = request.endpoint or "none"
    metrics.QUERY_REQUESTS.labels(operation, str(response.status_code)).inc()
    metrics.QUERY_REQUEST_SECONDS.labels(operation).observe(elapsed_s)
    return response


def _answer_error(error: Exception) -> Response:
    return _to_problem(error).to_response()


def _to_problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case StoreUnavailable():
            return Problem(503, f"the store can't answer now, try again: {error}", {"Retry-After": "1"})
        case StoreError():
            logger.error("store misconfigured", extra={"reason": str(error)})
            return Problem(500, f"the store has to be set right: {error}")
        case NotFound():
            return Problem(404, "there is nothing here: /docs lists what there is")
        case MethodNotAllowed():
            allowed = ", ".join(sorted(error.valid_methods or ()))
            return Problem(405, f"this method is not possible here: use {allowed}", {"Allow": allowed})
        case RequestEntityTooLarge():
            return Problem(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
        case HTTPException():
            return Problem(error.code or 500, error.description or "the request can't be handled")
        case _:
            logger.error("unexpected error", exc_info=error)
            return Problem(500, "an error of ours: the log says more")
