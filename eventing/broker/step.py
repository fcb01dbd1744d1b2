"""What becomes of a delivery after an attempt. No I/O and no clock of its own.

| verdict       | to the subscriber (PENDING)     | to the sink (TO_SINK)  |
|---------------|---------------------------------|------------------------|
| DONE          | DELIVERED                       | DEAD_LETTERED          |
| RETRY         | again, while `retry` allows it  | the same               |
| anything else | to the sink; without one, KEPT  | KEPT                   |
"""

from dataclasses import dataclass

from eventing.broker.schedule import Item
from eventing.broker.schema import State
from eventing.client import Answer
from eventing.delivery import Delivery, Verdict, delay_ms, parse_retry_after


@dataclass(frozen=True, slots=True)
class Settle:
    """There is nothing more to be done."""

    state: State


@dataclass(frozen=True, slots=True)
class Retry:
    """To the same place again, not before `due_ms`."""

    due_ms: int


@dataclass(frozen=True, slots=True)
class ToSink:
    """The subscriber will not have it: to the dead-letter sink, with attempts of its own."""


def next_step(
    item: Item, delivery: Delivery, has_sink: bool, answer: Answer, judged: Verdict, now_ms: int
) -> Settle | Retry | ToSink:
    """The step after `answer`, of this verdict; its attempt is counted in `item.attempts` already."""
    if judged is Verdict.DONE:
        return Settle(State.DELIVERED if item.state is State.PENDING else State.DEAD_LETTERED)
    if judged is Verdict.RETRY and item.attempts <= delivery.retry:
        asked_ms = None
        if answer.status in (429, 503):
            asked_ms = parse_retry_after(answer.headers.get("Retry-After"), now_ms / 1000)
        return Retry(now_ms + delay_ms(delivery, item.attempts - 1, asked_ms))
    if item.state is State.PENDING and has_sink:
        return ToSink()
    return Settle(State.KEPT)
