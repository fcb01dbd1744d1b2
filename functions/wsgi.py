"""A WSGI application, in threads, behind the server of the event functions.

A thread is given a request that is whole and gives back an answer that is whole, so that a client that sends
or reads slowly holds a connection of the event loop and never a thread: of those there are few.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from starlette.types import Receive, Scope, Send

from functions.answer import problem
from functions.intake import Disconnected

MAX_BODY_BYTES: Final = 1024 * 1024 + 1  # one more than the application takes: it sees that there is more
MAX_HELD_BYTES: Final = 64 * 1024 * 1024  # of all bodies together

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class InThreads:
    """An ASGI application."""

    def __init__(self, app: WsgiApp, threads: int) -> None:
        self._app = app
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        try:
            if await self._read(receive, body):
                status, headers, content = await asyncio.get_running_loop().run_in_executor(
                    self._threads, call, self._app, make_environ(scope, bytes(body))
                )
                lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
                await send({"type": "http.response.start", "status": status, "headers": lines})
                await send({"type": "http.response.body", "body": content})
            else:
                await problem(503, "too much is in hand: send the request again")(scope, receive, send)
        except Disconnected:
            pass
        finally:
            self._held_bytes -= len(body)

    async def _read(self, receive: Receive, body: bytearray) -> bool:
        """Whether there was room for it. Raises Disconnected."""
        more = True
        while more and len(body) < MAX_BODY_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            body += message.get("body", b"")
            self._held_bytes += len(message.get("body", b""))
            if self._held_bytes > MAX_HELD_BYTES:
                return False
            more = message.get("more_body", False)
        return True


def call(app: WsgiApp, environ: Environ) -> tuple[int, Headers, bytes]:
    """Status, headers and body of the answer."""
    head: list[tuple[int, Headers]] = []

    def start_response(status: str, headers: Headers, _: object = None) -> None:
        head.append((int(status.partition(" ")[0]), headers))

    parts = app(environ, start_response)
    try:
        content = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return *head[-1], content


def make_environ(scope: Scope, body: bytes) -> Environ:
    """The environment of PEP 3333, with RAW_URI as gunicorn has it.

    A header with an underscore is left out: X_A and X-A would have the same name here.
    """
    path, query = scope["raw_path"], scope["query_string"]
    host, port = scope["server"]
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "RAW_URI": (path + b"?" + query if query else path).decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue
        key = name.decode("latin-1").upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ
