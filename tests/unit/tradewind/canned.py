"""A server with canned answers, and commands called as a user calls them."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from typer.testing import CliRunner

from tradewind.cli import app

runner = CliRunner(env={"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"})
Canned = tuple[Any, ...]  # status, JSON or bytes as they are, and perhaps headers


def call(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


class Server:
    """Answers (status, JSON) by (method, path); remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Canned | Callable[[bytes], Canned]] = {}
        self.asked: list[tuple[str, str, dict[str, list[str]], dict[str, str], bytes]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.asked.append((self.command, url.path, parse_qs(url.query), headers, body))
                answer = server.answers.get((self.command, url.path), (404, {"detail": "never traded"}))
                status, value, *more = answer(body) if callable(answer) else answer
                encoded = value if isinstance(value, bytes) else json.dumps(value).encode()
                encoded = b"" if value is None else encoded
                self.send_response(status)
                for name, text in (more[0] if more else {}).items():
                    self.send_header(name, text)
                self.send_header("content-length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)

            do_GET = do_POST = do_DELETE = handle_one  # noqa: N815 - http.server's names

            def log_message(self, *arguments: object) -> None: ...

        class Http(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A test that ends a connection without an answer raises."""

        self.http = Http(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()
