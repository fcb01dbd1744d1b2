"""Problem details (RFC 9457): the one shape of every error answer."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

import msgspec
from flask import Response

MEDIA_TYPE = "application/problem+json"


class ProblemDetails(msgspec.Struct, rename={"type_": "type"}):
    """What went wrong, and what to do about it."""

    type_: Annotated[str, msgspec.Meta(description="always `about:blank`: the status says what kind it is")]
    title: Annotated[str, msgspec.Meta(description="the status in words")]
    status: Annotated[int, msgspec.Meta(ge=400, le=599, description="the HTTP status")]
    detail: Annotated[str, msgspec.Meta(description="what was wrong here, and what to do next")]


class Problem(Exception):
    """An answer that is an error. `detail` is for the caller to read."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}

    def to_response(self) -> Response:
        title = HTTPStatus(self.status).phrase
        body = msgspec.json.encode(ProblemDetails("about:blank", title, self.status, self.detail))
        return Response(body, self.status, dict(self.headers), content_type=MEDIA_TYPE)
