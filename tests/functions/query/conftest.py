"""A store with trades in it, a clock that stands until it is moved, a broker that answers as told."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from flask.testing import FlaskClient

from functions.query.app import create_app
from trades.stores.sqlite import SqliteStore
from trades.trade import Trade, TradeEvent

START_MS = 1_769_851_800_250  # 2026-01-31T09:30:00.250Z


class Clock:
    """Milliseconds since 1970, moved by the test."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, ms: int) -> None:
        self.now_ms += ms


@dataclass
class FakeBroker:
    """A real HTTP server that remembers requests and gives one answer."""

    url: str = ""
    status: int = 202
    status_of_get: int = 200
    body: bytes = b""
    media_type: str = "text/plain"
    before_answer: Callable[[], None] = lambda: None
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def status_url(self) -> str:
        return f"{self.url}/-/status"


class Feed:
    """Puts trades into a store, as the functions do."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self._count = 0

    def __call__(self, ticker: str, price_ticks: int, volume: int = 100, time_ms: int = START_MS) -> str:
        """The id of the trade."""
        return self.batch([Trade(ticker, price_ticks, volume, time_ms)])

    def batch(self, trades: list[Trade]) -> str:
        self._count += 1
        event = TradeEvent.of("/tests", f"e{self._count:06d}", trades, is_batch=len(trades) > 1)
        self.store.store_trades([event])
        self.store.count_trades([event])
        return event.id


def get_json(client: FlaskClient, url: str, status: int = 200) -> dict[str, object]:
    answer = client.get(url)
    assert answer.status_code == status, answer.text
    decoded = msgspec.json.decode(answer.data)
    assert isinstance(decoded, dict)
    return decoded


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def feed(store: SqliteStore) -> Feed:
    return Feed(store)


@pytest.fixture
def client(store: SqliteStore, clock: Clock) -> FlaskClient:
    return create_app(store, clock_ms=clock).test_client()


@pytest.fixture
def read(client: FlaskClient) -> Callable[..., dict[str, object]]:
    """GET a URL, check the status, and decode the JSON."""
    return lambda url, status=200: get_json(client, url, status)


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    yield from serve_broker()


@pytest.fixture(scope="module")
def module_broker() -> Iterator[FakeBroker]:
    yield from serve_broker()


def serve_broker() -> Iterator[FakeBroker]:
    broker = FakeBroker()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            broker.requests.append((self.path, headers, body))
            broker.before_answer()
            self.send_response(broker.status_of_get if self.command == "GET" else broker.status)
            self.send_header("content-type", broker.media_type)
            self.send_header("content-length", str(len(broker.body)))
            if 300 <= broker.status < 400:
                self.send_header("location", broker.url)
            self.end_headers()
            self.wfile.write(broker.body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    broker.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield broker
    server.shutdown()
    thread.join()
    server.server_close()
