"""Dead letters, which must not be lost, and notes, which may be."""

from collections.abc import Callable

import msgspec
import pytest
from samples import NOON_MS

from trades.store import MAX_NOTES_PER_FUNCTION, DeadLetter, EventNote, TradeStore


def make_letter(number: int) -> DeadLetter:
    return DeadLetter(
        key=f"{number:032x}",
        received_ms=NOON_MS + number,
        attributes={"id": f"e{number}", "source": "/test", "type": "trade.batch.v1", "quote": '"it\'s 😀"'},
        data=bytes(range(256)),
        destination="http://update-summary.default.svc.cluster.local",
        status="422",
        reason="CONFLICT: ünïcode\nand a new line",
        replayed_ms=0,
    )


def make_note(number: int, function: str = "store_trade", time_ms: int | None = None) -> EventNote:
    return EventNote(
        function=function,
        time_ms=NOON_MS + number if time_ms is None else time_ms,
        attributes={"id": f"e{number}", "source": "/test"},
        data=b"\x00\xff{}",
        data_size=5_000,
        verdict="STORED",
        reason="",
    )


def test_no_letters(store: TradeStore) -> None:
    assert store.read_dead_letters(10) == []
    assert store.mark_replayed("0" * 32, NOON_MS) is False


def test_a_letter_comes_back_whole(store: TradeStore) -> None:
    store.add_dead_letter(make_letter(1))
    assert store.read_dead_letters(10) == [make_letter(1)]


def test_letters_come_newest_first(store: TradeStore) -> None:
    for number in (2, 5, 1, 4, 3):
        store.add_dead_letter(make_letter(number))
    assert store.read_dead_letters(10) == [make_letter(number) for number in (5, 4, 3, 2, 1)]
    assert store.read_dead_letters(2) == [make_letter(5), make_letter(4)]


def test_a_letter_that_comes_again_is_left_as_it_is(store: TradeStore) -> None:
    store.add_dead_letter(make_letter(1))
    again = make_letter(1)
    again.reason, again.received_ms = "another", NOON_MS + 99
    store.add_dead_letter(again)
    assert store.read_dead_letters(10) == [make_letter(1)]


def test_a_replayed_letter_does_not_wait_but_is_kept(store: TradeStore) -> None:
    store.add_dead_letter(make_letter(1))
    store.add_dead_letter(make_letter(2))
    assert store.mark_replayed(make_letter(1).key, NOON_MS + 50) is True
    assert store.read_dead_letters(10) == [make_letter(2)]
    replayed = msgspec.structs.replace(make_letter(1), replayed_ms=NOON_MS + 50)
    assert store.read_dead_letters(10, waiting_only=False) == [make_letter(2), replayed]


def test_a_replayed_letter_that_fails_again_waits_again(store: TradeStore) -> None:
    store.add_dead_letter(make_letter(1))
    store.mark_replayed(make_letter(1).key, NOON_MS + 50)
    store.add_dead_letter(make_letter(1))
    assert store.read_dead_letters(10) == [make_letter(1)]


def test_one_letter_by_its_key(store: TradeStore) -> None:
    for number in (1, 2):
        store.add_dead_letter(make_letter(number))
    store.mark_replayed(make_letter(2).key, NOON_MS)
    assert store.read_dead_letter(make_letter(1).key) == make_letter(1)
    replayed = msgspec.structs.replace(make_letter(2), replayed_ms=NOON_MS)
    assert store.read_dead_letter(make_letter(2).key) == replayed
    assert store.read_dead_letter(make_letter(3).key) is None
    assert store.read_dead_letter("") is None


def test_those_that_wait_are_counted(store: TradeStore) -> None:
    assert store.count_dead_letters() == 0
    for number in range(1_200):  # more than a page of any reader
        store.add_dead_letter(msgspec.structs.replace(make_letter(number), data=b""))
    assert store.count_dead_letters() == 1_200
    store.mark_replayed(make_letter(7).key, NOON_MS)
    assert store.count_dead_letters() == 1_199
    store.add_dead_letter(make_letter(7))
    assert store.count_dead_letters() == 1_200


def test_letters_outlive_a_restart(store: TradeStore, open_store: Callable[[], TradeStore]) -> None:
    store.add_dead_letter(make_letter(1))
    store.close()
    assert open_store().read_dead_letters(10) == [make_letter(1)]


def test_no_notes(store: TradeStore) -> None:
    store.add_notes([])
    assert store.read_notes(10) == []


def test_a_note_comes_back_whole(store: TradeStore) -> None:
    store.add_notes([make_note(1)])
    assert store.read_notes(10) == [make_note(1)]


def test_notes_of_all_functions_come_newest_first(store: TradeStore) -> None:
    store.add_notes([make_note(number, "store_trade") for number in (1, 3, 5)])
    store.add_notes([make_note(number, "update_summary") for number in (2, 4)])
    assert [note.time_ms - NOON_MS for note in store.read_notes(10)] == [5, 4, 3, 2, 1]
    assert [note.time_ms - NOON_MS for note in store.read_notes(2)] == [5, 4]


def test_notes_of_one_time_come_last_written_first(store: TradeStore) -> None:
    for number in range(6):
        store.add_notes([make_note(number, time_ms=NOON_MS)])
    assert [note.attributes["id"] for note in store.read_notes(3)] == ["e5", "e4", "e3"]


@pytest.mark.parametrize("at_once", [1, 100, 3 * MAX_NOTES_PER_FUNCTION])
def test_the_ring_is_bounded_for_each_function(store: TradeStore, at_once: int) -> None:
    count = MAX_NOTES_PER_FUNCTION + 2 * at_once
    store.add_notes([make_note(0, "quiet")])
    for start in range(1, count, at_once):
        store.add_notes([make_note(number, "busy") for number in range(start, start + at_once)])
    notes = store.read_notes(10_000)
    busy = [note for note in notes if note.function == "busy"]
    last = busy[0].time_ms
    assert [note.time_ms for note in busy] == [last - n for n in range(MAX_NOTES_PER_FUNCTION)]
    assert [note for note in notes if note.function == "quiet"] == [make_note(0, "quiet")]
