"""Functions and the query as someone sees them who means no good: over real sockets."""

import json
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cloudevents.http import CloudEvent

from eventing.bounded_http import MAX_HEAD_BYTES, MAX_HEADERS
from functions import volume_alert
from functions.__main__ import QUERY_THREADS
from functions.stores import open_store
from functions.wsgi import InThreads, make_environ
from runtime.settings import AerospikeSettings, StoreSettings
from tests.functions.conftest import FunctionProcess, StartFunction, event_headers, trade_body
from trades.store import StoreMisconfigured

SECRET = "c4n4ry"  # to be looked for where it must not be
TRACE = "0af7651916cd43dd8448eb211c80319c"
STRUCTURED = "application/cloudevents+json"
EVENT = b'{"specversion":"1.0","id":"1","source":"/page","type":"trade.executed.v1","data":{}}'
OWN = str(Path(__file__).with_name("own_functions.py"))
PAGES = ["/", "/docs", "/docs.css", "/openapi.json", "/healthz", "/readyz", "/metrics", "/assets/app.js"]
READS = ["/v1/tickers", "/v1/totals", "/v1/events", "/v1/dead-letters", "/v1/schemas/trade.executed.v1"]
ERRORS = ["/robots.txt", "/favicon.ico", "/static/x", "/nothing", "//evil.example/x", "/v1/tickers?limit=x"]


@pytest.fixture(scope="module")
def store_trade(start_module_function: StartFunction) -> FunctionProcess:
    return start_module_function("store_trade", LOG_LEVEL="debug")


@pytest.fixture(scope="module")
def query(start_module_function: StartFunction) -> FunctionProcess:
    return start_module_function("query", LOG_LEVEL="debug", QUERY_ALLOWED_HOSTS="page.example")


@pytest.fixture(params=["store_trade", "query"])
def function(request: pytest.FixtureRequest) -> FunctionProcess:
    found: FunctionProcess = request.getfixturevalue(request.param)
    return found


