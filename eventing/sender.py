"""Sending events over HTTP: one attempt whose outcome is a value, or attempts until there is a verdict."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from eventing.client import Answer, Client
from eventing.codec import encode_batch, encode_binary
from eventing.credentials import Credentials
from eventing.delivery import Verdict, parse_retry_after
from eventing.event import Event

MAX_ANSWER_BYTES: Final = 64 * 1024


class Sender:
    """A client for events. Use it as an async context manager.

    With `credentials` it shows their token at each request, and trusts their certificates.
    """

    def __init__(
        self,
        *,
        timeout_ms: int = 30_000,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        credentials: Credentials | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._timeout_ms = timeout_ms
        self._max_answer_bytes = max_answer_bytes
        self._credentials = credentials
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        tls = self._credentials.tls if self._credentials else None
        self._client = Client(self._max_answer_bytes, tls=tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

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
        if self._client is None:
            raise RuntimeError("the Sender is not open: use it with `async with`")
        if self._credentials:
            headers = {**headers, **self._credentials.headers()}
        return await self._client.exchange(url, headers, body, timeout_ms=timeout_ms or self._timeout_ms)


def jitter_ms(attempt: int, backoff_ms: int, max_ms: int, rng: random.Random) -> int:
    """A random part of the exponential back-off before retry `attempt` (from 0), in milliseconds."""
    return rng.randint(0, min(backoff_ms << min(attempt, 32), max_ms))
