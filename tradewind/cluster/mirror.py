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

    def replace(self, kind: str, objects: Iterable[Object]) -> None:
        """A list has come: what it lacks is gone."""
        named = {thing["metadata"]["name"]: thing for thing in objects}
        with self._lock:
            self._objects[kind] = dict(list(named.items())[:MAX_OBJECTS])
            self._failures.pop(kind, None)

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
        return version

    def fail(self, kind: str, reason: str) -> None:
        """It can't be read at present; what was known stays."""
        with self._lock:
            self._failures[kind] = reason

    def of(self, kind: str) -> list[Object]:
        with self._lock:
            return sorted(self._objects.get(kind, {}).values(), key=lambda thing: thing["metadata"]["name"])

    @property
    def failures(self) -> dict[str, str]:
        with self._lock:
            return dict(self._failures)

    def unheard(self, kinds: Iterable[str]) -> list[str]:
        """The kinds of which neither a list nor a failure has come."""
        with self._lock:
            return [kind for kind in kinds if kind not in self._objects and kind not in self._failures]

    @property
    def is_empty(self) -> bool:
        """Whether no list of any kind has come."""
        with self._lock:
            return not self._objects


def follow(source: Source, mirror: Mirror, stop: threading.Event) -> None:
    """List, then watch, until told to stop; after trouble wait, twice as long if it comes again soon."""
    wait_s = 0.0
    while not stop.is_set():
        began_s = time.monotonic()
        try:
            _list_and_watch(source, mirror, stop)
        except Expired:
            first_wait_s = FIRST_WAIT_S / 10  # usual, if it is not the rule: servers forget old versions
        except SourceFailed as error:
            mirror.fail(source.kind, str(error))
            first_wait_s = FIRST_WAIT_S
        except Exception as error:  # a thread that ended here would leave an old picture without a word
            mirror.fail(source.kind, f"an answer that is not understood: {error!r}")
            first_wait_s = FIRST_WAIT_S
        else:
            return
        is_soon = wait_s and time.monotonic() - began_s <= max(wait_s, FIRST_WAIT_S)
        wait_s = min(max(first_wait_s, 2 * wait_s), LONGEST_WAIT_S) if is_soon else first_wait_s
        stop.wait(wait_s)


def _list_and_watch(source: Source, mirror: Mirror, stop: threading.Event) -> None:
    objects, version = source.list()
    mirror.replace(source.kind, objects)
    while not stop.is_set():
        began_s, before = time.monotonic(), version
        for event in source.watch(version):
            version = mirror.apply(source.kind, event)
            if stop.is_set():
                return
        if version == before and time.monotonic() - began_s < FIRST_WAIT_S:
            stop.wait(FIRST_WAIT_S)  # a server that ends each watch at once is not asked without end