def talk(port: int, wire: bytes, until: bytes = b"\r\n\r\n") -> bytes:
    """What the server says until `until`, or until it closes the connection."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection, suppress(ConnectionError):
        with suppress(ConnectionError):
            connection.sendall(wire)
        while until not in said and (more := connection.recv(65_536)):
            said += more
    return said


def status_of(said: bytes) -> int:
    return int(said.split(b" ", 2)[1]) if said else 0


# What a request is


@pytest.mark.parametrize(
    "framing",
    [
        b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"x : y\r\n\r\n",
        b"x: y\r\n folded\r\n\r\n",
        b"x: a\x00b\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
    ],
)
def test_what_two_servers_could_read_in_two_ways_is_refused(
    function: FunctionProcess, framing: bytes
) -> None:
    start = b"POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: " + STRUCTURED.encode() + b"\r\n"
    said = talk(function.port, start + framing + b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n", b"no end")
    assert status_of(said) == 400
    assert len(re.findall(rb"HTTP/1\.1 \d", said)) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * MAX_HEAD_BYTES * 3,
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * MAX_HEAD_BYTES * 3,
        b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    ],
    ids=["path", "header", "number"],
)
def test_heads_are_bounded(function: FunctionProcess, head: bytes) -> None:
    """The answer may be lost when the connection is closed on what was not read."""
    assert status_of(talk(function.port, head, b"no end")) in (0, 431)


@pytest.mark.parametrize("size", [300_000, 400_000, 1_000_000, 4_000_000])
def test_large_events_are_read_to_their_end(store_trade: FunctionProcess, size: int) -> None:
    reply = store_trade.post(trade_body(note="x" * size), event_headers(f"large-{size}"))
    assert reply.status == 202


def test_a_request_for_another_protocol_keeps_its_body(store_trade: FunctionProcess) -> None:
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}
    assert store_trade.post(trade_body(), event_headers("h2c") | upgrade).status == 202


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip"])
def test_compressed_events_are_refused(store_trade: FunctionProcess, coding: str) -> None:
    assert store_trade.post(b"x", event_headers() | {"Content-Encoding": coding}).status == 415


@pytest.mark.parametrize("brackets", [b"[", b'{"a":'])
def test_json_without_end_in_depth(store_trade: FunctionProcess, brackets: bytes) -> None:
    deep = brackets * 100_000
    assert store_trade.post(deep, event_headers()).status == 400
    assert store_trade.post(deep, {"content-type": STRUCTURED}).status == 400
    data = b'{"specversion":"1.0","id":"1","source":"/s","type":"trade.executed.v1","data":' + deep
    assert store_trade.post(data, {"content-type": STRUCTURED}).status == 400


# Slow clients


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ",
        b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nhalf",
        b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhalf",
    ],
    ids=["nothing", "a letter", "half a head", "half a body", "half a chunk"],
)
def test_half_requests_hold_up_nobody(function: FunctionProcess, start: bytes) -> None:
    """Each thread of the query used to wait for the rest of a request: so many of them, and it was dead."""
    held = [socket.create_connection(("127.0.0.1", function.port)) for _ in range(3 * QUERY_THREADS)]
    for connection in held:
        connection.sendall(start)
    assert function.get("/healthz").status == 200
    for connection in held:
        connection.close()


def test_slow_readers_hold_up_nobody(query: FunctionProcess) -> None:
    held = []
    for _ in range(2 * QUERY_THREADS):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
        connection.connect(("127.0.0.1", query.port))
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n" * 200)
        held.append(connection)
    assert query.get("/v1/totals").status == 200
    for connection in held:
        connection.close()


# Other sites


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"])
def test_a_foreign_name_that_leads_here(function: FunctionProcess, host: str) -> None:
    """DNS rebinding: to the browser this is the attacker's own site: it may send and read anything."""
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    for path in ("/", "/metrics", "/v1/events", "/v1/dead-letters"):
        reply = function.request("GET", path, headers=headers)
        assert (reply.status, "evil" in f"{reply.headers}{reply.body!r}") == (403, False), path
    posted = function.post(trade_body(), event_headers("rebound") | headers)
    assert posted.status == 403
    body = headers | {"Content-Type": STRUCTURED}
    assert function.request("POST", "/v1/events", EVENT, body).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]:8080", "localhost:1", "a.localhost", "10.1.2.3:80"])
def test_names_that_cannot_be_led_elsewhere(function: FunctionProcess, host: str) -> None:
    assert function.request("GET", "/healthz", headers={"Host": host}).status == 200


def test_a_name_that_was_allowed(query: FunctionProcess, store_trade: FunctionProcess) -> None:
    assert query.request("GET", "/v1/totals", headers={"Host": "page.example"}).status == 200
    assert store_trade.request("GET", "/healthz", headers={"Host": "page.example"}).status == 403


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_a_form_can_send_is_no_event(store_trade: FunctionProcess, media_type: str) -> None:
    """Another type, or a ce- header, a page may send only after it asked: and it is told no."""
    headers = {"Content-Type": media_type, "Origin": "http://evil.example"}
    assert store_trade.request("POST", "/", EVENT, headers).status == 400
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    reply = store_trade.request("OPTIONS", "/", headers=asked)
    assert not [name for name in reply.headers if name.startswith("access-control")]


# Answers


@pytest.mark.parametrize("path", [*PAGES, *READS, *ERRORS])
@pytest.mark.parametrize("method", ["GET", "POST", "TRACE"])
def test_every_answer_has_the_headers(query: FunctionProcess, path: str, method: str) -> None:
    headers = query.request(method, path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "wire", [b"no request\r\n\r\n", b"GET /<script> HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02"]
)
def test_what_is_no_http(function: FunctionProcess, wire: bytes) -> None:
    said = talk(function.port, wire, b"no end")
    assert status_of(said) == 400
    assert b"application/problem+json" in said
    assert b"nosniff" in said
    assert b"script" not in said
    assert b"html" not in said


