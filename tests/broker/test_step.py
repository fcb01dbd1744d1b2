"""What becomes of a delivery after an attempt, as a table."""

import pytest

from eventing.broker.schedule import Item
from eventing.broker.schema import State
from eventing.broker.step import Retry, Settle, ToSink, next_step
from eventing.client import Answer
from eventing.delivery import Delivery

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DELIVERY = Delivery(retry=2, backoff_policy="exponential", backoff_delay_ms=100, retry_after_max_ms=30_000)
PENDING, TO_SINK = State.PENDING, State.TO_SINK
KEPT = Settle(State.KEPT)


def after(ms: int) -> Retry:
    return Retry(NOW_MS + ms)


@pytest.mark.parametrize(
    ("state", "has_sink", "attempts", "answer", "step"),
    [
        (PENDING, True, 1, Answer(202), Settle(State.DELIVERED)),
        (PENDING, False, 3, Answer(202), Settle(State.DELIVERED)),
        (TO_SINK, True, 1, Answer(202), Settle(State.DEAD_LETTERED)),
        # Retries count from the first attempt to each place, and are waited for longer and longer.
        (PENDING, True, 1, Answer(500), after(100)),
        (PENDING, False, 2, Answer(500), after(200)),
        (PENDING, True, 1, Answer(None), after(100)),
        (PENDING, True, 1, Answer(200, body=b"OK"), after(100)),
        (TO_SINK, True, 2, Answer(500), after(200)),
        # The last retry has failed, or a retry would bring the same.
        (PENDING, True, 3, Answer(500), ToSink()),
        (PENDING, True, 1, Answer(400), ToSink()),
        (PENDING, False, 3, Answer(500), KEPT),
        (PENDING, False, 1, Answer(400), KEPT),
        (TO_SINK, True, 3, Answer(500), KEPT),
        (TO_SINK, True, 1, Answer(400), KEPT),
        # Retry-After counts where it is longer, up to its bound, and only with these statuses.
        (PENDING, True, 1, Answer(503, {"Retry-After": "7"}), after(7_000)),
        (PENDING, True, 1, Answer(429, {"Retry-After": "0"}), after(100)),
        (PENDING, True, 1, Answer(429, {"Retry-After": "60"}), after(30_000)),
        (PENDING, True, 1, Answer(503, {"Retry-After": "Thu, 01 Jan 2026 00:00:05 GMT"}), after(5_000)),
        (PENDING, True, 1, Answer(500, {"Retry-After": "7"}), after(100)),
        (TO_SINK, True, 1, Answer(503, {"Retry-After": "7"}), after(7_000)),
        (PENDING, True, 3, Answer(503, {"Retry-After": "7"}), ToSink()),
    ],
)
def test_the_table(
    state: State, has_sink: bool, attempts: int, answer: Answer, step: Settle | Retry | ToSink
) -> None:
    item = Item(1, NOW_MS, 100, state=state, attempts=attempts)
    assert next_step(item, DELIVERY, has_sink, answer, answer.verdict(), NOW_MS) == step
