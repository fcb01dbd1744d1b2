"""Structured logs: one line an entry, to standard error, as JSON or for people."""

import logging
import sys

import structlog

from runtime.settings import LogSettings


def configure_logs(settings: LogSettings, **bound: str) -> None:
    """Set up logging for this process; `bound` (e.g. function="store-trade") stands in every entry."""
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    # No local variables in tracebacks: they hold trades, and payloads stay out of logs.
    traceback: structlog.typing.Processor
    renderer: structlog.typing.Processor
    if as_text:
        traceback = structlog.dev.set_exc_info
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
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
