"""Answers and what a broker makes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.delivery import Verdict, verdict
from eventing.event import Event
from functions.answer import OUTCOMES, Answer, refusal, to_response, unavailable, worst
from trades.store import Outcome

DELIVERY = {
    Outcome.STORED: Verdict.DONE,
    Outcome.COUNTED: Verdict.DONE,
    Outcome.DUPLICATE: Verdict.DONE,
    Outcome.CONFLICT: Verdict.DEAD_LETTER,
    Outcome.OVERFLOW: Verdict.DEAD_LETTER,
    Outcome.UNAVAILABLE: Verdict.RETRY,
}


def delivery(answer: Answer) -> Verdict:
    response = to_response(answer)
    return verdict(response.status_code, bytes(response.body), answer.reply is not None)


@pytest.mark.parametrize("outcome", Outcome)
def test_a_broker_does_with_an_outcome_what_it_calls_for(outcome: Outcome) -> None:
    answer = OUTCOMES[outcome]
    assert answer.verdict == outcome
    assert delivery(answer) is DELIVERY[outcome]


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_refusal_is_not_retried(status: int) -> None:
    assert delivery(refusal("why", status)) is Verdict.DEAD_LETTER


def test_a_reply_is_done() -> None:
    event = Event({"specversion": "1.0", "id": "1", "source": "/", "type": "t"}, b"data")
    assert delivery(Answer("DONE", reply=event)) is Verdict.DONE


answers = st.sampled_from([*OUTCOMES.values(), refusal("bad"), refusal("large", 413), unavailable("late")])


@given(st.lists(answers, min_size=1))
def test_the_answer_to_a_batch(answers: list[Answer]) -> None:
    found = delivery(worst(answers))
    verdicts = {delivery(answer) for answer in answers}
    if Verdict.RETRY in verdicts:
        assert found is Verdict.RETRY, "what a retry may cure is tried again, whatever else is wrong"
    elif Verdict.DEAD_LETTER in verdicts:
        assert found is Verdict.DEAD_LETTER
    else:
        assert found is Verdict.DONE


def test_the_reason_names_the_first_event_of_its_kind() -> None:
    batch = [OUTCOMES[Outcome.STORED], refusal("bad"), unavailable("busy"), unavailable("late"), refusal("x")]
    assert worst(batch).reason == "event 2: busy"
    assert worst(batch[:2]).reason == "event 1: bad"
