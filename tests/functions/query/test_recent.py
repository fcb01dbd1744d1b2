"""Reads that are kept for a moment."""

from functions.query.recent import KEPT_MS, KEPT_TIMES, MAX_KEPT_MS, Recent
from tests.functions.query.conftest import Clock


def test_a_read_that_began_before_a_write_is_not_kept(clock: Clock) -> None:
    recent, state = Recent(clock), ["waits"]

    def read() -> str:
        found = state[0]
        state[0] = "replayed"
        recent.forget()
        return found

    assert recent.get("letters", read) == "waits"
    assert recent.get("letters", lambda: state[0]) == "replayed"


def test_what_took_longer_is_kept_longer(clock: Clock) -> None:
    recent = Recent(clock)
    for took_ms in (0, 10, 100, 450, 10_000):
        kept_ms = min(KEPT_TIMES * took_ms, MAX_KEPT_MS)

        def read(answer: str, took_ms: int = took_ms) -> str:
            clock.advance(took_ms)
            return answer

        begun_ms = clock()
        assert recent.get("slow", lambda read=read: read("first"), kept_ms=0) == "first"
        if took_ms < kept_ms:
            clock.now_ms = begun_ms + kept_ms - 1
            assert recent.get("slow", lambda read=read: read("second"), kept_ms=0) == "first"
        clock.now_ms = begun_ms + max(kept_ms, took_ms)
        assert recent.get("slow", lambda read=read: read("third"), kept_ms=0) == "third"
        clock.advance(MAX_KEPT_MS)


def test_the_least_time(clock: Clock) -> None:
    recent = Recent(clock)
    assert recent.get("key", lambda: 1) == 1
    clock.advance(KEPT_MS - 1)
    assert recent.get("key", lambda: 2) == 1
    clock.advance(1)
    assert recent.get("key", lambda: 3) == 3
