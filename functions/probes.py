"""What a platform asks of a function beside events: is it alive, is it ready, how is it doing."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from functions.answer import RETRY_AFTER_S, problem
from functions.metrics import exposition

READY_FOR_S: Final = 1.0
PING_TIMEOUT_S: Final = 2.0


class Readiness:
    """Whether the store can serve, asked at most once a second, with at most one question under way."""

    def __init__(self, ping: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._ping = ping
        self._clock = clock
        self._reason = ""
        self._valid_until_s = float("-inf")
        self._asking: asyncio.Future[None] | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="ping")

    async def reason(self) -> str:
        """Why the function is not ready; empty when it is."""
        if self._clock() < self._valid_until_s:
            return self._reason
        if self._asking is None:
            loop = asyncio.get_running_loop()
            self._asking = loop.run_in_executor(self._executor, self._ping)
            self._asking.add_done_callback(self._answered)
        await asyncio.wait([self._asking], timeout=PING_TIMEOUT_S)
        return "the store does not answer" if self._asking is not None else self._reason

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _answered(self, asking: "asyncio.Future[None]") -> None:
        self._asking = None
        error = None if asking.cancelled() else asking.exception()
        self._reason = "" if error is None else str(error) or type(error).__name__
        self._valid_until_s = self._clock() + READY_FOR_S


class Probes:
    """Answers GET and HEAD: `/healthz`, `/readyz`, `/metrics`."""

    def __init__(self, readiness: Readiness | None) -> None:
        """`readiness` None: the function needs no store and is ready as soon as it is alive."""
        self._readiness = readiness

    async def answer(self, request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            match request.scope["path"]:
                case "/healthz":
                    return PlainTextResponse("ok\n")
                case "/readyz":
                    return await self._ready()
                case "/metrics":
                    return Response(exposition(), headers={"content-type": CONTENT_TYPE_LATEST})
        return problem(
            405, "send events by POST; GET has /healthz, /readyz and /metrics", {"allow": "POST, GET, HEAD"}
        )

    async def _ready(self) -> Response:
        reason = await self._readiness.reason() if self._readiness else ""
        if reason:
            return problem(503, reason, {"retry-after": str(RETRY_AFTER_S)})
        return PlainTextResponse("ok\n")
