"""The log of a process, to standard error: one line an entry, as JSON or for people.

What came with a request stands in fields of an entry, never in its text, and without a line break: nobody
outside can write a line of their own.
"""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

FORMATS: Final = ("auto", "json", "text")  # auto: text on a terminal, else JSON lines
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logs(level: str, form: str, **bound: str) -> None:
    """`level`: debug, info, warning or error; `form`: one of FORMATS; `bound` stands in every entry."""
    handler = logging.StreamHandler()
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler.setFormatter(_Formatter(_as_text if as_text else _as_json, bound))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # The server's own warnings are a line for each request that it refuses.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


class _Formatter(logging.Formatter):
    def __init__(self, write: Callable[[dict[str, Any]], str], bound: dict[str, str]) -> None:
        super().__init__()
        self._write, self._bound = write, bound

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **self._bound,
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return self._write(entry)


def _as_json(entry: dict[str, Any]) -> str:
    return json.dumps(entry, default=str)  # ASCII: a terminal that shows it is not steered by it


def _as_text(entry: dict[str, Any]) -> str:
    timestamp, level, event = (entry.pop(name) for name in ("timestamp", "level", "event"))
    exception = entry.pop("exception", None)
    fields = "".join(f" {name}={_quoted(value)}" for name, value in entry.items())
    trace = "" if exception is None else f"\n{exception}"
    return f"{timestamp} {level:7} {_printable(event)}{fields}{trace}"


def _quoted(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and text and " " not in text else repr(text)


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)
