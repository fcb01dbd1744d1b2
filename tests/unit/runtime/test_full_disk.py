"""A log that can't be written."""

import errno
import io

import pytest
import structlog

from runtime import logs
from runtime.settings import LogSettings


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_it_costs_the_entry_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", FullDisk())
        logs.configure_logs(LogSettings())
        structlog.get_logger().warning("nobody will read this")
    structlog.reset_defaults()
