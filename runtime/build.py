"""Which build runs here, for metrics."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

LABELS = ("version", "python")


@cache
def build() -> tuple[str, str]:
    """The values of LABELS. A folder of sources that was never installed has no version."""
    try:
        return version("tradewind"), platform.python_version()
    except PackageNotFoundError:
        return "unknown", platform.python_version()
