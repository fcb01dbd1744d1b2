"""List-then-watch: what is known stays right through every kind of end of a watch."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.knative.objects import thing
from tradewind.cluster import mirror as mirror_module
from tradewind.cluster.mirror import Expired, Mirror, Object, SourceFailed, follow


def event(type_: str, name: str, version: str = "2", **more: Any) -> Object:
    return {"type": type_, "object": thing("Pod", name, version=version, **more)}


def error(code: int, message: str = "") -> Object:
    return {"type": "ERROR", "object": {"kind": "Status", "code": code, "message": message}}


def names(mirror: Mirror, kind: str = "Pod") -> list[str]:
    return [found["metadata"]["name"] for found in mirror.of(kind)]


class Script:
    """A source that gives lists and watches as written down; ends the test after the last one."""

    kind = "Pod"

    def __init__(self, stop: threading.Event, *steps: Any) -> None:
        self.asked: list[str] = []
        self._stop = stop
        self._steps = iter(steps)

    def _next(self) -> Any:
        step = next(self._steps, None)
        if step is None:
            self._stop.set()
            return ()
        if isinstance(step, Exception):
            raise step
        return step

    def list(self) -> tuple[list[Object], str]:
        self.asked.append("list")
        found = self._next()
        return (found[0], found[1]) if found else ([], "0")

    def watch(self, version: str) -> Iterator[Object]:
        self.asked.append(f"watch {version}")
        for each in self._next():
            if isinstance(each, Exception):
                raise each
            yield each


class Noting(threading.Event):
    """Notes waits instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return self.is_set()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "FIRST_WAIT_S", 0.0)


def run(*steps: Any) -> tuple[Mirror, Script]:
    mirror, stop = Mirror(), threading.Event()
    script = Script(stop, *steps)
    follow(script, mirror, stop)
    return mirror, script


A, B, C = (thing("Pod", name) for name in "abc")


def test_events_change_what_was_listed() -> None:
    mirror, script = run(
        ([A, B], "7"),
        [
            event("ADDED", "c", "8"),
            event("DELETED", "a", "9"),
            event("MODIFIED", "b", "10", spec={"new": True}),
        ],
        [event("BOOKMARK", "", "99")],
        [],
    )
    # after its last step the script gives an empty list, so look at what was asked and at b before that
    assert script.asked[:4] == ["list", "watch 7", "watch 10", "watch 99"]
    assert names(mirror) == ["b", "c"]
    assert mirror.of("Pod")[0]["spec"] == {"new": True}


@pytest.mark.parametrize("gone", [[event("ADDED", "b", "8"), error(410)], Expired(), [Expired()]])
def test_410_lists_again(gone: Any) -> None:
    """A list replaces everything: what went while nobody watched is gone."""
    mirror, script = run(([A], "7"), gone, ([C], "20"), [], [])
    assert script.asked[:4] == ["list", "watch 7", "list", "watch 20"]
    assert names(mirror) == ["c"]


def test_trouble_is_told_and_ends_with_the_next_list() -> None:
    told = []

    class Telling(Mirror):
        def fail(self, kind: str, reason: str) -> None:
            super().fail(kind, reason)
            told.append((reason, names(self)))

    mirror, stop = Telling(), threading.Event()
    follow(
        Script(stop, ([A], "7"), SourceFailed("no answer"), SourceFailed("still none"), ([B], "9"), []),
        mirror,
        stop,
    )
    assert told == [("no answer", ["a"]), ("still none", ["a"])]  # what was known stays
    assert mirror.failures == {}
    assert names(mirror) == ["b"]


