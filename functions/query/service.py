"""What concerns the service itself: is it alive and ready, its measures, its events' schemas, its broker."""

import msgspec
from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST

from functions.metrics import exposition
from functions.query.bodies import JSON, Body
from functions.query.operation import Operation
from functions.query.outgoing import Unreachable
from functions.query.problems import Problem
from functions.query.services import Services
from trades.schemas import SCHEMA_TYPES, make_schema

SCHEMA_MEDIA_TYPE = "application/schema+json"
TEXT = "text/plain"


def check_health(_services: Services) -> Body:
    return Body(b"ok\n", TEXT)


def check_ready(services: Services) -> Body:
    services.store.ping()
    return Body(b"ok\n", TEXT)


def read_metrics(_services: Services) -> Body:
    return Body(exposition(), CONTENT_TYPE_LATEST)


def read_schema(_services: Services, type: str) -> Body:  # noqa: A002 - named as in the path
    if type not in SCHEMA_TYPES:
        raise Problem(404, f"there is no schema of {type[:64]!r}: there are {' and '.join(SCHEMA_TYPES)}")
    schema = make_schema(type, "/v1/schemas")  # relative to where it was read: no client names itself into it
    return Body(msgspec.json.encode(schema), SCHEMA_MEDIA_TYPE)


def read_broker_status(services: Services) -> Response:
    """As the broker gives it."""
    try:
        answer = services.broker.read_status() if services.broker else None
    except Unreachable as error:
        raise Problem(503, f"{error}: is it running?", {"Retry-After": "2"}) from None
    if answer is None or answer.status == 404:
        raise Problem(404, "this broker has no status to show: only the local one has")
    if answer.status != 200 or answer.media_type != JSON:
        raise Problem(502, f"the broker answered its status with {answer.status}, {answer.media_type}")
    return Response(answer.body, content_type=JSON)


OPERATIONS = (
    Operation("getHealth", "/healthz", "Whether the process is alive", check_health, None, media_type=TEXT),
    Operation("getReadiness", "/readyz", "Whether the store can serve", check_ready, None, media_type=TEXT),
    Operation("getMetrics", "/metrics", "Prometheus metrics", read_metrics, None, media_type=TEXT),
    Operation(
        "getSchema",
        "/v1/schemas/{type}",
        "JSON Schema of an event type's data, for `dataschema`",
        read_schema,
        None,
        media_type=SCHEMA_MEDIA_TYPE,
    ),
    Operation(
        "getBrokerStatus",
        "/v1/broker-status",
        "The local broker's own status",
        read_broker_status,
        None,
        problems=(404, 502),
    ),
)
