"""The door for events: `POST /{namespace}/{broker}`, with the answers of Knative's ingress.

| request                                            | answer                                              |
|----------------------------------------------------|-----------------------------------------------------|
| POST of one event, or of a batch (our extension)   | 202 with an empty body, once it is on disk          |
| OPTIONS                                            | 200 with WebHook-Allowed-Origin and -Rate           |
| another method                                     | 405                                                 |
| POST /                                             | 404                                                 |
| a path that is not /{namespace}/{broker}           | 400                                                 |
| not a valid CloudEvent; knativebrokerttl used up   | 400                                                 |
| a CloudEvents format that is not JSON; compressed  | 415                                                 |
| no such broker                                     | 404                                                 |
| body or batch too large                            | 413                                                 |
| the backlog of a trigger that wants it is full     | 429 with Retry-After                                |
| too much waits to be written; it can't be written  | 503 with Retry-After                                |

(knative.dev/eventing v0.50, pkg/broker/ingress; the last four lines are ours.)
"""

from eventing.broker.engine import Outcome
from eventing.broker.traced import Accepts
from eventing.broker.web import Problem, Receive, Response, Room, Scope, Send, read_body
from eventing.codec import decode
from eventing.event import BadEvent

MAX_BODY_BYTES = 5 << 20
MAX_READING_BYTES = 128 << 20
_ALLOW = {"allow": "POST, OPTIONS"}
_ACCEPTED = (
    {"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]},
    {"type": "http.response.body", "body": b""},
)
_REFUSALS = {
    Outcome.NO_BROKER: (404, "there is no Broker {broker}: the path is /namespace/name of one", None),
    Outcome.SPENT: (400, "knativebrokerttl is used up: do triggers reply to each other without end?", None),
    Outcome.BACKLOG_FULL: (
        429,
        "a trigger of {broker} is too far behind: see /-/status, send again later",
        "5",
    ),
    Outcome.BUSY: (503, "too many events wait to be written: send again", "1"),
    Outcome.NOT_WRITTEN: (
        503,
        "the events could not be written to disk: see the broker's log, send again",
        "5",
    ),
}


class Ingress:
    """ASGI application for one engine, or what stands before it."""

    def __init__(self, engine: Accepts, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._engine = engine
        self._max_body_bytes = max_body_bytes
        self._room = Room(max(MAX_READING_BYTES, max_body_bytes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Problem with the answer when the events are not taken, and Disconnected."""
        method = scope["method"]
        if method == "OPTIONS":
            headers = _ALLOW | {"webhook-allowed-origin": "*", "webhook-allowed-rate": "*"}
            return await Response(200, headers=headers).send(send)
        if method != "POST":
            raise Problem(405, "send events with POST", _ALLOW)
        broker = _broker(scope["path"])
        body = await read_body(scope, receive, self._max_body_bytes, self._room)
        try:
            events = decode(
                ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]), body
            )
        except BadEvent as error:
            raise Problem(error.status, str(error)) from None
        outcome = await self._engine.accept(broker, events)
        if outcome is not Outcome.STORED:
            status, detail, retry_after_s = _REFUSALS[outcome]
            again = {"retry-after": retry_after_s} if retry_after_s else None
            raise Problem(status, detail.format(broker=broker), again)
        for message in _ACCEPTED:
            await send(message)
        return None


def _broker(path: str) -> str:
    """'namespace/name' of a request's path. Raises Problem."""
    key = path.strip("/")
    if not key:
        raise Problem(404, "send events to /namespace/name of a Broker")
    if key.count("/") != 1 or (path != f"/{key}" and path != f"/{key}/"):
        raise Problem(400, "the path must be /namespace/name of a Broker")
    return key
