"""Short HTTP requests of the commands. Small on purpose: a client library would double a command's start."""

import ssl
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import msgspec

TIMEOUT_S = 10.0

_opener = build_opener(ProxyHandler({}))


class Unreachable(Exception):
    """No answer; the message says from where and what to do."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def reason(self) -> str:
        """The detail of a problem (RFC 9457), or the text as it is."""
        try:
            return str(self.json["detail"])
        except (msgspec.MsgspecError, KeyError, TypeError):
            return self.body.decode("utf-8", "replace").strip()


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
    if urlsplit(full).scheme not in ("http", "https"):
        raise Unreachable(f"{url} is no address of a server: it must begin with http:// or https://")
    request = Request(full, body, headers or {}, method=method)  # noqa: S310 - checked just above
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=tls)) if tls else _opener
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return Answer(answer.status, answer.read())
    except HTTPError as error:
        with error:
            return Answer(error.code, error.read())
    except (OSError, HTTPException) as error:
        raise Unreachable(
            f"No answer from {url} ({error}). Is the pipeline running? `tradewind up`"
        ) from error
