"""Dead letters, which must not be lost, and notes, which may be."""

import random
from collections.abc import Callable

import msgspec
import pytest
from samples import NOON_MS

from trades.store import (
    MAX_CUT_DATA_BYTES,
    MAX_NOTES_PER_FUNCTION,
    DeadLetter,
    EventNote,
    Outcome,
    TradeStore,
)


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
    assert store.mark_replayed(make_letter(1), NOON_MS) is False


def test_a_letter_comes_back_whole(store: TradeStore) -> None:
    store.add_dead_letters([make_letter(1)])
    assert store.read_dead_letters(10) == [make_letter(1)]


def test_letters_come_newest_first(store: TradeStore) -> None:
    for number in (2, 5, 1, 4, 3):
        store.add_dead_letters([make_letter(number)])
    assert store.read_dead_letters(10) == [make_letter(number) for number in (5, 4, 3, 2, 1)]
    assert store.read_dead_letters(2) == [make_letter(5), make_letter(4)]


def test_a_letter_that_comes_again_is_as_it_came_last(store: TradeStore) -> None:
    store.add_dead_letters([make_letter(1), make_letter(5)])
    again = make_letter(1)
    again.reason, again.status, again.received_ms = "another", "503", NOON_MS + 99
    assert store.add_dead_letters([again]) == [Outcome.STORED]
    assert store.read_dead_letters(10) == [again, make_letter(5)]


def test_each_coming_of_a_letter_has_a_time_of_its_own(store: TradeStore) -> None:
    """Also where two come in one millisecond, or a clock was set back."""
    store.add_dead_letters([make_letter(7)])
    earlier = msgspec.structs.replace(make_letter(7), received_ms=NOON_MS)
    for comings, letter in enumerate([make_letter(7), earlier], 1):
        store.add_dead_letters([letter])
        assert [each.received_ms for each in store.read_dead_letters(10)] == [NOON_MS + 7 + comings]


def test_a_mark_is_for_the_letter_that_was_sent(store: TradeStore) -> None:
    """Not for what it has become meanwhile: that waits."""
    store.add_dead_letters([make_letter(1)])
    store.add_dead_letters([make_letter(1)])
    assert store.mark_replayed(make_letter(1), NOON_MS + 50) is False
    [letter] = store.read_dead_letters(10)
    assert store.mark_replayed(letter, NOON_MS + 50) is True
    assert store.count_dead_letters() == 0


def test_many_letters_at_once(store: TradeStore) -> None:
    letters = [make_letter(number) for number in range(40)]
    assert store.add_dead_letters([*letters, letters[0]]) == [Outcome.STORED] * 41
    assert store.count_dead_letters() == 40
    assert store.add_dead_letters([]) == []


def test_pages_of_letters(store: TradeStore) -> None:
    letters = [
        msgspec.structs.replace(make_letter(number), received_ms=NOON_MS + number // 3)
        for number in range(20)
    ]
    store.add_dead_letters(letters)
    store.mark_replayed(letters[4], NOON_MS)
    for waiting_only in (True, False):
        found: list[DeadLetter] = []
        while page := store.read_dead_letters(
            4, waiting_only=waiting_only, before=found[-1].place if found else None
        ):
            found += page
        expected = [letter.key for letter in reversed(letters) if letter != letters[4] or not waiting_only]
        assert [letter.key for letter in found] == expected


@pytest.mark.parametrize("size", [0, 1, MAX_CUT_DATA_BYTES, MAX_CUT_DATA_BYTES + 1, 300_000, 5 * 1024 * 1024])
def test_data_of_any_size_that_the_door_takes_is_kept(store: TradeStore, size: int) -> None:
    """A server's records hold a megabyte or less."""
    data = random.Random(size).randbytes(size)
    letter = msgspec.structs.replace(make_letter(1), data=data)
    assert store.add_dead_letters([letter, make_letter(2)]) == [Outcome.STORED] * 2
    assert store.read_dead_letter(letter.key) == letter
    assert store.read_dead_letters(10) == [make_letter(2), letter]
    assert store.count_dead_letters() == 2
    _, cut = store.read_dead_letters(10, cut=True)
    assert cut.data == data[:MAX_CUT_DATA_BYTES]
    assert len(cut.data) + cut.left_out_bytes == size
    assert store.read_dead_letter(f"{letter.key}-0") is None


def test_those_that_wait_or_were_sent_again_lately_are_scanned(store: TradeStore) -> None:
    letters = [make_letter(number) for number in range(4)]
    letters[3].data = bytes(10_000)
    store.add_dead_letters(letters)
    store.mark_replayed(letters[1], NOON_MS + 10)
    store.mark_replayed(letters[2], NOON_MS + 20)
    replayed = msgspec.structs.replace(letters[2], replayed_ms=NOON_MS + 20)
    found = sorted(store.scan_dead_letters(NOON_MS + 20), key=lambda letter: letter.key)
    assert found == [letters[0], replayed, letters[3]]


def test_a_replayed_letter_does_not_wait_but_is_kept(store: TradeStore) -> None:
    store.add_dead_letters([make_letter(1)])
    store.add_dead_letters([make_letter(2)])
    assert store.mark_replayed(make_letter(1), NOON_MS + 50) is True
    assert store.read_dead_letters(10) == [make_letter(2)]
    replayed = msgspec.structs.replace(make_letter(1), replayed_ms=NOON_MS + 50)
    assert store.read_dead_letters(10, waiting_only=False) == [make_letter(2), replayed]


def test_a_replayed_letter_that_fails_again_waits_again(store: TradeStore) -> None:
    store.add_dead_letters([make_letter(1)])
    store.mark_replayed(make_letter(1), NOON_MS + 50)
    again = msgspec.structs.replace(make_letter(1), received_ms=NOON_MS + 90)
    store.add_dead_letters([again])
    assert store.read_dead_letters(10) == [again]


def test_one_letter_by_its_key(store: TradeStore) -> None:
    for number in (1, 2):
        store.add_dead_letters([make_letter(number)])
    store.mark_replayed(make_letter(2), NOON_MS)
    assert store.read_dead_letter(make_letter(1).key) == make_letter(1)
    replayed = msgspec.structs.replace(make_letter(2), replayed_ms=NOON_MS)
    assert store.read_dead_letter(make_letter(2).key) == replayed
    assert store.read_dead_letter(make_letter(3).key) is None
    assert store.read_dead_letter("") is None


def test_those_that_wait_are_counted(store: TradeStore) -> None:
    assert store.count_dead_letters() == 0
    for number in range(1_200):  # more than a page of any reader
        store.add_dead_letters([msgspec.structs.replace(make_letter(number), data=b"")])
    assert store.count_dead_letters() == 1_200
    store.mark_replayed(make_letter(7), NOON_MS)
    assert store.count_dead_letters() == 1_199
    store.add_dead_letters([make_letter(7)])
    assert store.count_dead_letters() == 1_200


def test_letters_outlive_a_restart(store: TradeStore, open_store: Callable[[], TradeStore]) -> None:
    store.add_dead_letters([make_letter(1)])
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
