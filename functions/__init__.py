"""One module a function, and `compose`, the one place where they are put together with a store."""

import sys

# structlog takes rich, if it is there, for tracebacks in colours that no function prints: a sixth of a cold
# start. For the moment of this import it is not there.
if "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]
    import structlog as structlog

    del sys.modules["rich"]
