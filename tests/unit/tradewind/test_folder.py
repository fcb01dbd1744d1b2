"""The data folder: lock, run.json, logs."""

import errno
import fcntl
import os
import stat
from pathlib import Path

import msgspec
import pytest

from tradewind.laptop.folder import DataFolder, FolderInUse, FolderUnusable, LogFile, Run, RunningProcess

RUN = Run(
    42,
    1,
    "d",
    "sqlite:d/store",
    "http://q",
    "http://b",
    "http://b/x/y",
    {"query": RunningProcess(7, "u", "l")},
)


@pytest.mark.parametrize(
    ("store", "is_in"),
    [
        ("sqlite:/tmp/a/store", True),
        ("sqlite:/tmp/a", True),
        ("sqlite:/tmp/ab", False),
        ("sqlite:/other/tmp/a", False),
        ("aerospike://tmp/a", False),
    ],
)
def test_whether_the_store_is_in_the_data(store: str, is_in: bool) -> None:
    assert msgspec.structs.replace(RUN, data="/tmp/a", store=store).is_store_in_data is is_in


def test_a_run_is_found_only_while_it_has_the_lock(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "new")
    assert folder.find_running() is None
    with folder.locked():
        folder.write_run(RUN)
        assert DataFolder(tmp_path / "new").find_running() == RUN
    assert folder.find_running() is None
    assert folder.read_run() is None


def test_what_a_killed_run_left_is_not_a_run(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with folder.locked():
        pass
    folder.write_run(RUN)
    assert folder.find_running() is None
    assert folder.read_run() == RUN


def test_a_second_one_is_told_who_has_it(tmp_path: Path) -> None:
    with DataFolder(tmp_path).locked():
        DataFolder(tmp_path).write_run(RUN)
        with (
            pytest.raises(FolderInUse, match=r"process 42, page http://q.*--data"),
            DataFolder(tmp_path).locked(),
        ):
            pass
        assert DataFolder(tmp_path).find_running() == RUN  # the second one took nothing away


def test_a_look_does_not_keep_one_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tradewind query` holds the lock while it looks, and is gone when the starting one tries again."""
    with (tmp_path / "lock").open("wb") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        monkeypatch.setattr("tradewind.laptop.folder.time.sleep", lambda _: fcntl.flock(look, fcntl.LOCK_UN))
        with DataFolder(tmp_path).locked():
            pass


def test_clearing_leaves_what_is_not_ours(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    for name in ("store", "broker", "logs", "thesis"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    folder.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_clearing_empties_what_a_link_points_to_and_keeps_the_link(tmp_path: Path) -> None:
    """A store on another disk."""
    folder, disk = DataFolder(tmp_path / "data"), tmp_path / "disk"
    folder.path.mkdir()
    (disk / "deep").mkdir(parents=True)
    for name in ("trades.db", "deep/file"):
        (disk / name).touch()
    (tmp_path / "thesis").touch()
    (disk / "link").symlink_to(tmp_path / "thesis")
    (folder.path / "store").symlink_to(disk)
    folder.clear()
    assert list(disk.iterdir()) == []
    assert (folder.path / "store").resolve() == disk
    assert (tmp_path / "thesis").exists()


def test_what_cannot_be_cleared_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "trades.db").touch()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("os.unlink", refuse)
    with pytest.raises(FolderUnusable, match=r"can't be removed.*: Permission denied\. .*--data FOLDER"):
        DataFolder(tmp_path).clear()


def test_a_broken_run_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"pid": ')
    assert DataFolder(tmp_path).read_run() is None


def test_a_log_keeps_the_last_and_stays_bounded(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log", max_bytes=10_000)
    descriptor = log.open()
    for number in range(5_000):
        os.write(descriptor, f"line {number}\n".encode())
        if number % 100 == 0:
            log.trim()
    os.close(descriptor)
    assert log.tail(2) == ["line 4998", "line 4999"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 25_000


def test_the_tail_of_no_log_is_empty(tmp_path: Path) -> None:
    assert LogFile(tmp_path / "none.log").tail() == []


def test_what_is_made_is_its_users_alone(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "new")
    with folder.locked():
        os.close(LogFile(folder.logs / "x.log").open())
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder.logs / "x.log").stat().st_mode) == 0o600
