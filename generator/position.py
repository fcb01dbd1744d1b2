"""How far a replay came, in a small file: which blocks need not be sent again."""

import logging
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from generator.files import BadFile

SAVE_EVERY_S: Final = 0.2

logger = logging.getLogger(__name__)


class _Saved(msgspec.Struct):
    source: str
    sink: str
    blocks: int


class Position:
    """All blocks below `blocks` were taken. Without a path it only counts.

    It may lag behind, and stays before the first that was refused, so that this is tried again by the next
    run: a block that is sent again is the same event and changes nothing.
    """

    def __init__(self, path: Path | None, source: str, sink: str) -> None:
        """Raises BadFile when the file there is of another replay, OSError when it cannot be written."""
        self.blocks = 0
        self._path = path
        self._source, self._sink = source, sink
        self._ahead: set[int] = set()  # taken out of order: never more than are in flight
        self._first_refused = sys.maxsize
        self._saved_s = time.monotonic()
        self._is_behind = False  # the last try to save it failed
        if path is not None and path.exists():
            self.blocks = self._load(path)
        self.save()  # a place that cannot be written to shows before anything is sent

    def refused(self, number: int) -> None:
        self._first_refused = min(self._first_refused, number)

    def taken(self, number: int) -> None:
        if number < self._first_refused:
            self._ahead.add(number)
        while self.blocks in self._ahead:
            self._ahead.remove(self.blocks)
            self.blocks += 1
        if time.monotonic() - self._saved_s >= SAVE_EVERY_S:
            self._try_to_save()

    def save(self) -> None:
        """Raises OSError."""
        self._saved_s = time.monotonic()
        if self._path is None:
            return
        new = self._path.with_name(self._path.name + ".new")
        new.write_bytes(msgspec.json.encode(_Saved(self._source, self._sink, self.blocks)))
        new.replace(self._path)  # in one step: a kill leaves the old one or the new one

    def _try_to_save(self) -> None:
        """It may lag behind, so a disk that is full for a while is no reason to end the run."""
        try:
            self.save()
        except OSError as error:
            if not self._is_behind:
                logger.warning("state of the replay not written, trying again", extra={"why": str(error)})
            self._is_behind = True
        else:
            if self._is_behind:
                logger.info("state of the replay is written again")
            self._is_behind = False

    def _load(self, path: Path) -> int:
        try:
            saved = msgspec.json.decode(path.read_bytes(), type=_Saved)
        except (OSError, msgspec.DecodeError) as error:
            raise BadFile(f"{path} does not hold the state of a replay: {error}") from None
        if (saved.source, saved.sink) != (self._source, self._sink):
            raise BadFile(f"{path} belongs to another file or another K_SINK: remove it, or name another")
        return saved.blocks
