"""Raw events as the functions saw them, with their verdicts; and one event passed on to the broker."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from flask import Response, request
from msgspec import UNSET, Meta, UnsetType

from functions.query.bodies import JSON, Body, encode
from functions.query.guard import check_same_site, require_broker
from functions.query.operation import Operation
from functions.query.outgoing import Answer, InDoubt, Unreachable
from functions.query.payload import Payload, view_payload
from functions.query.problems import Problem
from functions.query.services import Services
from functions.query.times import format_ms
from functions.query.views import Time
from trades.store import MAX_NOTES_PER_FUNCTION, EventNote

STRUCTURED = "application/cloudevents+json"
MAX_NOTES = MAX_NOTES_PER_FUNCTION * 8  # looked through for a filter: all notes of eight functions
MAX_VALUE_LENGTH = 256  # of a source or id in a note; longer ones are cut there
MAX_ANSWER_TEXT = 2_000
VERDICTS = {
    "STORED": "its trades are in the store",
    "COUNTED": "its trades are in the summaries",
    "DUPLICATE": "it was done before, so nothing changed",
    "DONE": "a function of one's own has done with it",
    "REPLIED": "this event is what the function answered, and the broker publishes",
    "CONFLICT": "its source and id came before with other data",
    "OVERFLOW": "a sum would be too large",
    "BAD_REQUEST": "it is wrong in itself",
    "UNAVAILABLE": "not done yet: the broker tries again",
}


class EventsQuery(msgspec.Struct, frozen=True):
    """Which of the recent events."""

    limit: Annotated[int, Meta(ge=1, le=500, description="deliveries and replies")] = 50
    source: (
        Annotated[
            str,
            Meta(min_length=1, max_length=MAX_VALUE_LENGTH, description="only events of this source"),
        ]
        | UnsetType
    ) = UNSET
    id: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=MAX_VALUE_LENGTH,
                description="only events with this id; with `source`, all that is known of one event",
            ),
        ]
        | UnsetType
    ) = UNSET
    function: (
        Annotated[str, Meta(min_length=1, max_length=64, description="only what this function saw")]
        | UnsetType
    ) = UNSET
    verdict: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=32,
                description=f"only events with this verdict: {', '.join(VERDICTS)}",
            ),
        ]
        | UnsetType
    ) = UNSET


class SeenEvent(msgspec.Struct):
    """One delivery of an event to one function, or an event that a function replied with."""

    function: str
    time: Time
    attributes: Annotated[dict[str, str], Meta(description="CloudEvents context attributes")]
    data: Payload
    verdict: Annotated[str, Meta(description="; ".join(f"{name}: {what}" for name, what in VERDICTS.items()))]
    reason: Annotated[str, Meta(description="empty when there is nothing to say")]


class EventList(msgspec.Struct):
    """Recent events, newest first, from a ring that forgets the oldest."""

    events: list[SeenEvent]


def list_events(services: Services, query: EventsQuery) -> Body:
    filters = {name: value for name in _FILTERS if (value := getattr(query, name)) is not UNSET}
    count = MAX_NOTES if filters else query.limit
    notes = services.recent.get(count, lambda: services.store.read_notes(count))  # all filters share a read
    wanted = [note for note in notes if all(_FILTERS[name](note) == filters[name] for name in filters)]
    return encode(EventList([_view(note) for note in wanted[: query.limit]]))


_FILTERS: dict[str, Callable[[EventNote], str | None]] = {
    "source": lambda note: note.attributes.get("source"),
    "id": lambda note: note.attributes.get("id"),
    "function": lambda note: note.function,
    "verdict": lambda note: note.verdict,
}


def _view(note: EventNote) -> SeenEvent:
    return SeenEvent(
        note.function,
        format_ms(note.time_ms),
        note.attributes,
        view_payload(note.data, note.data_size),
        note.verdict,
        note.reason,
    )


class BrokerAnswer(msgspec.Struct):
    """What the broker said to an event."""

    status: Annotated[int, Meta(ge=100, le=599, description="HTTP status; 202: it has the event, durably")]
    text: str


def send_event(services: Services) -> Response:
    """The event goes on as it is, whether right or wrong: the page shows what becomes of either."""
    check_same_site(request, services.allowed_hosts, STRUCTURED)
    broker = require_broker(services)
    try:
        answer = broker.send({"content-type": STRUCTURED}, request.get_data())
    except InDoubt as error:
        raise Problem(
            504,
            f"{error}, so it is in doubt whether the functions get it: send the same event again, it is safe",
        ) from None
    except Unreachable as error:
        raise Problem(503, f"{error}: is it running?", {"Retry-After": "2"}) from None
    body = msgspec.json.encode(BrokerAnswer(answer.status, answer_text(answer)))
    return Response(body, 200, content_type=JSON)


def answer_text(answer: Answer) -> str:
    """What the broker's answer says, cut."""
    text = answer.body.decode("utf-8", "replace")
    if answer.media_type.endswith("json"):
        try:
            detail = msgspec.json.decode(answer.body, type=dict[str, object]).get("detail")
        except msgspec.DecodeError:
            detail = None
        text = detail if isinstance(detail, str) else text
    return text.strip()[:MAX_ANSWER_TEXT]


OPERATIONS = (
    Operation(
        "listEvents",
        "/v1/events",
        "Recent raw events with the functions' verdicts, newest first",
        list_events,
        EventList,
        EventsQuery,
        tag="events",
    ),
    Operation(
        "sendEvent",
        "/v1/events",
        "Pass one structured CloudEvent on to the broker, as it is",
        send_event,
        BrokerAnswer,
        method="POST",
        problems=(403, 413, 415, 504),
        request_type=STRUCTURED,
        request_schema={"type": "object", "description": "a CloudEvent in structured mode"},
        tag="events",
    ),
)
