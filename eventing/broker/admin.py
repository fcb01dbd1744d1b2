"""What people and tools ask of a running broker: `/-/...`, `/healthz`, `/readyz`, `/metrics`.

| GET    | /-/status                            | what was taken in, and how each trigger stands           |
| GET    | /-/events?after=&limit=&type=        | events as they came, with their deliveries               |
| GET    | /-/events?follow=1&after=&type=      | the same without end, a JSON object a line               |
| GET    | /-/dead-letters?after=&limit=        | what nobody took                                         |
| POST   | /-/dead-letters[/{number}]/replay    | deliver all, or those of one event, again                |
| DELETE | /-/dead-letters/{number}             | give them up                                             |
| POST   | /-/replay                            | {"trigger": "ns/name", "from": 1, "to": 9}: deliver again |
| GET    | /-/triggers                          | the Triggers that run                                    |
| POST   | /-/triggers                          | attach the Trigger in the body (its JSON), or replace it |
| DELETE | /-/triggers/{namespace}/{name}       | detach it                                                |
| GET    | /-/dump?format=yaml|kn               | what runs, for a cluster                                 |

The broker has no passwords: it is for loopback. A web page that a user visits must not reach it through the
user's browser, so `/-/` wants a Host that is loopback or allowed (a foreign name that was made to point here
is neither), no foreign Origin, and JSON as the type of a body (which a page can't send without asking first).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from eventing.broker.config import TriggerSpec
from eventing.broker.dispatch import Dispatcher, now_ms
from eventing.broker.dump import as_kn, as_yaml
from eventing.broker.engine import Engine, Outcome
from eventing.broker.files import ConfigError
from eventing.broker.history import MAX_PAGE_EVENTS, History
from eventing.broker.metrics import Metrics
from eventing.broker.web import (
    PROTECTIVE,
    Problem,
    Receive,
    Request,
    Response,
    Room,
    Scope,
    Send,
    json_response,
    read_body,
)

MAX_BODY_BYTES = 256 << 10
MAX_DIGITS = 18
MAX_READING_BYTES = 16 << 20
FOLLOW_POLL_S = 0.25
MAX_FOLLOWERS = 32  # each asks the log four times a second
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Admin:
    """ASGI application for one engine. `stopping` ends the answers that follow the log."""

    def __init__(self, engine: Engine, metrics: Metrics, allowed_hosts: frozenset[str] = frozenset()) -> None:
        self.config_error: str | None = None
        self.stopping = asyncio.Event()
        self._engine, self._metrics, self._allowed_hosts = engine, metrics, allowed_hosts
        self._history = History(engine)
        self._room = Room(MAX_READING_BYTES)
        self._started_ms = now_ms()
        self._followers = 0

    @staticmethod
    def owns(path: str) -> bool:
        return path.startswith("/-/") or path in ("/healthz", "/readyz", "/metrics")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Problem."""
        request = Request(scope, await read_body(scope, receive, MAX_BODY_BYTES, self._room))
        if not request.path.startswith("/-/"):
            return await self._probe(request).send(send)
        request.check_origin(self._allowed_hosts)
        parts = request.path.removeprefix("/-/").split("/")
        if (
            parts == ["events"]
            and request.method == "GET"
            and request.query.get("follow", "0") not in ("", "0")
        ):
            return await self._follow(request, receive, send)
        handler = self._route(request.method, parts)
        return await (await handler(request)).send(send)

    def _route(self, method: str, parts: list[str]) -> Callable[[Request], Awaitable[Response]]:
        match method, *parts:
            case ["GET", "status"]:
                return self._status
            case ["GET", "events"]:
                return self._events
            case ["GET", "dead-letters"]:
                return self._dead_letters
            case ["POST", "dead-letters", "replay"]:
                return lambda _: self._replay_dead_letters(None)
            case ["POST", "dead-letters", number, "replay"] if (
                number.isdecimal() and len(number) <= MAX_DIGITS
            ):
                return lambda _: self._replay_dead_letters(int(number))
            case ["DELETE", "dead-letters", number] if number.isdecimal() and len(number) <= MAX_DIGITS:
                return lambda _: self._forget(int(number))
            case ["POST", "replay"]:
                return self._replay
            case ["GET", "triggers"]:
                return self._triggers
            case ["POST", "triggers"]:
                return self._attach
            case ["DELETE", "triggers", namespace, name]:
                return lambda _: self._detach(f"{namespace}/{name}")
            case ["GET", "dump"]:
                return self._dump
        raise Problem(404, "there is no such thing under /-/: see eventing/README.md for what there is")

    def _probe(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise Problem(405, "ask for this with GET", {"allow": "GET, HEAD"})
        if request.path == "/metrics":
            return Response(200, self._metrics.text(), _METRICS_TYPE)
        reason = "stopping" if self.stopping.is_set() else self._engine.log.trouble
        if request.path == "/readyz" and reason:
            return json_response({"ready": False, "reason": reason}, 503)
        return json_response({"ready": True})

    async def _status(self, _: Request) -> Response:
        engine = self._engine
        refused = {
            outcome.value: count for outcome, count in engine.refused.items() if outcome is not Outcome.STORED
        }
        return json_response(
            {
                "started_ms": self._started_ms,
                "accepted": engine.accepted,
                "last_event": engine.log.next_seq - 1,
                "refused": refused,
                "waiting_to_be_written": engine.log.waiting_events,
                "trouble": engine.log.trouble,
                "config_error": self.config_error,
                "brokers": sorted(engine.brokers),
                "triggers": [_standing(dispatcher) for dispatcher in engine.dispatchers.values()],
                "parked": engine.parked,
            }
        )

    async def _events(self, request: Request) -> Response:
        limit, type_ = request.number("limit", 100, MAX_PAGE_EVENTS), request.query.get("type")
        if "after" in request.query:
            events, _ = await self._history.events(request.number("after", 0), limit, type_)
        else:
            events = await self._history.newest(limit, type_)
        return json_response({"events": events})

    async def _follow(self, request: Request, receive: Receive, send: Send) -> None:
        """New events as they come, one JSON object a line, until the client goes or the broker stops."""
        if self._followers >= MAX_FOLLOWERS:
            raise Problem(503, f"{MAX_FOLLOWERS} follow already: end one of them", {"retry-after": "5"})
        self._followers += 1
        try:
            await self._write_news(request, receive, send)
        finally:
            self._followers -= 1

    async def _write_news(self, request: Request, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(receive())  # the body was read: what comes now is the end
        after = request.number("after", self._engine.log.next_seq - 1)
        headers = [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store"), *PROTECTIVE]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while not self.stopping.is_set() and not gone.done():
            type_ = request.query.get("type")
            events, after = await self._history.events(after, MAX_PAGE_EVENTS, type_)
            body = b"".join(msgspec.json.encode(event) + b"\n" for event in events)
            await send({"type": "http.response.body", "body": body, "more_body": True})
            if not events:
                await asyncio.sleep(FOLLOW_POLL_S)
        gone.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _dead_letters(self, request: Request) -> Response:
        limit = request.number("limit", 100, MAX_PAGE_EVENTS)
        return json_response(
            {"dead_letters": await self._history.dead_letters(request.number("after", 0), limit)}
        )

    async def _replay_dead_letters(self, number: int | None) -> Response:
        count = await self._history.replay_dead_letters(number)
        if number is not None and not count:
            raise Problem(
                404, f"event {number} has no dead letter of a trigger that runs: see /-/dead-letters"
            )
        return json_response({"replayed": count})

    async def _forget(self, number: int) -> Response:
        count = await self._history.forget_dead_letter(number)
        if not count:
            raise Problem(404, f"event {number} has no dead letter here")
        return json_response({"forgotten": count})

    async def _replay(self, request: Request) -> Response:
        wanted = request.json()
        trigger = str(wanted.get("trigger"))
        if trigger not in self._engine.dispatchers:
            running = ", ".join(sorted(self._engine.dispatchers))
            raise Problem(404, f"trigger must be one that runs: {running}")
        first, last = wanted.get("from", 1), wanted.get("to", self._engine.log.next_seq - 1)
        if not all(isinstance(number, int) and 0 <= number < 10**MAX_DIGITS for number in (first, last)):
            raise Problem(400, "from and to must be numbers of events")
        count, got_to = await self._history.replay(trigger, first, last)
        return json_response({"replayed": count, "to": got_to})

    async def _triggers(self, _: Request) -> Response:
        specs = (dispatcher.spec for dispatcher in self._engine.dispatchers.values())
        return json_response(
            {"triggers": [_described(spec, self._engine.is_attached(spec.key)) for spec in specs]}
        )

    async def _attach(self, request: Request) -> Response:
        try:
            spec = await self._engine.attach(request.json())
        except ConfigError as error:
            raise Problem(422, str(error)) from None
        return json_response(_described(spec, attached=True), 201)

    async def _detach(self, key: str) -> Response:
        try:
            await self._engine.detach(key)
        except KeyError:
            raise Problem(404, f"no Trigger {key} is attached: see /-/triggers") from None
        except ConfigError as error:
            raise Problem(409, str(error)) from None
        return json_response({"detached": key})

    async def _dump(self, request: Request) -> Response:
        engine = self._engine
        documents = [spec.document for spec in engine.brokers.values()]
        documents += [dispatcher.spec.document for dispatcher in engine.dispatchers.values()]
        match request.query.get("format", "yaml"):
            case "yaml":
                return Response(200, as_yaml(documents).encode(), "application/yaml")
            case "kn":
                return Response(200, as_kn(documents).encode(), "text/plain; charset=utf-8")
        raise Problem(400, "format must be yaml or kn")


def _described(spec: TriggerSpec, attached: bool) -> dict[str, Any]:
    return {
        "name": spec.key,
        "broker": spec.broker,
        "subscriber": spec.subscriber_url,
        "dead_letter_sink": spec.dead_letter_url,
        "filters": spec.document["spec"].get("filters") or spec.document["spec"].get("filter"),
        "ordered": spec.ordered,
        "parallelism": spec.parallelism,
        "attached": attached,
    }


def _standing(dispatcher: Dispatcher) -> dict[str, Any]:
    """How a trigger stands. Counts are since the start of the process; `total` is over all runs."""
    spec, total, oldest_ms = dispatcher.spec, dispatcher.totals(), dispatcher.schedule.oldest_ms()
    return {
        "name": spec.key,
        "broker": spec.broker,
        "subscriber": spec.subscriber_url,
        "filters": spec.document["spec"].get("filters") or spec.document["spec"].get("filter"),
        "pending": dispatcher.open,
        "pending_bytes": dispatcher.open_bytes,
        "in_flight": dispatcher.in_flight,
        "oldest_ms": None if oldest_ms is None else now_ms() - oldest_ms,
        "delivered": dispatcher.delivered,
        "retried": dispatcher.retried,
        "dead_lettered": dispatcher.dead_lettered,
        "kept": dispatcher.kept,
        "total": {
            "delivered": total.delivered,
            "retried": total.retried,
            "dead_lettered": total.dead_lettered,
        },
        "last_error": dispatcher.last_error,
    }
