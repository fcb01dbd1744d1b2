"""What a function made of its last deliveries, written into the store's ring for the events view.

Off the hot path, and never a reason to fail: at most one write an interval; what does not fit is left out.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from functions.answer import Answer
from trades.store import MAX_CUT_DATA_BYTES, EventNote

INTERVAL_S: Final = 0.25
MAX_NOTES_PER_WRITE: Final = 64
_MAX_ATTRIBUTES: Final = 32
_MAX_VALUE_LENGTH: Final = 256

logger = logging.getLogger(__name__)


class Notes:
    """Gathers notes on one event loop and hands them to `write` in a thread of its own."""

    def __init__(
        self,
        function: str,
        write: Callable[[Sequence[EventNote]], None],
        *,
        interval_s: float = INTERVAL_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._function = function
        self._write = write
        self._interval_s = interval_s
        self._clock = clock
        self._pending: list[tuple[EventNote, bool]] = []  # and whether it is of one that is done
        self._is_due = False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="notes")

    def add(self, attributes: Mapping[str, str], data: bytes, answer: Answer) -> None:
        """Note a delivery. Where there are too many, those done make room for those refused."""
        if len(self._pending) == MAX_NOTES_PER_WRITE:
            if answer.is_done:
                return
            oldest_done = (place for place, (_, is_done) in enumerate(self._pending) if is_done)
            del self._pending[next(oldest_done, 0)]
        note = EventNote(
            self._function,
            int(self._clock() * 1000),
            _bounded(attributes),
            data[:MAX_CUT_DATA_BYTES],
            len(data),
            answer.verdict,
            answer.reason,
        )
        self._pending.append((note, answer.is_done))
        if not self._is_due:
            self._is_due = True
            loop = asyncio.get_running_loop()
            loop.call_later(self._interval_s, self._start_write, loop)

    def close(self) -> None:
        """Write what is left; a second call does nothing."""
        self._executor.shutdown(wait=True)
        if self._pending:
            self._write_all(self._take())

    def _start_write(self, loop: asyncio.AbstractEventLoop) -> None:
        writing = loop.run_in_executor(self._executor, self._write_all, self._take())
        writing.add_done_callback(lambda _: self._written(loop))

    def _written(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_due = bool(self._pending)
        if self._is_due:
            loop.call_later(self._interval_s, self._start_write, loop)

    def _take(self) -> list[EventNote]:
        taken, self._pending = self._pending, []
        return [note for note, _ in taken]

    def _write_all(self, notes: list[EventNote]) -> None:
        try:
            self._write(notes)
        except Exception as error:
            logger.debug("notes lost", extra={"count": len(notes), "reason": str(error)})


def _bounded(attributes: Mapping[str, str]) -> dict[str, str]:
    few = list(attributes.items())[:_MAX_ATTRIBUTES]
    return {name[:_MAX_VALUE_LENGTH]: value[:_MAX_VALUE_LENGTH] for name, value in few}