def test_no_answer_tells_a_header(function: FunctionProcess) -> None:
    names = ("Cookie", "Authorization", "X-Any", "Referer", "User-Agent", "X-Forwarded-Host", "Forwarded")
    headers = dict.fromkeys(names, SECRET)
    for method in ("GET", "POST", "PUT", "OPTIONS", "TRACE"):
        for path in (*PAGES, *READS[:-1], *ERRORS, f"/{SECRET}", f"/v1/{SECRET}", f"/assets/{SECRET}.js"):
            reply = function.request(method, path, b"", headers)
            assert SECRET not in f"{reply.headers}{reply.body!r}", (method, path)


MARKUP = "<img/src=x>"


@pytest.mark.parametrize(
    "path", [f"/{MARKUP}", f"/v1/tickers/{MARKUP}", f"/v1/tickers?{MARKUP}=1", f"/assets/{MARKUP}.html"]
)
def test_what_comes_back_is_never_markup(query: FunctionProcess, path: str) -> None:
    reply = query.get(path)
    assert reply.status in (400, 404)
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/assets/../pyproject.toml", "/assets/%2e%2e/%2e%2e/pyproject.toml", "/static/x"]
)
def test_no_file_but_the_pages(query: FunctionProcess, path: str) -> None:
    said = talk(query.port, f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    assert status_of(said) == 404


@pytest.mark.parametrize("evil", ["a%0d%0aSet-Cookie: x=y", "a%00b", "a%1b[2Jb"])
def test_attributes_that_would_break_a_line(store_trade: FunctionProcess, evil: str) -> None:
    for name in ("id", "source", "subject", "time", "x"):
        reply = store_trade.post(trade_body(), event_headers() | {f"ce-{name}": evil})
        assert reply.status == 400
        assert "set-cookie" not in reply.headers


def test_a_function_of_ones_own_cannot_break_a_line_either(start_function: StartFunction) -> None:
    """Also when it puts what it was sent into an attribute, a name or the content type of its answer."""
    echo = start_function("copies", FUNCTION_SOURCE=OWN)
    for member in ("value", "name", "content_type"):
        for evil in ("a\r\nSet-Cookie: x=y", "a b\u2028", "ü" * 3):
            reply = echo.post(json.dumps({member: evil}), event_headers())
            assert "set-cookie" not in reply.headers
            assert reply.status in (200, 500), (member, evil)
            if reply.status == 500:
                assert "the function failed" in reply.detail


# Where requests go


@pytest.fixture
def redirecting() -> Iterator[tuple[str, list[str]]]:
    """A server that sends everybody on to itself, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_does_not_lead_elsewhere(
    redirecting: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = redirecting
    monkeypatch.setenv("ALERT_WEBHOOK_URL", f"{url}/hook")
    with pytest.raises(OSError, match="302"):
        volume_alert.post_to_webhook(CloudEvent({"type": "t", "source": "/s"}, {}))
    assert asked == ["/hook"]


def test_the_broker_does_not_lead_elsewhere(
    redirecting: tuple[str, list[str]], start_function: StartFunction
) -> None:
    url, asked = redirecting
    query = start_function("query", K_SINK=f"{url}/broker")
    reply = query.request("POST", "/v1/events", EVENT, {"Content-Type": STRUCTURED})
    assert json.loads(reply.body)["status"] == 302
    assert asked == ["/broker"]


# Logs and files


def test_logs_say_which_event_and_never_what_is_in_it(
    store_trade: FunctionProcess, query: FunctionProcess
) -> None:
    trace = {"ce-traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "ce-note": SECRET}
    private = {"Authorization": SECRET, "Cookie": SECRET, "X-Any": SECRET}
    bodies = [trade_body(note=SECRET), trade_body(ticker=SECRET), trade_body(price=SECRET), SECRET.encode()]
    bodies += [trade_body(timestamp=SECRET), trade_body(volume=SECRET), b'{"' + SECRET.encode(), b"[]"]
    for number, body in enumerate(bodies):
        store_trade.post(body, event_headers(f"log-{number}") | trace | private)
    store_trade.post(trade_body(volume=7), event_headers("log-0") | trace | private)  # a conflict
    store_trade.post(SECRET, {"content-type": STRUCTURED} | private)
    store_trade.get(f"/{SECRET}?{SECRET}")
    for path in (f"/{SECRET}", f"/v1/tickers/{SECRET}", f"/v1/tickers?q={SECRET}", f"/v1/events?{SECRET}=1"):
        query.request("GET", path, headers=private)
    query.request("POST", "/v1/events", SECRET, {"Content-Type": STRUCTURED} | private)
    log = store_trade.log
    assert SECRET not in log + query.log
    entries = [json.loads(line) for line in log.splitlines()]
    deliveries = [entry for entry in entries if entry.get("id") == "log-0" and "verdict" in entry]
    assert [entry["verdict"] for entry in deliveries] == ["STORED", "CONFLICT"]
    assert {entry["event"] for entry in deliveries} <= {
        "delivery",
        "refused",
    }  # of refusals a few are warnings
    assert {entry["trace_id"] for entry in deliveries} == {TRACE}
    for number in range(len(bodies)):
        assert [entry for entry in entries if entry.get("id") == f"log-{number}"]


def test_the_first_trade_is_told_with_its_event(start_function: StartFunction) -> None:
    store_trade = start_function("store_trade", LOG_LEVEL="info")
    for id_ in ("first", "second"):
        assert store_trade.post(trade_body(), event_headers(id_)).status == 202
    [entry] = [json.loads(line) for line in store_trade.log.splitlines()]
    assert (entry["event"], entry["id"], entry["trades"]) == ("trades done", "first", 1)
    assert not {"ticker", "price", "volume"} & set(entry)


def test_files_are_their_users_alone(start_function: StartFunction, tmp_path: Path) -> None:
    store_trade = start_function("store_trade")
    assert store_trade.post(trade_body(), event_headers()).status == 202
    files = list((tmp_path / "store").rglob("*"))
    assert files
    for path in (tmp_path / "store", *files):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize("url", ["aerospike://user:c4n4ry@host:3000", "redis://user:c4n4ry@host"])
def test_a_password_in_the_url_of_the_store(url: str) -> None:
    with pytest.raises(StoreMisconfigured, match="AEROSPIKE_PASSWORD") as error:
        open_store(url, StoreSettings(), AerospikeSettings())
    assert SECRET not in str(error.value)


# WSGI


def scope(**members: object) -> dict[str, object]:
    return {
        "type": "http",
        "method": "GET",
        "raw_path": b"/v1/tickers/A%2FB%FF",
        "query_string": b"q=%C3%BC",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8080),
        "client": ("127.0.0.1", 50_000),
        "headers": [],
    } | members


def test_a_header_cannot_pass_for_another() -> None:
    headers = [(b"x-a", b"1"), (b"x_a", b"2"), (b"x-a", b"3"), (b"content-length", b"0"), (b"host", b"h")]
    environ = make_environ(scope(headers=headers), b"")
    assert (environ["HTTP_X_A"], environ["CONTENT_LENGTH"], environ["HTTP_HOST"]) == ("1,3", "0", "h")
    assert environ["PATH_INFO"] == "/v1/tickers/A/B\xff"
    assert environ["RAW_URI"] == "/v1/tickers/A%2FB%FF?q=%C3%BC"


async def test_bodies_in_hand_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.wsgi.MAX_HELD_BYTES", 10)
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"x" * 6, "more_body": True}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    app = InThreads(lambda environ, start: [b""], 1)
    await app(scope(), receive, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 503
    assert app._held_bytes == 0
