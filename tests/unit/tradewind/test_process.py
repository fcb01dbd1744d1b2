"""The state machine of a supervised process, with a clock of its own."""

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.laptop.process import SILENT_AFTER_S, Process, RestartPolicy, State, describe_exit

POLICY = RestartPolicy(max_deaths=3, window_s=60, first_delay_s=0.1, longest_delay_s=1)


def ready(name: str = "broker", **kinds: bool) -> Process:
    process = Process(name, policy=POLICY, **kinds)
    process.started(7, 0.0)
    process.probed("", 0.1)
    return process


def test_ready_only_after_it_said_so() -> None:
    process = Process("broker")
    process.started(7, 0.0)
    process.probed("it does not listen yet", 0.1)
    assert (process.state, process.reason) == (State.STARTING, "it does not listen yet")
    process.probed("", 0.2)
    assert (process.state, process.reason) == (State.READY, "")


def test_one_that_serves_nothing_is_ready_at_once() -> None:
    process = Process("generator", needs_probe=False)
    process.started(7, 0.0)
    assert process.state is State.READY


def test_death_before_ready_is_final() -> None:
    process = Process("broker")
    process.started(7, 0.0)
    assert process.exited(2, 0.5) is None
    assert process.state is State.FAILED
    assert "exit code 2 before it was ready" in process.reason


def test_waits_double_and_the_last_death_too_many_is_final() -> None:
    process = ready()
    delays = []
    for second in range(3):
        delays.append(process.exited(-signal.SIGKILL, float(second)))
        assert process.state is State.RESTARTING
        process.started(8 + second, second + 0.5)
        process.probed("", second + 0.6)
    assert delays == pytest.approx([0.1, 0.2, 0.4])
    assert process.restarts == 3
    assert process.exited(-signal.SIGKILL, 4.0) is None
    assert process.state is State.FAILED
    assert "killed by SIGKILL, 4 times in 60 s" in process.reason


def test_deaths_outside_the_window_are_forgotten() -> None:
    process = ready()
    for life in range(20):
        now_s = life * 30.0
        assert process.exited(1, now_s) is not None
        process.started(life, now_s)
        process.probed("", now_s)
    assert process.state is State.READY


@given(st.lists(st.floats(0.0, 40.0), min_size=1, max_size=40))
def test_never_more_lives_in_a_window_than_the_policy_says(pauses_s: list[float]) -> None:
    process = ready()
    now_s, deaths = 0.0, []
    for pause_s in pauses_s:
        now_s += pause_s
        delay_s = process.exited(1, now_s)
        if delay_s is None:
            assert sum(now_s - death_s <= POLICY.window_s for death_s in deaths) >= POLICY.max_deaths
            return
        deaths.append(now_s)
        assert 0 < delay_s <= POLICY.longest_delay_s
        assert sum(now_s - death_s <= POLICY.window_s for death_s in deaths) <= POLICY.max_deaths
        process.started(7, now_s)
        process.probed("", now_s)


def test_silence_is_told_after_a_while_and_ends_with_an_answer() -> None:
    process = ready()
    process.probed("no answer within 2 s", 5.0)
    assert process.state is State.READY
    process.probed("no answer within 2 s", 0.1 + SILENT_AFTER_S)
    assert (process.state, process.reason) == (State.SILENT, "no answer within 2 s")
    process.probed("", 30.0)
    assert process.state is State.READY


def test_a_stopped_process_does_not_start_again() -> None:
    process = ready()
    process.stopping()
    assert process.state is State.STOPPING
    assert process.exited(-signal.SIGTERM, 1.0) is None
    assert (process.state, process.reason, process.over) == (State.STOPPED, "", True)


def test_stopping_between_two_lives_is_stopped() -> None:
    process = ready()
    process.exited(1, 1.0)
    process.stopping()
    assert process.state is State.STOPPED


def test_only_what_may_finish_finishes() -> None:
    finite, endless = ready("generator", may_finish=True), ready("broker")
    assert finite.exited(0, 1.0) is None
    assert finite.state is State.FINISHED
    assert endless.exited(0, 1.0) is not None
    assert endless.state is State.RESTARTING


def test_a_late_answer_does_not_revive_the_dead() -> None:
    process = ready()
    process.exited(1, 1.0)
    process.probed("", 1.1)
    assert process.state is State.RESTARTING


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (3, "exit code 3"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")],
)
def test_exit_in_words(code: int, words: str) -> None:
    assert describe_exit(code) == words
