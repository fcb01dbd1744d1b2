"""Where a replay goes on."""

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.files import BadFile
from generator.position import Position


@given(st.permutations(range(12)), st.integers(0, 12))
def test_only_what_is_taken_without_a_gap_is_behind_it(order, count):
    position = Position(None, "source", "sink")
    for number in order[:count]:
        position.taken(number)
    taken = set(order[:count])
    assert position.blocks == next(n for n in range(13) if n not in taken)


def test_it_stays_before_what_was_refused():
    position = Position(None, "source", "sink")
    position.taken(2)
    position.refused(1)
    for number in (0, 3, 4):
        position.taken(number)
    assert position.blocks == 1


def test_it_is_kept_in_its_file(tmp_path):
    path = tmp_path / "state"
    position = Position(path, "source", "sink")
    for number in (0, 1, 3):
        position.taken(number)
    position.save()
    assert Position(path, "source", "sink").blocks == 2


def test_a_disk_that_is_full_for_a_while_costs_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("generator.position.SAVE_EVERY_S", 0)
    path = tmp_path / "state"
    position = Position(path, "source", "sink")
    position.taken(0)

    def is_full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full, caplog.at_level("INFO"):
        full.setattr(Path, "write_bytes", is_full)
        position.taken(1)
        position.taken(2)
        with pytest.raises(OSError, match="No space"):  # whoever saves at the end is told
            position.save()
    assert Position(path, "source", "sink").blocks == 1
    with caplog.at_level("INFO"):
        position.taken(3)
    assert Position(path, "source", "sink").blocks == 4
    assert [entry.levelname for entry in caplog.records] == ["WARNING", "INFO"]


@pytest.mark.parametrize(("source", "sink"), [("another", "sink"), ("source", "another")])
def test_the_state_of_another_replay_is_refused(tmp_path, source, sink):
    Position(tmp_path / "state", "source", "sink").save()
    with pytest.raises(BadFile, match="belongs to another"):
        Position(tmp_path / "state", source, sink)


def test_what_is_no_state_is_refused_and_not_overwritten(tmp_path):
    (tmp_path / "trades.csv").write_text("ticker,price\n")
    with pytest.raises(BadFile, match="does not hold the state"):
        Position(tmp_path / "trades.csv", "source", "sink")
    assert (tmp_path / "trades.csv").read_text() == "ticker,price\n"
