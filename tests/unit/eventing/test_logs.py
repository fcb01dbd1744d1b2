"""What a log entry looks like, and what a value in it can't do."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest

from eventing.identity import MAX_LENGTH, identity
from eventing.logs import configure_logs

EVIL = ["a\nb", "a\r\n2026-01-01 forged", "\x1b[2J", "\x9b31m", "a\u2028b", "\x00", "\u202e"]
TRACE = "0af7651916cd43dd8448eb211c80319c"
EVENT = {"source": "/s", "id": "1", "type": "t", "specversion": "1.0", "subject": "ASPS", "note": "x"}

Log = Callable[..., list[str]]


@pytest.fixture(params=["json", "text"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def log(form: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """Logs an entry; what was written since."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    configure_logs("info", form, function="f")

    def write(event: str, level: str = "info", **fields: object) -> list[str]:
        start = written.tell()
        getattr(logging.getLogger("t"), level)(event, extra=fields)
        return written.getvalue()[start:].split("\n")[:-1]

    yield write
    root.handlers, root.level = before, level


@pytest.mark.parametrize("evil", EVIL)
def test_a_value_has_one_line_and_steers_no_terminal(log: Log, evil: str) -> None:
    for lines in (log("said", reason=evil), log(evil)):
        [line] = lines
        assert evil not in line
        assert line.isprintable()


def test_an_entry_in_json(log: Log, form: str) -> None:
    if form == "json":
        [line] = log("said", "warning", id="1", count=3)
        entry = json.loads(line)
        assert (entry["event"], entry["level"], entry["id"], entry["count"]) == ("said", "warning", "1", 3)
        assert entry["function"] == "f"
        assert entry["timestamp"].endswith("Z")


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.usefixtures("log")
def test_left_to_itself_it_is_text_where_somebody_watches(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(stderr, "isatty", lambda: is_terminal)
    monkeypatch.setattr("sys.stderr", stderr)
    configure_logs("info", "auto")
    logging.getLogger("t").info("said", extra={"id": "1"})
    assert stderr.getvalue().endswith(" info    said id=1\n" if is_terminal else '"id": "1"}\n')


def test_what_is_below_the_level_is_not_written(log: Log) -> None:
    assert log("said", "debug", id="1") == []


def test_an_exception_tells_no_local_variables(log: Log) -> None:
    payload = "c4n4" + "ry"
    try:
        raise RuntimeError("broken" if payload else "")
    except RuntimeError:
        text = "\n".join(log("failed", "exception"))
    assert "RuntimeError" in text
    assert "broken" in text
    assert payload not in text


def test_the_identity_of_an_event() -> None:
    assert identity(EVENT) == {"source": "/s", "id": "1", "type": "t"}
    assert identity({}) == {"source": "", "id": "", "type": ""}
    assert identity(EVENT | {"id": "x" * 1_000})["id"] == "x" * MAX_LENGTH
    traced = identity(EVENT | {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
    assert traced == identity(EVENT) | {"trace_id": TRACE}


@pytest.mark.parametrize(
    "traceparent", ["", "x", TRACE, f"00-{TRACE}-b7ad-01", f"00-{TRACE.upper()}-b7ad6b7169203331-01"]
)
def test_what_is_no_trace(traceparent: str) -> None:
    assert "trace_id" not in identity(EVENT | {"traceparent": traceparent})
