"""Times as the API writes them."""

from datetime import datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1)


def format_ms(time_ms: int) -> str:
    """RFC 3339, UTC, with milliseconds: `format_ms(0) == "1970-01-01T00:00:00.000Z"`."""
    seconds, milliseconds = divmod(time_ms, 1_000)
    return f"{_format_s(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=1_024)  # rows that change are of the same few seconds
def _format_s(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()
