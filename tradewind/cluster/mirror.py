"""A copy of some kinds of objects, kept up to date by list-then-watch. Pure but for its lock.

The rules are those of the Kubernetes API's concepts, "Efficient detection of changes": list once, watch from
the list's resourceVersion; each event carries the next one; 410 Gone, as a status or as an ERROR event, means
that the version is too old to watch from: list again.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

Object = Mapping[str, Any]

GONE = 410
MAX_OBJECTS = 5_000  # of one kind
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0


class Expired(Exception):
    """410: the version is too old."""


class SourceFailed(Exception):
    """No list or no watch: the message says why, for people."""


class Source(Protocol):
    """One kind of objects at the API server."""

    kind: str

    def list(self) -> tuple[list[Object], str]:
        """All objects, and the resourceVersion of the list. Raises SourceFailed, Expired."""
        ...

    def watch(self, version: str) -> Iterator[Object]:
        """Watch events (`type`, `object`) from then on; ends when the server ends it. Raises as `list`."""
        ...


class Mirror:
    """What is known of each kind; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, Object]] = {}
        self._failures: dict[str, str] = {}
        self.changed = threading.Event()

    def replace(self, kind: str, objects: Iterable[Object]) -> None:
        """A list has come: what it lacks is gone."""
        named = {thing["metadata"]["name"]: thing for thing in objects}
        with self._lock:
            self._objects[kind] = dict(list(named.items())[:MAX_OBJECTS])
            self._failures.pop(kind, None)
        self.changed.set()

    def apply(self, kind: str, event: Object) -> str:
        """A watch event has come; gives the version to go on from. Raises Expired, SourceFailed."""
        thing = event["object"]
        if event["type"] == "ERROR":
            if thing.get("code") == GONE:
                raise Expired
            raise SourceFailed(str(thing.get("message") or thing))
        version: str = thing["metadata"]["resourceVersion"]
        if event["type"] == "BOOKMARK":
            return version
        with self._lock:
            objects = self._objects.setdefault(kind, {})
            if event["type"] == "DELETED":
                objects.pop(thing["metadata"]["name"], None)
            elif thing["metadata"]["name"] in objects or len(objects) < MAX_OBJECTS:
                objects[thing["metadata"]["name"]] = thing
        self.changed.set()
        return version

    def fail(self, kind: str, reason: str) -> None:
        """It can't be read at present; what was known stays."""
        with self._lock:
            self._failures[kind] = reason
        self.changed.set()

    def of(self, kind: str) -> list[Object]:
        with self._lock:
            return sorted(self._objects.get(kind, {}).values(), key=lambda thing: thing["metadata"]["name"])

    @property
    def failures(self) -> dict[str, str]:
        with self._lock:
            return dict(self._failures)

    def has(self, kinds: Iterable[str]) -> bool:
        """Whether each kind was listed, or could not be."""
        with self._lock:
            return all(kind in self._objects or kind in self._failures for kind in kinds)


def follow(source: Source, mirror: Mirror, stop: threading.Event) -> None:
    """List, then watch, until told to stop; after trouble wait a little longer each time."""
    wait_s = FIRST_WAIT_S
    while not stop.is_set():
        try:
            objects, version = source.list()
            mirror.replace(source.kind, objects)
            while not stop.is_set():
                began_s, before = time.monotonic(), version
                for event in source.watch(version):
                    version = mirror.apply(source.kind, event)
                    wait_s = FIRST_WAIT_S
                    if stop.is_set():
                        return
                if version == before and time.monotonic() - began_s < FIRST_WAIT_S:
                    stop.wait(FIRST_WAIT_S)  # a server that ends each watch at once is not asked without end
        except Expired:
            stop.wait(FIRST_WAIT_S / 10)
        except SourceFailed as error:
            mirror.fail(source.kind, str(error))
            stop.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
