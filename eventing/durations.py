"""ISO 8601 durations, as Knative's manifests write delays and timeouts: `PT0.5S`, `PT2M`, `P1DT12H`."""

import re
from typing import Final

_NUMBER = r"(\d+(?:[.,]\d+)?)"
_DURATION = re.compile(
    rf"P(?=[\dT])(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
# A year of 365.2425 days and a month of its twelfth part, then weeks, days, hours, minutes, seconds.
_UNITS_MS: Final = (31_556_952_000, 2_629_746_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000)
_MAX_CHARACTERS: Final = 64


def duration_ms(text: str) -> int:
    """The duration in milliseconds. Raises ValueError.

    As in Knative's parser (rickb777/date) only the first decimal counts: PT0.25S is 200 ms. Negative
    durations, which Knative lets pass and then does not wait, are refused.
    """
    if text == "P0":
        return 0
    match = _DURATION.fullmatch(text) if len(text) <= _MAX_CHARACTERS else None
    if match is None or not any(match.groups()):
        raise ValueError(f"{text[:_MAX_CHARACTERS]!r} is not a duration: write it like PT0.5S or PT2M")
    tenths_ms = 0
    for number, unit_ms in zip(match.groups(), _UNITS_MS, strict=True):
        if number is not None:
            whole, _, decimals = number.replace(",", ".").partition(".")
            tenths_ms += (int(whole) * 10 + int(decimals[:1] or 0)) * unit_ms
    return tenths_ms // 10
