"""The identity of events and trades."""

from hypothesis import given
from hypothesis import strategies as st

from trades.trade import SINGLE, Trade, TradeEvent, digest_trades, trade_id

words = st.text(st.sampled_from("ab:-1é"), max_size=4) | st.text(max_size=20)


def make_event(source: str, id_: str, is_batch: bool = True) -> TradeEvent:
    made = [Trade("A", 1, 1, 1), Trade("A", 2, 1, 1)]
    return TradeEvent.of(source, id_, made, is_batch=is_batch)


@given(words, words, words, words)
def test_keys_are_equal_only_for_equal_source_and_id(a: str, b: str, c: str, d: str) -> None:
    assert (make_event(a, b).key == make_event(c, d).key) == ((a, b) == (c, d))


def test_a_key_is_the_same_in_every_process_and_version() -> None:
    """Stored data hangs on it."""
    assert make_event("/s", "e").key.hex() == "084113a21f83a4bf5d2005cb11126528"
    assert make_event("/s", "e").digest.hex() == "e838807e3dab3197c1c372297d0a4622"
    assert len(make_event("/s", "e").key) == 16


@given(st.lists(st.builds(Trade, words, st.integers(1, 9), st.integers(1, 9), st.integers(0, 9)), max_size=4))
def test_digests_differ_when_a_trade_or_the_order_does(made: list[Trade]) -> None:
    others = [made[::-1], made[:-1], [*made, Trade("A", 1, 1, 1)]]
    others += [[*made[:n], made[n]._replace(volume=10), *made[n + 1 :]] for n in range(len(made))]
    for other in others:
        assert (digest_trades(other, True) == digest_trades(made, True)) == (other == made)


def test_ids() -> None:
    assert trade_id("e", SINGLE) == "e"
    assert trade_id("e", 0) == "e-0"
    assert make_event("/s", "e").place(1) == 1
    assert make_event("/s", "e", is_batch=False).place(0) == SINGLE
