"""Requests to the broker: few, short, with a limit on everything."""

from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from eventing.credentials import Credentials

TIMEOUT_S = 10.0  # a person waits; Knative's in-memory Broker may need minutes (knative/base/broker.yaml)
MAX_ANSWER_BYTES = 1024 * 1024


class Unreachable(Exception):
    """The broker could not be asked; it has no event of ours."""


class InDoubt(Unreachable):
    """It was asked and gave no answer. It may have the event all the same: sending it again is safe."""


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
        credentials: Credentials | None = None,
    ) -> None:
        for each in filter(None, (url, status_url)):
            if urlsplit(each).scheme not in {"http", "https"} or not urlsplit(each).hostname:
                raise ValueError(f"the broker's URL must start with http:// or https://, not {each!r}")
        self.url = url
        self.status_url = status_url
        self._credentials = credentials
        tls = credentials.tls if credentials else None
        self._opener = build_opener(ProxyHandler({}), _NoRedirects, HTTPSHandler(context=tls))

    def send(self, headers: dict[str, str], body: bytes) -> Answer:
        """POST one event. Raises InDoubt, Unreachable."""
        identity = self._credentials.headers() if self._credentials else {}
        return self._ask(Request(self.url, body, headers | identity, method="POST"))  # noqa: S310 - checked in __init__

    def read_status(self) -> Answer | None:
        """The local broker's status as it gives it; None when there is none. Raises Unreachable."""
        return self._ask(Request(self.status_url)) if self.status_url else None  # noqa: S310

    def _ask(self, request: Request) -> Answer:
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return Answer(answer.status, answer.headers.get_content_type(), answer.read(MAX_ANSWER_BYTES))
        except HTTPError as error:
            with error:
                return Answer(error.code, error.headers.get_content_type(), error.read(MAX_ANSWER_BYTES))
        except (URLError, ValueError) as error:  # ValueError: a header that HTTP has no form for
            why = error.reason if isinstance(error, URLError) else error
            raise Unreachable(f"the broker at {request.host} can't be asked ({why})") from error
        except TimeoutError as error:
            raise InDoubt(f"the broker at {request.host} gave no answer within {TIMEOUT_S:g} s") from error
        except (OSError, HTTPException) as error:
            raise InDoubt(f"the broker at {request.host} gave no answer ({error})") from error
