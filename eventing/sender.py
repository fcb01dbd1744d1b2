"""Sending events over HTTP: one attempt whose outcome is a value, or attempts until there is a verdict."""

import asyncio
import io
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Final, Self

import aiohttp
from yarl import URL

from eventing.codec import BadEvent, decode, encode_batch, encode_binary
from eventing.credentials import Credentials
from eventing.delivery import Verdict, parse_retry_after, verdict
from eventing.event import Event

MAX_ANSWER_BYTES: Final = 64 * 1024
# Shorter than the 5 s after which common servers (uvicorn, Node) drop an idle connection: a POST that meets
# the close gets no answer, and cannot know whether it was heard.
KEEPALIVE_S: Final = 4.0
_LARGE_BYTES: Final = 1 << 20
_NOT_ADDED = ("Content-Type", "Accept", "Accept-Encoding", "User-Agent")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Status None: nothing did, and `error` says why. A body that is too long is cut."""

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""
    is_cut: bool = False

    def reply(self) -> Event | None:
        """The event in the answer, if it is one and whole; a batch is none."""
        if self.is_cut:
            return None
        try:
            [event] = decode(self.headers.items(), self.body, max_events=0)
        except BadEvent:
            return None
        return event

    def verdict(self) -> Verdict:
        """What the delivery table says about this answer."""
        return verdict(self.status, self.body, is_event=bool(self.body) and self.reply() is not None)


class Sender:
    """A client for events that keeps its connections. Use it as an async context manager.

    With `credentials` it shows their token at each request, and trusts their certificates.
    """

    def __init__(
        self,
        *,
        max_connections: int = 100,
        timeout_ms: int = 30_000,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        credentials: Credentials | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._timeout_ms = timeout_ms
        self._max_answer_bytes = max_answer_bytes
        self._credentials = credentials
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        tls = self._credentials.tls if self._credentials else None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._max_connections, keepalive_timeout=KEEPALIVE_S, ssl=tls or True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(
        self,
        url: str,
        event: Event,
        timeout_ms: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One attempt, in binary mode. Network trouble and timeouts are answers, never raised."""
        event_headers, body = encode_binary(event)
        if headers:
            event_headers.update(headers)
        return await self.exchange(url, event_headers, body, timeout_ms)

    async def send(
        self,
        url: str,
        events: Event | Sequence[Event],
        *,
        attempts: int = 10,
        deadline_ms: int | None = None,
        backoff_ms: int = 100,
        backoff_max_ms: int = 10_000,
        timeout_ms: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Attempts with the same event (binary) or events (one batch) until the verdict is not RETRY.

        Returns the last answer: after `attempts`, or when the next wait would end later than `deadline_ms`
        after the start. It waits for the answer's Retry-After and then a random part of `backoff_ms` x 2^n
        (full jitter: many senders do not come back together), each at most `backoff_max_ms`.
        """
        encoded, body = encode_binary(events) if isinstance(events, Event) else encode_batch(events)
        if headers:
            encoded.update(headers)
        started = time.monotonic()
        for attempt in range(attempts):
            answer = await self.exchange(url, encoded, body, timeout_ms)
            if answer.verdict() is not Verdict.RETRY or attempt == attempts - 1:
                break
            asked_ms = parse_retry_after(answer.headers.get("Retry-After"), time.time()) or 0
            wait_ms = min(asked_ms, backoff_max_ms)
            wait_ms += jitter_ms(attempt, backoff_ms, backoff_max_ms, self._rng)
            if deadline_ms is not None and (time.monotonic() - started) * 1000 + wait_ms > deadline_ms:
                break
            await asyncio.sleep(wait_ms / 1000)
        return answer

    async def exchange(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_ms: int | None = None
    ) -> Answer:
        """One POST of a message that is encoded already."""
        if self._session is None:
            raise RuntimeError("the Sender is not open: use it with `async with`")
        if self._credentials:
            headers = {**headers, **self._credentials.headers()}
        data = body if len(body) < _LARGE_BYTES else io.BytesIO(body)  # aiohttp writes a large one in pieces
        try:
            async with self._session.post(
                _url(url),
                data=data,
                headers=headers,
                allow_redirects=False,
                skip_auto_headers=_NOT_ADDED,
                timeout=_timeout(timeout_ms or self._timeout_ms),
            ) as response:
                body = await self._read(response)
                is_cut = len(body) > self._max_answer_bytes
                return Answer(
                    response.status, response.headers, body[: self._max_answer_bytes], is_cut=is_cut
                )
        except TimeoutError:
            return Answer(None, error=f"no answer within {timeout_ms or self._timeout_ms} ms")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(None, error=f"{type(error).__name__}: {error}")

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = b""
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._max_answer_bytes:
                response.close()  # the rest is not wanted, so the connection cannot be used again
                break
        return body


def jitter_ms(attempt: int, backoff_ms: int, max_ms: int, rng: random.Random) -> int:
    """A random part of the exponential back-off before retry `attempt` (from 0), in milliseconds."""
    return rng.randint(0, min(backoff_ms << min(attempt, 32), max_ms))


@lru_cache(maxsize=256)
def _url(url: str) -> URL:
    return URL(url)


@lru_cache(maxsize=256)
def _timeout(timeout_ms: int) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=timeout_ms / 1000)
