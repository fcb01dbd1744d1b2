"""What became of an event that was sent: the functions' verdicts, and what to do where there are none."""

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventing.event import Event

Report = dict[str, Any]
"""`status` and `reason` of the broker's answer (None, and why there is none); `verdicts` where seen."""

SEEN_WITHIN_S = 1.0
MAX_VALUE_LENGTH = 256  # of an attribute in a note of an event
_POLL_S = 0.05
_FUNCTIONS = ("store_trade", "update_summary")
_DONE = ("STORED", "COUNTED", "DUPLICATE")
_REFUSED = ("BAD_REQUEST", "CONFLICT", "OVERFLOW")
_BUSY = (408, 425, 429)  # and above 499: another time the same event may be taken


def is_accepted(report: Report) -> bool:
    """The broker took it."""
    return report["status"] is not None and report["status"] < 300


def is_done(report: Report) -> bool:
    """The broker took it, and, where we could look, both functions have done with it."""
    verdicts = report.get("verdicts")
    return is_accepted(report) and (
        verdicts is None or all(verdicts.get(function) in _DONE for function in _FUNCTIONS)
    )


def advise(report: Report, data: Path) -> list[str]:
    """Lines: what to do next where its end is not known, else nothing."""
    from tradewind.options import data_option

    again = f"The very same event again, which counts once however often it comes: `{report['again']}`"
    if is_accepted(report):
        if is_done(report) or any(verdict in _REFUSED for verdict in report["verdicts"].values()):
            return []
        look = f"`tradewind events --id {shlex.quote(report['id'])}{data_option(data)}`"
        return [f"The broker has it. What became of it: {look}", again]
    status = report["status"]
    return [again] if status is None or status >= 500 or status in _BUSY else []


def look(query_url: str, event: "Event", sent_ms: int) -> Report:
    """The functions' verdicts on the event within SEEN_WITHIN_S, and its ticker; or why nobody says them."""
    from tradewind.client import Unreachable, ask, path

    deadline_s = time.monotonic() + SEEN_WITHIN_S
    try:
        while True:
            notes, trouble = _read_notes(query_url, event, sent_ms)
            if all(function in notes for function in _FUNCTIONS) or time.monotonic() > deadline_s:
                break
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        notes, trouble = {}, "You stopped looking"
    seen: Report = {
        "verdicts": {function: note["verdict"] for function, note in sorted(notes.items())},
        "why": [trouble] if trouble else sorted({note["reason"] for note in notes.values()} - {""}),
        "ticker": None,
    }
    if not trouble:
        try:
            ticker = ask(query_url + path("v1", "tickers", event.subject or ""))
            seen["ticker"] = ticker.json if ticker.status == 200 else None
        except Unreachable as error:
            seen["why"].append(str(error))
    return seen


def _read_notes(query_url: str, event: "Event", sent_ms: int) -> tuple[dict[str, dict[str, Any]], str]:
    """The functions' notes, and what kept us from reading them."""
    from tradewind.client import Unreachable, ask

    only = {"source": event.source[:MAX_VALUE_LENGTH], "id": event.id[:MAX_VALUE_LENGTH]}
    try:
        answer = ask(query_url + "/v1/events", query=only)
        if answer.status != 200:
            return {}, f"the query function says: {answer.reason}"
        return notes_of(answer.rows("events"), event, sent_ms), ""
    except Unreachable as error:
        return {}, str(error)


def notes_of(seen: list[dict[str, Any]], event: "Event", sent_ms: int) -> dict[str, dict[str, Any]]:
    """The latest note of each function about this event; `seen` is newest first."""
    sent = rfc3339(sent_ms)
    notes: dict[str, dict[str, Any]] = {}
    for note in seen:
        attributes = note["attributes"]
        if (attributes["source"], attributes["id"]) == (event.source, event.id) and note["time"] >= sent:
            notes.setdefault(note["function"], note)
    return notes


def rfc3339(time_ms: int) -> str:
    """`2026-01-31T09:30:00.250Z`."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
