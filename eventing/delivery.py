"""What a broker does with a subscriber's answer: Knative's delivery rules, with no I/O, clock or chance."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final, Literal, cast

from eventing.destinations import BadDestination, parse_destination
from eventing.durations import duration_ms

MAX_DELAY_MS: Final = 24 * 3_600_000
# What Knative keeps of a failing answer, as 1,024 characters of base64. Where the body is longer and there is
# a dead-letter sink, the dispatcher of Knative 0.50 ends with a panic: answers to it must keep to this bound.
MAX_ERROR_BODY_BYTES: Final = 768

_RETRIED = frozenset((404, 408, 409, 429))
_NO_ANSWER_STATUS = 500
_NOT_AN_EVENT_STATUS = 502
_MEMBERS = frozenset(
    ("retry", "backoffPolicy", "backoffDelay", "timeout", "retryAfterMax", "deadLetterSink", "format")
)


class BadDelivery(ValueError):
    """A `delivery` that Knative's webhook would refuse; the message names the member and what to write."""


class Verdict(Enum):
    """What becomes of a delivery after one attempt."""

    DONE = "DONE"
    RETRY = "RETRY"
    DEAD_LETTER = "DEAD_LETTER"


def verdict(answer_status: int | None, body: bytes, is_event: bool) -> Verdict:
    """What Knative makes of a subscriber's answer. Status None: no answer, a reset or a timeout.

    | answer                         | verdict     | why                                            |
    |--------------------------------|-------------|------------------------------------------------|
    | none                           | RETRY       | nobody knows what happened                     |
    | 2xx, empty body                | DONE        | it is handled                                  |
    | 2xx, a CloudEvent (`is_event`) | DONE        | it is handled, and this is the reply           |
    | 2xx, any other body            | RETRY       | a reply must be an event: counted as a 502     |
    | 5xx                            | RETRY       | the subscriber's trouble, which may pass       |
    | 404                            | RETRY       | a pod that is not ready, a route not there yet |
    | 408, 409, 429                  | RETRY       | the status itself speaks of a passing state    |
    | any other                      | DEAD_LETTER | the same request will get the same answer      |

    (knative.dev/eventing v0.50: `SelectiveRetry` in kncloudevents, `writeResponse` in broker/filter.) A
    redirect is an answer like any other. Whether one more retry is allowed is for `Delivery.retry` to say.
    """
    if answer_status is None or answer_status >= 500 or answer_status in _RETRIED:
        return Verdict.RETRY
    if 200 <= answer_status <= 299:
        return Verdict.DONE if is_event or not body else Verdict.RETRY
    return Verdict.DEAD_LETTER


@dataclass(frozen=True, slots=True)
class Delivery:
    """The `delivery` of a Trigger or Broker; the defaults are what Knative does where a manifest has none.

    `retry` counts the attempts after the first. `timeout_ms` is for one attempt; None sets none. A
    Retry-After counts for `retry_after_max_ms` at most; 0 ignores it. `dead_letter_sink` is a URL or kn's
    name for an object, `ksvc:name`. `event_format` is how the subscriber gets an event: binary or, in a JSON
    body, structured mode.
    """

    retry: int = 0
    backoff_policy: Literal["linear", "exponential"] | None = None
    backoff_delay_ms: int = 0
    timeout_ms: int | None = None
    retry_after_max_ms: int | None = None
    dead_letter_sink: str | None = None
    event_format: Literal["json", "binary"] = "binary"


# What Knative's release writes into config-br-defaults, for a Broker whose manifest has no delivery.
BROKER_DEFAULT: Final = Delivery(retry=10, backoff_policy="exponential", backoff_delay_ms=200)


