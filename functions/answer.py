"""The answer to a delivery, as a broker reads it: the status is the verdict, the reason is for people.

| answer                     | when                                     | what a broker does        |
|----------------------------|------------------------------------------|---------------------------|
| 202, empty                 | done, or done before                     | nothing more              |
| 200, an event              | done, with a reply                       | publishes the reply       |
| 400, 405, 413, 415, 422    | the same request will get the same again | dead letter, with reason  |
| 500, 503 with Retry-After  | a crash; store busy, down, in doubt      | tries again later         |
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from starlette.responses import Response

from eventing.codec import BadEvent, encode_binary
from eventing.event import Event
from trades.store import Outcome

BAD_REQUEST = "BAD_REQUEST"
RETRY_AFTER_S = 1

# knativeerrordata keeps 768 bytes of an answer: the reason has to fit, with the JSON around it.
_MAX_REASON_LENGTH = 400
_TITLES = {
    400: "Bad Request",
    405: "Method Not Allowed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Answer(NamedTuple):
    """What becomes of one event: a verdict (an Outcome or BAD_REQUEST), and what to tell the sender."""

    verdict: str
    status: int = 202
    reason: str = ""
    reply: Event | None = None

    @property
    def is_done(self) -> bool:
        return self.status < 300

    @property
    def is_refusal(self) -> bool:
        """Trying again would bring the same."""
        return 400 <= self.status < 500


OUTCOMES = {
    Outcome.STORED: Answer(Outcome.STORED),
    Outcome.COUNTED: Answer(Outcome.COUNTED),
    Outcome.DUPLICATE: Answer(Outcome.DUPLICATE),
    Outcome.CONFLICT: Answer(
        Outcome.CONFLICT,
        422,
        "an event with this source and id came before with other trades: send new trades under a new id",
    ),
    Outcome.OVERFLOW: Answer(
        Outcome.OVERFLOW,
        422,
        "a sum of the ticker would leave 63 bits: check price and volume",
    ),
    Outcome.UNAVAILABLE: Answer(
        Outcome.UNAVAILABLE, 503, "the store is busy or down, or the queue is full: send the event again"
    ),
}


def refusal(reason: str, status: int = 400) -> Answer:
    """A request that is wrong in itself."""
    return Answer(BAD_REQUEST, status, reason)


def refusal_of(error: BadEvent) -> Answer:
    return refusal(str(error), error.status)


def unavailable(reason: str, status: int = 503) -> Answer:
    return Answer(Outcome.UNAVAILABLE, status, reason)


def worst(answers: Iterable[Answer]) -> Answer:
    """The one answer to a batch: a passing trouble first (a retry may cure it), then a refusal, else done.

    A retry hands in the whole batch again, which is harmless: what is done is recognised.
    """
    found: Answer | None = None
    for index, answer in enumerate(answers):
        if found is None or _severity(answer) > _severity(found):
            found = answer if answer.is_done else answer._replace(reason=f"event {index}: {answer.reason}")
    if found is None:
        raise ValueError("a batch has at least one event")
    return found


def _severity(answer: Answer) -> int:
    if answer.is_done:
        return 0
    return 1 if answer.is_refusal else 2


# Responses hold no state of a request: one object answers every delivery.
_ACCEPTED = Response(status_code=202)


def to_response(answer: Answer) -> Response:
    """The HTTP response. A 202 has an empty body: to a broker, anything but an event there is a failure."""
    if answer.reply is not None:
        headers, body = encode_binary(answer.reply)
        return Response(body, status_code=200, headers=headers)
    if answer.is_done:
        return _ACCEPTED
    headers = {}
    if not answer.is_refusal:
        headers["retry-after"] = str(RETRY_AFTER_S)
    return problem(answer.status, answer.reason, headers)


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """A problem detail (RFC 9457); `type` is left out, which means about:blank."""
    if len(detail) > _MAX_REASON_LENGTH:
        detail = detail[: _MAX_REASON_LENGTH - 1] + "…"
    body = msgspec.json.encode({"title": _TITLES[status], "status": status, "detail": detail})
    return Response(body, status_code=status, headers=headers, media_type="application/problem+json")
