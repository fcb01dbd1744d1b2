"""Functions as a user would write them. Loaded by functions-framework."""

import time

from functions.event_function import BadEvent, CloudEvent, event_function, reply_to


@event_function
def size(event: CloudEvent) -> CloudEvent | None:
    trade = event.get_data()
    if trade["volume"] < 0:
        raise BadEvent("volume is negative")
    if trade["volume"] == 0:
        return None
    attributes = {"id": f"{event['id']}-size", "source": "/size", "type": "trade.classified.v1", "big": True}
    return CloudEvent(attributes, {"size": "WHALE" if trade["volume"] > 5000 else "MINNOW"})


@event_function
async def echo(event: CloudEvent) -> CloudEvent:
    reply = CloudEvent(dict(event.get_attributes()), event.get_data())
    if "time" not in event:
        del reply["time"]
    return reply


@event_function
def slow(event: CloudEvent) -> None:
    time.sleep(3600)


@event_function
def copies(event: CloudEvent) -> CloudEvent:
    """Puts what it was sent where it becomes a header of the answer."""
    sent = event.get_data()
    reply = reply_to(event, "copied", {}, source="/copies")
    reply["note"] = sent.get("value", "")
    reply["datacontenttype"] = sent.get("content_type", "application/json")
    if "name" in sent:
        reply[sent["name"]] = "x"
    return reply
