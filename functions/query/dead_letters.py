"""Dead letters: what waits, why, and sending it again."""

from typing import Annotated

import msgspec
from flask import request
from msgspec import UNSET, Meta, UnsetType

from eventing.codec import encode_binary
from eventing.event import BadEvent, Event
from functions.query.bodies import JSON, Body, encode
from functions.query.events import BrokerAnswer, answer_text
from functions.query.guard import check_same_site, require_broker
from functions.query.operation import Operation
from functions.query.outgoing import Broker, InDoubt, Unreachable
from functions.query.payload import Payload, view_payload
from functions.query.problems import Problem
from functions.query.services import Services
from functions.query.times import format_ms
from functions.query.views import Time
from trades.store import DeadLetter, LetterPlace, TradeStore

MAX_LETTERS = 1_000
CURSOR_PATTERN = r"^[0-9]{1,15}-[0-9a-f]{1,128}$"


class DeadLettersQuery(msgspec.Struct, frozen=True):
    """Which dead letters."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LETTERS, description="dead letters")] = 50
    replayed: Annotated[bool, Meta(description="also those that were sent again since")] = False
    cursor: (
        Annotated[str, Meta(pattern=CURSOR_PATTERN, description="`next_cursor` of the page before")]
        | UnsetType
    ) = UNSET


class DeadLetterView(msgspec.Struct):
    """An event that could not be handled."""

    key: str
    received: Time
    attributes: Annotated[dict[str, str], Meta(description="the event's own CloudEvents context attributes")]
    data: Payload
    destination: Annotated[str, Meta(description="the function that could not handle it")]
    status: Annotated[str, Meta(description="the HTTP status it gave; empty when it gave none")]
    reason: str
    replayed: Annotated[Time | None, Meta(description="when it was last sent again; null while it waits")]


class DeadLetterList(msgspec.Struct):
    """Dead letters, newest first; their data is cut."""

    dead_letters: list[DeadLetterView]
    next_cursor: Annotated[
        str | None,
        Meta(
            description="null at the end. What comes, or comes again, while you go from page to page is not "
            "on a later one"
        ),
    ]


class Replay(msgspec.Struct):
    """A dead letter that was sent again."""

    key: str
    replayed: Time
    broker: BrokerAnswer


def list_dead_letters(services: Services, query: DeadLettersQuery) -> Body:
    return services.recent.get(query, lambda: encode(_read_page(services.store, query)))


def _read_page(store: TradeStore, query: DeadLettersQuery) -> DeadLetterList:
    before = None if query.cursor is UNSET else _parse_cursor(query.cursor)
    letters = store.read_dead_letters(
        query.limit + 1, waiting_only=not query.replayed, before=before, cut=True
    )
    page = letters[: query.limit]
    next_cursor = None if page == letters else "{}-{}".format(*page[-1].place)
    return DeadLetterList([_view(letter) for letter in page], next_cursor)


def _parse_cursor(text: str) -> LetterPlace:
    received_ms, _, key = text.partition("-")
    return LetterPlace(int(received_ms), key)


def read_dead_letter(services: Services, key: str) -> DeadLetterView:
    return _view(_find(services, key))


def replay_dead_letter(services: Services, key: str) -> Replay:
    """With its own id and source: what was done of it before is recognised, and only the rest is done.

    It is marked when the broker has it, and only as the letter that was sent: a broker may answer after the
    event has become a dead letter again, and a mark made then would hide it.
    """
    check_same_site(request, services.allowed_hosts, JSON)
    _check_body(request.get_data())
    broker = require_broker(services)
    letter = _find(services, key)
    try:
        headers, body = encode_binary(Event(letter.attributes, letter.data or None))
    except BadEvent as error:
        raise Problem(422, f"this is not an event that can be sent: {error}") from None
    said = _send(broker, headers, body)
    now_ms = services.clock_ms()
    try:
        services.store.mark_replayed(letter, now_ms)
    finally:
        services.recent.forget()
    return Replay(key, format_ms(now_ms), said)


def _check_body(body: bytes) -> None:
    """There is nothing to say, so nothing or an empty object. Raises Problem 400."""
    if body.strip() not in (b"", b"{}"):
        raise Problem(400, "send {} as the body: there is nothing to choose")


def _send(broker: Broker, headers: dict[str, str], body: bytes) -> BrokerAnswer:
    try:
        answer = broker.send(headers, body)
    except InDoubt as error:
        raise Problem(
            504,
            f"{error}, so it is in doubt whether the functions get it: the dead letter still waits, and "
            "sending it again is safe",
        ) from None
    except Unreachable as error:
        raise Problem(503, f"{error}: the dead letter still waits", {"Retry-After": "2"}) from None
    said = BrokerAnswer(answer.status, answer_text(answer))
    if not 200 <= answer.status < 300:
        raise Problem(502, f"the broker answered {said.status}, so the dead letter still waits: {said.text}")
    return said


def _find(services: Services, key: str) -> DeadLetter:
    letter = services.store.read_dead_letter(key)
    if letter is None:
        raise Problem(404, "there is no dead letter with this key: GET /v1/dead-letters lists them")
    return letter


def _view(letter: DeadLetter) -> DeadLetterView:
    return DeadLetterView(
        letter.key,
        format_ms(letter.received_ms),
        letter.attributes,
        view_payload(letter.data, len(letter.data) + letter.left_out_bytes),
        letter.destination,
        letter.status,
        letter.reason,
        format_ms(letter.replayed_ms) if letter.replayed_ms else None,
    )


OPERATIONS = (
    Operation(
        "listDeadLetters",
        "/v1/dead-letters",
        "Events that could not be handled, newest first",
        list_dead_letters,
        DeadLetterList,
        DeadLettersQuery,
        tag="events",
    ),
    Operation(
        "getDeadLetter",
        "/v1/dead-letters/{key}",
        "A dead letter with its whole data",
        read_dead_letter,
        DeadLetterView,
        tag="events",
    ),
    Operation(
        "replayDeadLetter",
        "/v1/dead-letters/{key}/replay",
        "Send a dead letter's event to the broker again",
        replay_dead_letter,
        Replay,
        method="POST",
        problems=(403, 415, 422, 502, 504),
        request_type=JSON,
        request_schema={"const": {}, "description": "an empty object"},
        tag="events",
    ),
)
