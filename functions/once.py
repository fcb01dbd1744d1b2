"""Things of a process that are made at their first use."""

from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """`functools.cache` for a function without parameters, which threads may ask at the same time.

    Of `cache` alone each of them might get one of its own. After `cache_clear` the next call makes another.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self.__doc__ = make.__doc__
        self._made = cache(make)
        self._lock = Lock()
        self.cache_clear = self._made.cache_clear

    def __call__(self) -> T:
        with self._lock:
            return self._made()
