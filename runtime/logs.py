"""Structured logs: one line an entry, to standard error, as JSON or for people."""

import logging
import sys
from contextlib import suppress

import structlog
from structlog.typing import EventDict

from runtime.settings import LogSettings


def _make_printable(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """A value from outside may neither begin a line of its own nor steer the terminal."""
    for name, value in entry.items():
        if isinstance(value, str) and not value.isprintable():
            entry[name] = repr(value)
    return entry


class _Forgiving(structlog.WriteLogger):
    """On a full disk an entry is lost, and not the work that was to be told of."""

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = error = critical = fatal = failure = err = exception = msg


def configure_logs(settings: LogSettings, **bound: str) -> None:
    """Set up logging for this process; `bound` (e.g. function="store-trade") stands in every entry."""
    stderr = sys.stderr
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and stderr.isatty())
    # No local variables in tracebacks: they hold trades, and payloads stay out of logs.
    traceback: structlog.typing.Processor
    renderer: structlog.typing.Processor
    if as_text:
        traceback = _make_printable
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    else:
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        traceback = structlog.processors.ExceptionRenderer(tracebacks)
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            lambda _logger, _method, entry: {**bound, **entry},
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            traceback,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level.upper()]
        ),
        logger_factory=lambda *_: _Forgiving(stderr),
        cache_logger_on_first_use=True,
    )
