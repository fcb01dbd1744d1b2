"""`python -m functions`: one function in one process, as FUNCTION_TARGET says.

Like `functions-framework --target`, but event functions are served by uvicorn in this very process, with
bounds and a graceful end; what differs is the server, not the function.
"""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from uvicorn import Config, Server

from functions.server import BoundedProtocol
from runtime.settings import FunctionSettings
from trades.store import StoreMisconfigured

SOURCE: Final = Path(__file__).with_name("main.py")
MAX_CONNECTIONS: Final = 1_024
KEEP_ALIVE_S: Final = 120  # longer than the 90 s of Go's HTTP client, so that no server closes first
QUERY_THREADS: Final = 16
# A group in hand is some 100,000 objects, none of them in a cycle. With Python's own thresholds (700, 10, 10)
# the collector goes through them again and again, for an eighth of a trade's cost; now once or twice a group.
GC_THRESHOLDS: Final = (50_000, 20, 100)


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    os.environ.setdefault("FUNCTION_SOURCE", str(SOURCE))
    if not os.environ.get("FUNCTION_TARGET"):
        sys.exit("Set FUNCTION_TARGET to store_trade, update_summary, dead_letter or query.")
    try:
        settings = FunctionSettings()
    except ValidationError as error:
        sys.exit(f"Settings are wrong: {error}")
    from flask import Flask
    from functions_framework import create_app

    app = create_app()  # type: ignore[no-untyped-call]
    if Path(os.environ["FUNCTION_SOURCE"]) == SOURCE:
        check_store()
    if isinstance(app, Flask):
        serve_wsgi(app)
    else:
        serve_asgi(app, settings)


def check_store() -> None:
    """Say now what would fail at each event. Nothing connects: a store that is down may come up."""
    from functions import compose

    try:
        compose.store()
    except StoreMisconfigured as error:
        sys.exit(str(error))


def listening_host() -> str:
    """All interfaces in a Knative pod, this machine only elsewhere; HOST says otherwise."""
    return os.environ.get("HOST") or ("0.0.0.0" if "K_SERVICE" in os.environ else "127.0.0.1")  # noqa: S104


def listening_port() -> int:
    port = os.environ.get("PORT", "8080")
    if not port.isdigit():
        sys.exit(f"PORT={port} is no port: set it to a number.")
    return int(port)


def serve_asgi(app: Any, settings: FunctionSettings) -> None:
    """Serve until SIGTERM or SIGINT; then answer what is in hand, which takes no longer than its deadline."""
    config = Config(
        app,
        host=listening_host(),
        port=listening_port(),
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_level="error",  # its warnings are a line for each bad or refused request
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.deadline_ms // 1000 + 2,
    )
    gc.freeze()  # what is loaded by now stays: no collection needs to look at it again
    gc.set_threshold(*GC_THRESHOLDS)
    Server(config).run()


def serve_wsgi(app: Any) -> None:
    """Serve by functions-framework's own server, gunicorn."""
    from functions_framework._http import create_server

    threads = int(os.environ.get("THREADS", QUERY_THREADS))
    server = create_server(  # type: ignore[no-untyped-call]
        app, False, threads=threads, keepalive=KEEP_ALIVE_S, graceful_timeout=10, control_socket_disable=True
    )
    server.run(listening_host(), listening_port())


if __name__ == "__main__":
    main()
