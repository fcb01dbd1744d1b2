"""Requests to the broker: few, short, with a limit on everything."""

from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from eventing.credentials import Credentials

MAX_ANSWER_BYTES = 1024 * 1024


class Unreachable(Exception):
    """No answer from the broker. It may have taken the event all the same: sending it again is safe."""


class Answer(NamedTuple):
    """What the broker said."""

    status: int
    media_type: str
    body: bytes


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None


class Broker:
    """The broker's ingress, and the local broker's status page where there is one."""

    def __init__(
        self,
        url: str,
        status_url: str | None = None,
        timeout_ms: int = 10_000,
        credentials: Credentials | None = None,
    ) -> None:
        for each in filter(None, (url, status_url)):
            if urlsplit(each).scheme not in {"http", "https"} or not urlsplit(each).hostname:
                raise ValueError(f"the broker's URL must start with http:// or https://, not {each!r}")
        self.url = url
        self.status_url = status_url
        self._timeout_s = timeout_ms / 1_000
        self._credentials = credentials
        tls = credentials.tls if credentials else None
        self._opener = build_opener(ProxyHandler({}), _NoRedirects, HTTPSHandler(context=tls))

    def send(self, headers: dict[str, str], body: bytes) -> Answer:
        """POST one event. Raises Unreachable."""
        identity = self._credentials.headers() if self._credentials else {}
        return self._ask(Request(self.url, body, headers | identity, method="POST"))  # noqa: S310 - checked in __init__

    def read_status(self) -> Answer | None:
        """The local broker's status as it gives it; None when there is none. Raises Unreachable."""
        return self._ask(Request(self.status_url)) if self.status_url else None  # noqa: S310

    def _ask(self, request: Request) -> Answer:
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return Answer(answer.status, answer.headers.get_content_type(), answer.read(MAX_ANSWER_BYTES))
        except HTTPError as error:
            with error:
                return Answer(error.code, error.headers.get_content_type(), error.read(MAX_ANSWER_BYTES))
        except (
            OSError,
            HTTPException,
            ValueError,
        ) as error:  # ValueError: a header that HTTP has no form for
            raise Unreachable(f"the broker at {request.host} gave no answer ({error})") from error
