"""For a function of your own: write a handler of CloudEvents, and the rest is as with the functions here.

    from functions.event_function import event_function

    @event_function
    def trade_size(event: CloudEvent) -> CloudEvent | None:
        ...

What it returns is published by the broker as an event; None says only that all is done. Raise `BadEvent`
for an event that can never be handled: it goes to the dead letters with your words. After any other
exception it is sent again. An event may come more than once: the same `source` and `id` should change
nothing the second time, and be answered by the same event: `reply_to` makes it so.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, wraps
from typing import Any, cast
from uuid import NAMESPACE_URL, uuid5

import functions_framework.aio
import msgspec
from cloudevents.http import CloudEvent
from starlette.requests import Request
from starlette.responses import Response

from eventing.attributes import check, is_json
from eventing.codec import BadEvent
from eventing.event import Event
from functions import compose
from functions.answer import Answer
from functions.door import Door, Handle

DONE = "DONE"
_THREADS = 8

Handler = Callable[[CloudEvent], CloudEvent | Awaitable[CloudEvent | None] | None]
HttpFunction = Callable[[Request], Awaitable[Response]]


def event_function(handler: Handler) -> HttpFunction:
    """A target for functions-framework out of a handler; one that is not `async` runs in a thread."""

    @cache  # made at the first request: after any fork
    def door() -> Door:
        return compose.own_function(handler.__name__, _to_handle(handler))

    @wraps(handler)
    async def target(request: Request) -> Response:
        return await door()(request)

    functions_framework.aio.http(target)  # registers the name; the function itself needs no wrapping
    return target


def _to_handle(handler: Handler) -> Handle:
    executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="handler")

    async def handle(event: Event) -> Answer:
        if inspect.iscoroutinefunction(handler):
            reply = await handler(to_cloud_event(event))
        else:
            reply = await _in_thread(executor, handler, event)
        return Answer(DONE) if reply is None else Answer(DONE, 200, reply=from_cloud_event(reply))

    return handle


async def _in_thread(executor: ThreadPoolExecutor, handler: Handler, event: Event) -> CloudEvent | None:
    """What is given up while all threads hang stays in the executor's queue, but not its event."""
    waiting = [event]

    def run() -> Any:
        return handler(to_cloud_event(waiting.pop()))

    try:
        return cast(CloudEvent | None, await asyncio.get_running_loop().run_in_executor(executor, run))
    finally:
        waiting.clear()


def reply_to(event: CloudEvent, type_: str, data: object, *, source: str) -> CloudEvent:
    """An event that answers this one, and is the same event when this one comes again.

    Its id is made from this one's source and id (neither can hold a line break); its subject, time and trace
    are this one's. A second kind of answer from one source needs ids of its own.
    """
    attributes = {name: event[name] for name in ("subject", "time", "traceparent") if name in event}
    id_ = str(uuid5(NAMESPACE_URL, f"{event['source']}\n{event['id']}"))
    reply = CloudEvent({**attributes, "id": id_, "source": source, "type": type_}, data)
    if "time" not in event:
        del reply["time"]  # the SDK puts the current time where there is none
    return reply


def to_cloud_event(event: Event) -> CloudEvent:
    """The SDK's event: JSON data as Python objects, other data as bytes. No attribute is made up.

    Raises BadEvent for JSON that Python has no value for, such as 1e400 or brackets a thousand deep.
    """
    content_type = event.attributes.get("datacontenttype")
    data: object = event.data
    if event.data is not None and content_type is not None and is_json(content_type):
        try:
            data = msgspec.json.decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadEvent(f"data can't be read: {error}") from None
    made = CloudEvent(dict(event.attributes), data)
    if "time" not in event.attributes:
        del made["time"]  # the SDK puts the current time where there is none
    return made


def from_cloud_event(event: CloudEvent) -> Event:
    """The event to reply with; data that is neither bytes nor text is sent as JSON.

    Raises ValueError for what no event may be: attributes become headers, whatever they were made of.
    """
    attributes = _texts(event.get_attributes())
    try:
        check(attributes)
    except BadEvent as error:
        raise ValueError(f"the function's answer is no event: {error}") from None
    data = event.get_data()
    if data is None or isinstance(data, bytes):
        return Event(attributes, data)
    if isinstance(data, str) and not is_json(attributes.get("datacontenttype", "text/plain")):
        attributes.setdefault("datacontenttype", "text/plain; charset=utf-8")
        return Event(attributes, data.encode())
    attributes.setdefault("datacontenttype", "application/json")
    return Event(attributes, msgspec.json.encode(data))


def _texts(attributes: Mapping[str, object]) -> dict[str, str]:
    """Attributes in the canonical strings of CloudEvents 1.0, section 3.1."""
    texts = {}
    for name, value in attributes.items():
        if isinstance(value, bool):
            texts[name] = "true" if value else "false"
        elif value is not None:
            texts[name] = str(value)
    return texts


__all__ = ["BadEvent", "CloudEvent", "event_function", "reply_to"]
