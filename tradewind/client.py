"""Short HTTP requests of the commands. Small on purpose: a client library would double a command's start."""

import ssl
from http.client import HTTPException, HTTPResponse, InvalidURL, responses
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import (
    HTTPErrorProcessor,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

import msgspec

TIMEOUT_S = 10.0
# Knative's Broker in memory answers when it has delivered or given up: after retries of 205 s, and as many to
# the dead-letter function. Who goes earlier ends them: the event is then neither delivered nor a dead letter.
BROKER_TIMEOUT_S = 600.0
MAX_REASON_LENGTH = 500


class Unreachable(Exception):
    """No answer, or none of ours; the message says from where and what to do."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    url: str = ""
    location: str = ""  # where a redirect leads; nobody went there

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object that all of our servers answer. Raises Unreachable where another one answers."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, Any])
        except (ValueError, RecursionError):
            raise self._of_another() from None

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The list of that name in the JSON object. Raises Unreachable where there is none."""
        try:
            return msgspec.convert(self.json.get(name), list[dict[str, Any]])
        except msgspec.ValidationError:
            raise self._of_another() from None

    def _of_another(self) -> Unreachable:
        return Unreachable(
            f"{self.url} answers {self.status}, but not as a part of Tradewind does: is the address right?"
        )

    @property
    def reason(self) -> str:
        """The detail of a problem (RFC 9457), or the text as it is. Not to be printed as it is."""
        if 300 <= self.status < 400 and self.location:
            return f"it leads to {self.location}, where nothing was sent: if that is right, give that address"
        try:
            text = str(self.json["detail"])
        except (Unreachable, KeyError):
            text = self.body.decode("utf-8", "replace").strip()
        if not text and self.status >= 300:
            return responses.get(self.status, "")
        return text[:MAX_REASON_LENGTH]


class _AnyStatus(HTTPErrorProcessor):
    """Any status is an answer; of a redirect as well, so that nobody else gets the event or the token."""

    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        return response

    https_response = http_response


def _make_opener(tls: ssl.SSLContext | None = None) -> OpenerDirector:
    return build_opener(ProxyHandler({}), _AnyStatus, HTTPSHandler(context=tls))


_opener = _make_opener()


def path(*parts: str) -> str:
    """`path("v1", "tickers", "BRK.B") == "/v1/tickers/BRK.B"`, with what must be escaped escaped."""
    return "".join("/" + quote(part, safe="") for part in parts)


def ask(
    url: str,
    *,
    query: dict[str, Any] | None = None,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    tls: ssl.SSLContext | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """One request; `query` without what is None. Any status is an answer. Raises Unreachable."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    full = f"{url}?{urlencode(given)}" if given else url
    try:
        _check_address(full)
        request = Request(full, body, headers or {}, method=method)  # noqa: S310 - checked just above
        opener = _make_opener(tls) if tls else _opener
        with opener.open(request, timeout=timeout_s) as answer:
            return Answer(answer.status, answer.read(), url, answer.headers.get("location", ""))
    except OSError as error:
        raise _unreachable(url, error, timeout_s) from error
    except (ValueError, InvalidURL) as error:
        raise Unreachable(f"{url} is no address of a server: {error}") from error
    except HTTPException as error:
        raise _unreachable(url, error, timeout_s) from error


def _check_address(url: str) -> None:
    """Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("it must begin with http://HOST or https://HOST")


def _unreachable(url: str, error: Exception, timeout_s: float) -> Unreachable:
    why = getattr(error, "reason", error)  # URLError wraps what happened
    if isinstance(why, TimeoutError):
        why = f"nothing for {timeout_s:g} s"
    return Unreachable(
        f"No answer from {url} ({why}). Does it run there? `tradewind up` starts a pipeline on this machine"
    )
