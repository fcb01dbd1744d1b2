"""The schedule, with a clock that the tests move."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.pacing import MAX_CATCH_UP_S, Pace, Schedule

ENDLESS = 10**18
paces = st.one_of(
    st.builds(Pace, st.floats(0.01, 1e6), st.integers(1, 1000), st.floats(0, 0.1)),
    st.builds(
        lambda iterations, trades, size: Pace(iterations * trades, size, trades_per_iteration=trades),
        st.floats(0.01, 1e3),
        st.integers(1, 5_000),
        st.integers(1, 1000),
    ),
)


@given(paces, st.lists(st.floats(0, 20), min_size=1, max_size=50))
def test_cuts_depend_on_the_pace_and_not_on_the_clock(pace, stalls):
    on_time, late, now_s = Schedule(pace, 100.0), Schedule(pace, 7.0), 7.0
    for stall_s in stalls:
        now_s += stall_s
        one, other = on_time.next(100.0, ENDLESS), late.next(now_s, ENDLESS)
        assert (one.trades, one.market_s) == (other.trades, other.market_s)
        assert 1 <= one.trades <= pace.trades_per_event


@given(paces)
def test_over_time_the_rate_is_the_asked_one(pace):
    schedule = Schedule(pace, 0.0)
    for _ in range(100):
        cut = schedule.next(0.0, ENDLESS)
    next_s = schedule.next(0.0, ENDLESS).due_s
    late = max(pace.trades_per_event, pace.trades_per_iteration)
    assert abs(schedule.made - pace.trades_per_second * next_s) <= 2 * late + 1
    assert cut.due_s <= next_s


@given(st.floats(0.01, 1e6), st.integers(1, 1000), st.floats(0, 0.1))
def test_no_trade_waits_longer_than_the_linger(rate, size, linger_s):
    cut = Schedule(Pace(rate, size, linger_s), 0.0).next(0.0, ENDLESS)
    assert cut.spread_s <= linger_s
    assert cut.due_s == cut.spread_s


def test_300_trades_a_second_are_ten_events_of_thirty():
    schedule = Schedule(Pace(300.0, 500), 50.0)
    cuts = [schedule.next(50.0, ENDLESS) for _ in range(11)]
    assert {cut.trades for cut in cuts} == {30}
    assert cuts[10].due_s - cuts[0].due_s == pytest.approx(1.0)


def test_iterations_share_no_events():
    schedule = Schedule(Pace(2 * 1200, 500, trades_per_iteration=1200), 0.0)
    cuts = [schedule.next(0.0, ENDLESS) for _ in range(6)]
    assert [cut.trades for cut in cuts] == [500, 500, 200] * 2
    assert [cut.due_s for cut in cuts] == pytest.approx([0, 0, 0, 0.5, 0.5, 0.5])
    assert {cut.spread_s for cut in cuts} == {0.0}


def test_flat_out_is_always_due():
    schedule = Schedule(Pace(0.0, 500), 0.0)
    assert [schedule.next(now_s, ENDLESS).due_s for now_s in (3.0, 90.0)] == [3.0, 90.0]
    assert schedule.missed_trades == 0


def test_the_last_event_is_cut_to_what_may_still_be_made():
    assert Schedule(Pace(0.0, 500), 0.0).next(0.0, 7).trades == 7


def test_a_short_stall_is_made_up_for():
    schedule = Schedule(Pace(1000.0, 100), 0.0)
    now_s, made = 3.0, 0
    while (cut := schedule.next(now_s, ENDLESS)).due_s <= now_s:
        made += cut.trades
    assert made == 3_000
    assert schedule.missed_trades == 0


def test_of_a_long_stall_only_the_end_is_made_up_for_and_the_rest_is_told():
    schedule = Schedule(Pace(1000.0, 100), 0.0)
    now_s, made = 60.0, 0
    while (cut := schedule.next(now_s, ENDLESS)).due_s <= now_s:
        made += cut.trades
    assert made == pytest.approx(MAX_CATCH_UP_S * 1000, abs=200)
    assert made + schedule.missed_trades == pytest.approx(60_000, abs=200)


@given(st.lists(st.floats(0.05, 8), min_size=1, max_size=60))
def test_made_and_missed_add_up_to_asked(gaps):
    """A loop that is held up at random: made and missed are together what was asked, but for the lag."""
    schedule, now_s = Schedule(Pace(200.0, 10), 0.0), 0.0
    for gap_s in gaps:
        now_s += gap_s
        while schedule.next(now_s, ENDLESS).due_s <= now_s:
            pass
    assert schedule.made + schedule.missed_trades == pytest.approx(now_s * 200, abs=25)