def test_watches_that_end_at_once_are_not_asked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "FIRST_WAIT_S", 60.0)
    stop = Noting()
    script = Script(stop, ([A], "7"), [], [event("MODIFIED", "a", "8")], [])
    follow(script, Mirror(), stop)
    assert script.asked[:4] == ["list", "watch 7", "watch 7", "watch 8"]
    assert stop.waits[:2] == [60.0, 60.0]  # after the two that brought nothing, and not after the other


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [(Expired(), [0.1, 0.2, 0.4, 0.8, 1.6]), (SourceFailed("no"), [1.0, 2.0, 4.0, 8.0, 16.0])],
)
def test_trouble_that_comes_again_soon_is_waited_for_longer(
    trouble: Exception, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However well the lists between go."""
    monkeypatch.setattr(mirror_module, "FIRST_WAIT_S", 1.0)
    stop = Noting()
    steps = [step for _ in range(9) for step in (([A], "7"), trouble)]
    follow(Script(stop, *steps), Mirror(), stop)
    assert stop.waits[:5] == pytest.approx(expected)
    assert max(filter(None, stop.waits)) <= mirror_module.LONGEST_WAIT_S


def test_after_a_good_while_trouble_is_the_first_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "FIRST_WAIT_S", 0.01)
    stop = Noting()

    def later() -> Iterator[Object]:
        time.sleep(0.1)
        yield error(410)

    steps = [([A], "7"), error_now := SourceFailed("no"), ([A], "7"), error_now, ([A], "7"), later()]
    follow(Script(stop, *steps), Mirror(), stop)
    assert stop.waits[:3] == pytest.approx([0.01, 0.02, 0.001])


@pytest.mark.parametrize("odd", [{"type": "ADDED"}, {"type": "ADDED", "object": {}}, [], None])
def test_what_is_not_understood_is_trouble_and_not_the_end(odd: Any) -> None:
    told = []

    class Telling(Mirror):
        def fail(self, kind: str, reason: str) -> None:
            super().fail(kind, reason)
            told.append(reason)

    mirror, stop = Telling(), threading.Event()
    script = Script(stop, ([A], "7"), [odd], ([B], "9"), [])
    follow(script, mirror, stop)
    assert names(mirror) == ["b"]
    assert told[0].startswith("an answer that is not understood")


def test_another_error_event_is_trouble() -> None:
    mirror = Mirror()
    with pytest.raises(SourceFailed, match="too many"):
        mirror.apply("Pod", error(429, "too many"))


def test_it_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "MAX_OBJECTS", 3)
    mirror = Mirror()
    mirror.replace("Pod", [thing("Pod", str(number)) for number in range(9)])
    mirror.apply("Pod", event("ADDED", "more"))
    mirror.apply("Pod", event("MODIFIED", "1", spec={"new": True}))
    assert names(mirror) == ["0", "1", "2"]
    assert mirror.of("Pod")[1]["spec"] == {"new": True}


def test_kinds_are_known_when_listed_or_refused() -> None:
    mirror = Mirror()
    assert mirror.unheard(["Pod", "Broker"]) == ["Pod", "Broker"]
    mirror.fail("Broker", "none here")
    assert mirror.unheard(["Pod", "Broker"]) == ["Pod"]
    assert mirror.is_empty
    mirror.replace("Pod", [])
    assert mirror.unheard(["Pod", "Broker"]) == []
    assert not mirror.is_empty


_CHANGES = st.lists(
    st.tuples(st.sampled_from(["set", "delete", "break", "expire"]), st.sampled_from("abcd")), max_size=30
)


@given(_CHANGES)
def test_the_mirror_follows_a_server_through_breaks(changes: list[tuple[str, str]]) -> None:
    """A server with a history: broken watches go on where they ended, expired ones list again."""
    server: dict[str, int] = {}
    log: list[tuple[int, Object]] = []
    mirror, stop = Mirror(), threading.Event()
    todo = iter(changes)

    def objects() -> list[Object]:
        return [thing("Pod", name, version=str(number)) for name, number in server.items()]

    class Server:
        kind = "Pod"

        def list(self) -> tuple[list[Object], str]:
            return objects(), str(len(log))

        def watch(self, version: str) -> Iterator[Object]:
            yield from (each for number, each in log if number > int(version))
            for what, name in todo:
                number = len(log) + 1
                if what == "break":
                    return
                if what == "expire":
                    raise Expired
                if what == "set":
                    type_ = "MODIFIED" if name in server else "ADDED"
                    server[name] = number
                elif name in server:
                    type_ = "DELETED"
                    del server[name]
                else:
                    continue
                log.append((number, event(type_, name, str(number))))
                yield log[-1][1]
            stop.set()

    follow(Server(), mirror, stop)
    known = {
        found["metadata"]["name"]: int(found["metadata"]["resourceVersion"]) for found in mirror.of("Pod")
    }
    assert known == server
