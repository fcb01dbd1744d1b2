"""The data folder of a pipeline: its files, its lock, and `run.json`, by which other commands find it while
it runs.

The lock is an advisory lock of the kernel on `DATA/lock`: it goes when the supervisor does, however it ends,
so a `run.json` without the lock is of a run that was killed.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import msgspec

DEFAULT_DATA = Path(".tradewind")
LOOK_S = 0.5  # longer than a look at the lock takes


class FolderInUse(Exception):
    """Another `tradewind up` has this folder; the message says which."""


class FolderUnusable(Exception):
    """Nothing can be written there; the message says why and what to do."""


class RunningProcess(msgspec.Struct):
    """One process of a running pipeline."""

    pid: int  # 0 between two lives
    url: str  # empty: it serves nothing
    log: str
    failed: bool = False  # it died too often, or before it was ready
    asked_ms: int = 0  # of an attached function: which `attach` it is from


class Run(msgspec.Struct):
    """A running pipeline, as `run.json` describes it."""

    pid: int
    started_ms: int
    data: str
    store: str
    query_url: str  # the page, and the query API under /v1
    broker_url: str  # what the broker says about itself, under /-/
    ingress_url: str  # where events go
    processes: dict[str, RunningProcess] = {}

    @property
    def is_store_in_data(self) -> bool:
        scheme, _, path = self.store.partition(":")
        return scheme == "sqlite" and Path(path).absolute().is_relative_to(self.data)


class DataFolder:
    """Where everything of one pipeline lies. Making one of these touches no disk."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.broker_file = self.path / "broker" / "events.db"
        self.attached = self.path / "attached"
        self.monitoring = self.path / "monitoring"
        self.attached_map = self.path / "broker" / "attached.map"
        self._run_file = self.path / "run.json"
        self._lock_file = self.path / "lock"

    @property
    def store_url(self) -> str:
        return f"sqlite:{self.path / 'store'}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Have the folder for this process, made if need be. Raises FolderInUse, FolderUnusable."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)  # events are in it
            lock = self._lock_file.open("wb", buffering=0)
        except OSError as error:
            raise self._unusable(error) from None
        with lock as file:
            if not _locks(file):
                raise FolderInUse(self._say_who())
            try:
                file.write(b"%d\n" % os.getpid())  # is there any room?
            except OSError as error:
                raise self._unusable(error) from None
            try:
                yield
            finally:
                with suppress(OSError):  # read-only by now: without the lock it counts for nothing
                    self._run_file.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what a pipeline leaves behind, and only that: a mistyped --data costs nothing else.

        Raises FolderUnusable when something would stay.
        """
        for name in ("store", "broker", "logs", "attached", "monitoring"):
            try:
                _remove(self.path / name)
            except OSError as error:
                raise FolderUnusable(
                    f"{error.filename or self.path / name} can't be removed, so --fresh would keep old data: "
                    f"{error.strerror}. Mend that, or give another: --data FOLDER"
                ) from None

    def write_run(self, run: Run) -> None:
        """Replace `run.json` in one step, so that a reader never sees half of it."""
        new = self._run_file.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2))
        new.replace(self._run_file)

    def read_run(self) -> Run | None:
        """What `run.json` says, whether that pipeline still runs or was killed."""
        try:
            return msgspec.json.decode(self._run_file.read_bytes(), type=Run)
        except (OSError, msgspec.MsgspecError):
            return None

    def find_running(self) -> Run | None:
        """The pipeline that runs on this folder now."""
        try:
            with self._lock_file.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self.read_run()
        except OSError:
            pass
        return None

    def _unusable(self, error: OSError) -> FolderUnusable:
        return FolderUnusable(
            f"{self.path} can't be written: {error.strerror}. Mend that, or give another: --data FOLDER"
        )

    def _say_who(self) -> str:
        run = self.read_run()
        who = f" (process {run.pid}, page {run.query_url})" if run else ""
        return (
            f"{self.path} is in use by another `tradewind up`{who}. "
            "Stop that one, or give this one a folder of its own: --data FOLDER"
        )


def _remove(path: Path) -> None:
    """With all that is in it; what leads to another disk is emptied and stays. Raises OSError."""
    if not path.exists():
        return
    if not path.is_symlink() and not path.is_mount():
        shutil.rmtree(path)
        return
    for each in path.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()


def _locks(file: IO[bytes]) -> bool:
    """Whether it is ours. Who looks whether it is had (`find_running`) has it for a moment."""
    end_s = time.monotonic() + LOOK_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end_s:
                return False
            time.sleep(LOOK_S / 50)
        else:
            return True


class LogFile:
    """The log of one process, in at most two files of `max_bytes`; the process writes it without us."""

    def __init__(self, path: Path, max_bytes: int = 4 * 1024 * 1024) -> None:
        self.path = path
        self._max_bytes = max_bytes

    def open(self) -> int:
        """A descriptor that appends; the caller closes it. Where nothing can be written, it leads nowhere."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:
            return os.open(os.devnull, os.O_WRONLY)

    def trim(self) -> None:
        """If it has grown too large, keep its content as `.1` and begin it again.

        Copied and cut rather than renamed, because the writer keeps its descriptor. What it writes between
        the two steps is lost, which a log can bear. On a full disk it stays as it is.
        """
        with suppress(OSError):
            if self.path.stat().st_size > self._max_bytes:
                shutil.copyfile(self.path, self.path.with_suffix(self.path.suffix + ".1"))
                os.truncate(self.path, 0)

    def tail(self, lines: int = 15, max_bytes: int = 16_384) -> list[str]:
        """The last lines, the newest last."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - max_bytes))
                return file.read().decode("utf-8", "replace").splitlines()[-lines:]
        except FileNotFoundError:
            return []
