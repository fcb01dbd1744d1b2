"""A log that can't be written."""

import errno
import io
import logging

import pytest

from eventing.logs import configure_logs


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_it_costs_the_entry_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", FullDisk())
        configure_logs("info", "json")
        logging.getLogger("t").warning("nobody will read this")
    root.handlers, root.level = before, level
