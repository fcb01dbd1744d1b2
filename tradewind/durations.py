"""Durations as people write them: `20s`, `5m`, `1h30m`, `500ms`, or a number of seconds."""

import re

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Seconds, more than 0. Raises ValueError with the forms that are understood."""
    compact = text.strip().lower()
    try:
        seconds = float(compact)
    except ValueError:
        if not re.fullmatch(rf"(?:{_PART.pattern})+", compact):
            raise ValueError(f"{text!r} is not a duration: write 20s, 5m, 1h30m or 500ms") from None
        seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(compact))
    if not 0 < seconds < 1e9:
        raise ValueError(f"{text!r} must be more than 0 and finite")
    return seconds
