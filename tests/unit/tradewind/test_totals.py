"""Does a run add up?"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tradewind.laptop.totals import Running, Totals

counts = st.integers(0, 10**9)


@given(st.lists(st.lists(st.integers(0, 1_000), min_size=1), min_size=1))
def test_a_counter_survives_restarts(lives: list[list[int]]) -> None:
    counter = Running()
    for growths in lives:
        value = 0
        for growth in growths:
            value += growth
            counter.seen(value)
        counter.restarted()
    assert counter.total == sum(map(sum, lives))


def test_a_restart_that_nobody_told_is_seen_by_the_smaller_value() -> None:
    counter = Running()
    for value in (5, 9, 2, 3):
        counter.seen(value)
    assert counter.total == 12


@given(counts, counts, counts)
def test_a_clean_run_adds_up(previous: int, accepted: int, elsewhere: int) -> None:
    stored = previous + accepted + elsewhere
    totals = Totals(sent=accepted, accepted=accepted, previous=previous, stored=stored, counted=stored)
    assert totals.problems() == []
    assert totals.from_elsewhere == elsewhere
    assert bool(totals.notes()) == bool(elsewhere)


@given(counts, st.integers(1, 10**6))
def test_a_trade_lost_or_doubled_anywhere_is_a_problem(accepted: int, wrong: int) -> None:
    accepted += wrong
    lost = Totals(accepted=accepted, stored=accepted - wrong, counted=accepted - wrong)
    uncounted = Totals(accepted=accepted, stored=accepted, counted=accepted - wrong)
    doubled = Totals(accepted=accepted, stored=accepted, counted=accepted + wrong)
    assert "neither stored nor in the dead letters" in lost.problems()[0]
    assert f"{wrong:,} stored trades are neither counted" in uncounted.problems()[0]
    assert f"{wrong:,} counted trades are neither stored" in doubled.problems()[0]


def test_where_raw_trades_expire_the_count_has_to_grow_by_what_was_accepted() -> None:
    totals = Totals(accepted=10, previous=50, previous_counted=90, stored=7, counted=100, trades_expire=True)
    assert totals.problems() == []
    assert "TRADE_RETENTION" in totals.notes()[0]
    assert replace(totals, counted=103).from_elsewhere == 3
    assert replace(totals, counted=99).problems() == [
        "1 accepted trades are neither counted nor in the dead letters"
    ]
    assert "stored trades are neither counted" in replace(totals, stored=101).problems()[0]
    assert replace(totals, trades_expire=False).problems() != []


def test_dead_letters_explain_exactly_as_many_trades_as_they_hold() -> None:
    explained = Totals(accepted=10, stored=10, counted=7, dead_letters=1, dead_summary_trades=3)
    assert explained.problems() == []
    assert Totals(accepted=10, stored=10, counted=6, dead_letters=1, dead_summary_trades=3).problems() != []
    unstored = Totals(accepted=10, stored=7, counted=10, dead_letters=1, dead_store_trades=3)
    assert unstored.problems() == []
    assert Totals(accepted=10, stored=6, counted=10, dead_letters=1, dead_store_trades=3).problems() != []


def test_what_even_the_dead_letters_refused_is_said_and_explains_what_is_missing() -> None:
    totals = Totals(accepted=10, stored=4, counted=5, kept_in_broker=2)
    assert totals.problems() == []
    assert "2 deliveries failed for good" in totals.notes()[0]


def test_more_dead_letters_than_can_be_looked_at_explain_anything() -> None:
    totals = Totals(accepted=10, stored=4, counted=5, dead_letters=1_000, more_dead_letters=True)
    assert totals.problems() == []
    assert not totals.can_tell
    assert "1,000 or more dead letters" in totals.notes()[0]


def test_what_waits_in_the_broker_is_said_and_is_no_problem() -> None:
    for left in (3, None):
        totals = Totals(accepted=10, stored=4, counted=5, left_in_broker=left)
        assert totals.problems() == []
        assert "broker" in totals.notes()[0]
