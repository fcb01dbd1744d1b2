"""Run a module as a program that ends when its parent does: `python -m tradewind.laptop.leash MODULE ARG...`.

Standard input is a pipe whose other end only the parent holds. The kernel closes that end however the parent
ends, SIGKILL included, and then this process kills its group, which is itself and what it forked: the
pipeline's processes are safe to kill at any point, and a later `tradewind up` must not find their ports
taken.

Only for a process that leads a group of its own (`start_new_session`), else it would take others along.
"""

import os
import runpy
import signal
import sys
from threading import Thread


class Leash:
    """The parent's side. One holds any number of children: give them `child_end` as standard input."""

    def __init__(self) -> None:
        self.child_end, self._our_end = os.pipe()

    def __enter__(self) -> "Leash":
        return self

    def __exit__(self, *_: object) -> None:
        """What still runs ends now."""
        os.close(self.child_end)
        os.close(self._our_end)


def _end_with_parent() -> None:
    while os.read(0, 64):
        pass
    os.killpg(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Thread(target=_end_with_parent, name="leash", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
