"""Things that are made at their first use."""

import threading
from concurrent.futures import ThreadPoolExecutor

from functions.once import Once


def test_threads_that_ask_at_once_get_the_same() -> None:
    made: list[object] = []
    all_ask = threading.Barrier(8)

    @Once
    def thing() -> object:
        made.append(object())
        threading.Event().wait(0.05)  # long enough for the others to come in
        return made[-1]

    def ask(_: int) -> object:
        all_ask.wait(30)
        return thing()

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == made * 8
    thing.cache_clear()
    assert thing() is made[1]