def parse_delivery(spec: Mapping[str, object] | None) -> Delivery:
    """The `delivery` of a manifest. Raises BadDelivery where Knative's API server or webhook refuses it."""
    if spec is None:
        return Delivery()
    unknown = sorted(set(spec) - _MEMBERS)
    if unknown:
        raise BadDelivery(f"delivery: unknown member {unknown[0]!r}: use {', '.join(sorted(_MEMBERS))}")
    retry = spec.get("retry", 0)
    if not isinstance(retry, int) or isinstance(retry, bool) or not 0 <= retry < 2**31:
        raise BadDelivery(f"delivery.retry: {retry!r} must be a whole number from 0")
    policy = _word(spec, "backoffPolicy", ("linear", "exponential"))
    timeout_ms = _duration(spec, "timeout")
    if timeout_ms == 0:
        raise BadDelivery("delivery.timeout: must be longer than zero, or left out")
    return Delivery(
        retry=retry,
        backoff_policy=cast(Literal["linear", "exponential"] | None, policy),
        backoff_delay_ms=_duration(spec, "backoffDelay") or 0,
        timeout_ms=timeout_ms,
        retry_after_max_ms=_duration(spec, "retryAfterMax"),
        dead_letter_sink=_sink(spec.get("deadLetterSink")),
        event_format=cast(Literal["json", "binary"], _word(spec, "format", ("json", "binary")) or "binary"),
    )


def delay_ms(delivery: Delivery, attempt: int, retry_after_ms: int | None = None) -> int:
    """Milliseconds to wait before retry number `attempt`, the first being 0; Knative adds no jitter.

    Exponential: delay x 2^attempt. Linear: delay x attempt, so the first retry comes at once. Without a
    policy or a delay: at once. `retry_after_ms`, from a 429 or 503, counts where it is longer. (Knative
    heeds it only where `retryAfterMax` is set, until that feature is stable; here it counts without.)
    """
    factor = 0
    if delivery.backoff_policy == "exponential":
        factor = 1 << min(attempt, 32)
    elif delivery.backoff_policy == "linear":
        factor = attempt
    wait_ms = delivery.backoff_delay_ms * factor
    if retry_after_ms is not None:
        most_ms = delivery.retry_after_max_ms
        wait_ms = max(wait_ms, retry_after_ms if most_ms is None else min(retry_after_ms, most_ms))
    return min(wait_ms, MAX_DELAY_MS)


def parse_retry_after(value: str | None, now_s: float) -> int | None:
    """Milliseconds to wait from a Retry-After (seconds or an HTTP date); None where it says nothing."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:9]) * 1000, MAX_DELAY_MS)
    try:
        when = parsedate_to_datetime(value)
        wait_s = when.replace(tzinfo=when.tzinfo or UTC).timestamp() - now_s
    except (ValueError, OverflowError):  # no date, or none that can be reckoned with
        return None
    return min(max(int(wait_s * 1000), 0), MAX_DELAY_MS)


def error_attributes(destination: str, status: int | None, body: bytes) -> dict[str, str]:
    """The extensions of a dead letter: where the last attempt went, its status, and the answer's body.

    None becomes 500 (put what went wrong into `body`), and a 2xx, which fails because its body is no event,
    502. The data is the start of the body in base64, at most 1,024 characters.
    """
    if status is None:
        status = _NO_ANSWER_STATUS
    elif 200 <= status <= 299:
        status = _NOT_AN_EVENT_STATUS
    data = base64.b64encode(body[:MAX_ERROR_BODY_BYTES]).decode()
    return {"knativeerrordest": destination, "knativeerrorcode": str(status), "knativeerrordata": data}


def _word(spec: Mapping[str, object], member: str, words: tuple[str, ...]) -> str | None:
    value = spec.get(member)
    if value is not None and value not in words:
        raise BadDelivery(f"delivery.{member}: {value!r} must be {' or '.join(words)}")
    return value


def _duration(spec: Mapping[str, object], member: str) -> int | None:
    value = spec.get(member)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadDelivery(f"delivery.{member}: {value!r} must be a duration in quotes, like PT0.5S or PT2M")
    try:
        return duration_ms(value)
    except ValueError as error:
        raise BadDelivery(f"delivery.{member}: {error}") from None


def _sink(spec: object) -> str | None:
    if spec is None:
        return None
    try:
        return parse_destination(spec, "delivery.deadLetterSink")
    except BadDestination as error:
        raise BadDelivery(str(error)) from None
