"""What a log may say of an event: which one it is and in which trace, never what is in it."""

import re
from collections.abc import Mapping
from typing import Final

MAX_LENGTH: Final = 80

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def identity(attributes: Mapping[str, str]) -> dict[str, str]:
    """`source`, `id` and `type`, each cut to MAX_LENGTH, and the `trace_id` of a `traceparent`, if any.

    (CloudEvents' distributed-tracing extension; W3C Trace Context, section 3.2.2.)
    """
    found = {name: attributes.get(name, "")[:MAX_LENGTH] for name in ("source", "id", "type")}
    trace = _TRACEPARENT.fullmatch(attributes.get("traceparent", ""))
    if trace is not None:
        found["trace_id"] = trace[1]
    return found
