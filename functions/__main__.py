"""`python -m functions`: one function in one process, as FUNCTION_TARGET says.

Like `functions-framework --target`, but event functions are served by uvicorn in this very process, with
bounds and a graceful end; what differs is the server, not the function.
"""

import atexit
import gc
import os
import shutil
import signal
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

from uvicorn import Config, Server

from functions.server import FunctionProtocol
from functions.wsgi import InThreads
from runtime.reading import BadSettings
from runtime.settings import (
    AerospikeSettings,
    FunctionSettings,
    LogSettings,
    QuerySettings,
    SinkSettings,
    StoreSettings,
)
from trades.store import StoreMisconfigured

SOURCE: Final = Path(__file__).with_name("main.py")
MAX_CONNECTIONS: Final = 1_024
KEEP_ALIVE_S: Final = 120  # longer than the 90 s of Go's HTTP client, so that no server closes first
QUERY_THREADS: Final = 16
MAX_THREADS: Final = 1_024
# Python's own 5 ms would be what a short read waits for while another thread brings the list up to date.
QUERY_SWITCH_INTERVAL_S: Final = 0.000_5
MAX_REQUEST_LINE: Final = 4_094  # bytes; functions-framework sets no bound
# A group in hand is some 150,000 objects, none of them in a cycle. With Python's own thresholds (700, 10, 10)
# the collector goes through them again and again, for an eighth of a trade's cost; with a threshold above
# what a group makes, hardly ever. Times 4: objects that stayed are looked at once in a million new ones.
GC_THRESHOLDS: Final = (250_000, 4, 100)


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    os.umask(0o077)  # what a function keeps in files is nobody else's to read
    os.environ.setdefault("FUNCTION_SOURCE", str(SOURCE))
    share_metrics()
    if not os.environ.get("FUNCTION_TARGET"):
        sys.exit("Set FUNCTION_TARGET to store_trade, update_summary, dead_letter or query.")
    settings = read_settings()
    from flask import Flask
    from functions_framework import create_app

    app = create_app()  # type: ignore[no-untyped-call]
    is_ours = Path(os.environ["FUNCTION_SOURCE"]) == SOURCE
    if is_ours:
        check_store()
    if not isinstance(app, Flask):
        serve_asgi(app, settings)
    elif os.environ.get("WORKERS", "1") != "1":
        serve_in_workers(app)
    else:
        threads = whole_number("THREADS", QUERY_THREADS, 1, MAX_THREADS)
        sys.setswitchinterval(QUERY_SWITCH_INTERVAL_S)
        serve_asgi(InThreads(query_alone if is_ours else app, threads), settings)


def read_settings() -> FunctionSettings:
    """Those of the door; what any other part would read later, at an event, is looked at too."""
    try:
        for settings in (StoreSettings, AerospikeSettings, QuerySettings, SinkSettings, LogSettings):
            settings.read()
        return FunctionSettings.read()
    except BadSettings as error:
        sys.exit(str(error))


def whole_number(name: str, default: int, least: int, most: int) -> int:
    """A variable whose name is not ours, but Knative's or the framework's."""
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or not least <= int(text) <= most:
        sys.exit(f"{name}={text}: set it to a number from {least} to {most}.")
    return int(text)


def share_metrics() -> None:
    """Where the framework starts several workers, let them add up: see `functions.metrics`.

    prometheus_client looks for this when it is imported, which is below `create_app`.
    """
    if os.environ.get("WORKERS", "1") != "1" and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        folder = os.environ["PROMETHEUS_MULTIPROC_DIR"] = mkdtemp(prefix="tradewind-metrics-")
        atexit.register(remove_folder, folder, os.getpid())


def remove_folder(folder: str, owner: int) -> None:
    """At the end of the process that made it; its workers, which end this way too, leave it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


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


def serve_asgi(app: Any, settings: FunctionSettings) -> None:
    """Serve until SIGTERM or SIGINT; then answer what is in hand, which takes no longer than its deadline."""
    allowed_hosts = frozenset(QuerySettings.read().query_allowed_hosts.split())
    protocol = type("Protocol", (FunctionProtocol,), {"allowed_hosts": allowed_hosts})
    config = Config(
        app,
        host=listening_host(),
        port=whole_number("PORT", 8080, 0, 65_535),
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="off",
        log_level="error",  # its warnings are a line for each bad or refused request
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.deadline_ms // 1000 + 2,
    )
    gc.freeze()  # what is loaded by now stays: no collection needs to look at it again
    gc.set_threshold(*GC_THRESHOLDS)
    Server(config).run()


def query_alone(environ: Any, start_response: Any) -> Any:
    """Our query without functions-framework around it, whose pages (/robots.txt, /static/) are not ours."""
    from functions import compose

    return compose.query()(environ, start_response)


def serve_in_workers(app: Any) -> None:
    """Serve by functions-framework's own gunicorn, which forks. A slow client holds one of its threads."""
    from functions_framework._http import create_server

    threads = whole_number("THREADS", QUERY_THREADS, 1, MAX_THREADS)
    server = create_server(  # type: ignore[no-untyped-call]
        app,
        False,
        threads=threads,
        keepalive=KEEP_ALIVE_S,
        graceful_timeout=10,
        control_socket_disable=True,
        limit_request_line=MAX_REQUEST_LINE,
    )
    server.run(listening_host(), whole_number("PORT", 8080, 0, 65_535))


if __name__ == "__main__":
    main()
