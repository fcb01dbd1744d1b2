"""How a user ends `tradewind up`: the first wish to stop, and the second, not to wait."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator


class Stops:
    """SIGINT and SIGTERM: the first asks to stop, the second not to wait.

    SIGHUP asks to stop, and never hurries: a terminal that is closed sends it more than once. Under nohup it
    stays ignored.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.again = asyncio.Event()

    def _stop(self) -> None:
        (self.again if self.asked.is_set() else self.asked).set()

    @contextlib.contextmanager
    def heeded(self) -> Iterator["Stops"]:
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGINT: self._stop, signal.SIGTERM: self._stop}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            handlers[signal.SIGHUP] = self.asked.set
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield self
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)
