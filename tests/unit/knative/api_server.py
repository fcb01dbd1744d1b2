"""A small API server over real HTTP: lists and watches, and what can go wrong with them."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.unit.knative.objects import Object

Behaviour = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One request. The connection ends with the answer, and a watch is in chunks."""

    protocol_version = "HTTP/1.1"
    server: "ApiServer"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        kind = url.path.rpartition("/")[2]
        is_watch = parse_qs(url.query).get("watch") in (["True"], ["true"])
        self.server.asked.append(f"watch {kind}" if is_watch else kind)
        assert self.headers["connection"] == "close"
        behaviours = self.server.behaviours
        behaviour = behaviours.get(f"watch {kind}" if is_watch else kind) or behaviours.get("*")
        if behaviour:
            behaviour(self)
        elif is_watch:
            watch_of()(self)
        else:
            self.answer(200, a_list(*self.server.objects.get(kind, ())))

    def answer(self, status: int, body: Any, type_: str = "application/json") -> None:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("connection", "close")
        self.send_header("content-type", type_)
        self.send_header("content-length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *arguments: object) -> None: ...


class ApiServer(ThreadingHTTPServer):
    """By the last part of a path: `objects["pods"]`, `behaviours["pods"]` or `["watch pods"]`, or `["*"]`."""

    daemon_threads = True
    request_queue_size = 50

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, list[Object]] = {}
        self.behaviours: dict[str, Behaviour] = {}
        self.asked: list[str] = []
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Clients that go away are usual here."""


def a_list(*objects: Object, version: str = "7") -> Object:
    """Items come without their kind, as in the real one's lists."""
    items = [
        {key: value for key, value in each.items() if key not in ("kind", "apiVersion")} for each in objects
    ]
    api = objects[0]["apiVersion"] if objects else "v1"
    return {"apiVersion": api, "kind": "List", "metadata": {"resourceVersion": version}, "items": items}


def refuse(status: int) -> Behaviour:
    return lambda request: request.answer(status, {"kind": "Status", "code": status, "message": "no"})


def html(request: Handler) -> None:
    """A captive portal, or a proxy."""
    request.answer(200, b"<!doctype html><p>Log in", "text/html")


def hang(request: Handler) -> None:
    request.server.closing.wait()


def watch_of(*lines: Object | bytes, cut: bool = False) -> Behaviour:
    """These lines; then the end, or the connection cut off, or (without any lines) silence."""

    def behave(request: Handler) -> None:
        request.send_response(200)
        request.send_header("connection", "close")
        request.send_header("transfer-encoding", "chunked")
        request.end_headers()
        for line in lines:
            request.chunk(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        if not lines:
            request.server.closing.wait()
        if not cut:
            request.chunk(b"")

    return behave
