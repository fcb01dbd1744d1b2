"""What changes something is taken only from this site's own page, or from no page at all."""

import pytest
from flask.testing import FlaskClient

from eventing.hosts import is_host_allowed
from functions.query.app import create_app

EVENT = b'{"specversion":"1.0","id":"1","source":"/page","type":"trade.executed.v1","data":{}}'
STRUCTURED = "application/cloudevents+json"


@pytest.fixture
def guarded(store, broker) -> FlaskClient:
    return create_app(store, broker_url=broker.url, allowed_hosts=("page.example",)).test_client()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:8080"},
        {"Host": "localhost:8080", "Origin": "http://localhost:8080"},
        {"Host": "localhost:8080", "Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"},
        {"Host": "[::1]:8080"},
        {"Host": "page.example"},
        {"Host": "PAGE.example", "Origin": "https://page.example"},
    ],
)
def test_taken(guarded: FlaskClient, broker, headers: dict[str, str]) -> None:
    assert guarded.post("/v1/events", data=EVENT, content_type=STRUCTURED, headers=headers).status_code == 200
    assert len(broker.requests) == 1


@pytest.mark.parametrize("path", ["/v1/events", f"/v1/dead-letters/{'0' * 32}/replay"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "127.0.0.1:8080", "Origin": "http://evil.example"},
        {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:9090"},
        {"Host": "127.0.0.1:8080", "Origin": "null"},
        {"Host": "127.0.0.1:8080", "Origin": ""},
        {"Host": "127.0.0.1:8080", "Sec-Fetch-Site": "cross-site"},
        {"Host": "127.0.0.1:8080", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_refused(guarded: FlaskClient, broker, headers: dict[str, str], path: str) -> None:
    media_type = STRUCTURED if path == "/v1/events" else "application/json"
    answer = guarded.post(path, data=EVENT, content_type=media_type, headers=headers)
    assert answer.status_code == 403
    assert broker.requests == []


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
@pytest.mark.parametrize("path", ["/v1/events", f"/v1/dead-letters/{'0' * 32}/replay"])
def test_a_form_is_refused(guarded: FlaskClient, broker, media_type: str, path: str) -> None:
    assert guarded.post(path, data=EVENT, content_type=media_type).status_code == 415
    assert broker.requests == []


@pytest.mark.parametrize("host", ["", ":80", "[", "a b", "evil.example", "[::1", "127.0.0.1.", "localhost."])
def test_odd_hosts(host: str) -> None:
    assert not is_host_allowed(host, ())


def test_any_host() -> None:
    assert is_host_allowed("query.tradewind.example.com", ("*",))
