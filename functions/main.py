"""The targets, which functions-framework loads as module `main`: absolute imports, plain functions."""

from typing import TYPE_CHECKING

import functions_framework
import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions import compose

if TYPE_CHECKING:
    import flask


@functions_framework.aio.http
async def store_trade(request: Request) -> Response:
    return await compose.store_trade()(request)


@functions_framework.aio.http
async def update_summary(request: Request) -> Response:
    return await compose.update_summary()(request)


@functions_framework.aio.http
async def dead_letter(request: Request) -> Response:
    return await compose.dead_letter()(request)


@functions_framework.http
def query(_request: "flask.Request") -> "flask.Flask":
    return compose.query()  # Flask takes a WSGI application for an answer, and hands the request on
