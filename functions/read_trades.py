"""The trades of an event, for a function of one's own that wants them checked."""

import msgspec

from functions.event_function import BadEvent, CloudEvent
from trades.codec import BadTrade, decode_event
from trades.trade import TradeEvent


def read_trades(event: CloudEvent) -> TradeEvent:
    """Of a `trade.executed.v1` or `trade.batch.v1`. Raises BadEvent for what is neither, with the reason."""
    data = msgspec.json.encode(event.get_data())
    try:
        return decode_event(event["type"], event["source"], event["id"], data)
    except BadTrade as error:
        raise BadEvent(str(error)) from None
