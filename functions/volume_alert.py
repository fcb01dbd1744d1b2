"""Which symbol traded most in each five minutes? One event of type trade.volume-alert.v1 a window.

    tradewind attach functions/volume_alert.py --expression "type IN ('trade.executed.v1', 'trade.batch.v1')"

It has to remember, and does so in a SQLite file (`volume_windows`), in which an event counts once. That is
for one process on a disk that stays: on Knative give it a volume and `max-scale: "1"`. In a pod without
FUNCTION_DATA it fails, as a pod's own disk is gone when it scales to zero. (`trade_size` counts in the store,
with any number of pods. But a window is closed by one event, which has to see all of its volumes.)

| variable            | default | meaning                                                                   |
|---------------------|---------|---------------------------------------------------------------------------|
| `FUNCTION_DATA`     | `.`     | folder of the file; `tradewind attach` gives each function one of its own |
| `ALERT_WINDOW_S`    | 300     | length of a window                                                        |
| `ALERT_GRACE_S`     | 30      | trades of a window count until one this much past its end is there        |
| `ALERT_WEBHOOK_URL` |         | where each alert is posted, too: a CloudEvent, at least once              |

The table `alerts` of the file is the audit log: each alert once, with the event that brought it about.
"""

import logging
import os
import time
from datetime import UTC, datetime
from urllib.request import HTTPRedirectHandler, Request, build_opener

from eventing.codec import encode_binary
from functions.event_function import BadEvent, CloudEvent, event_function, from_cloud_event
from functions.once import Once
from functions.own_store import data_folder
from functions.read_trades import read_trades
from functions.volume_windows import Alert, VolumeWindows

MAX_AHEAD_MS = 60_000
WEBHOOK_TIMEOUT_S = 5.0

logger = logging.getLogger(__name__)


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None


_opener = build_opener(_NoRedirects)


@event_function
def volume_alert(event: CloudEvent) -> CloudEvent | None:
    trades = read_trades(event)
    if max(trade.time_ms for trade in trades.trades) > time.time() * 1000 + MAX_AHEAD_MS:
        raise BadEvent("timestamp lies ahead of the clock: it would close windows that have not begun")
    alert = windows().add(trades)
    if alert is None:
        return None
    reply = to_event(alert)
    logger.info("volume alert", extra={"id": reply["id"], "source": reply["source"]})
    post_to_webhook(reply)
    return reply


@Once
def windows() -> VolumeWindows:
    """Opened at the first event, by the process that uses it."""
    return VolumeWindows(
        data_folder() / "volume-alert.db",
        int(os.environ.get("ALERT_WINDOW_S", "300")) * 1000,
        int(os.environ.get("ALERT_GRACE_S", "30")) * 1000,
    )


def to_event(alert: Alert) -> CloudEvent:
    """The same event whenever it is made: its id is its window."""
    start, end = (_rfc3339(alert.start_ms + offset_ms) for offset_ms in (0, alert.length_ms))
    attributes = {
        "type": "trade.volume-alert.v1",
        "source": "/functions/volume-alert",
        "id": f"{start}/{end}",
        "subject": alert.ticker,
        "time": end,
    }
    return CloudEvent(attributes, {"from": start, "to": end, "ticker": alert.ticker, "volume": alert.volume})


def post_to_webhook(event: CloudEvent) -> None:
    """Raises OSError, after which the event is delivered, and so posted, again."""
    url = os.environ.get("ALERT_WEBHOOK_URL")
    if url:
        headers, body = encode_binary(from_cloud_event(event))
        # Where the operator says, and by no redirect to what only this process can reach.
        with _opener.open(Request(url, body, headers), timeout=WEBHOOK_TIMEOUT_S):  # noqa: S310
            pass


def _rfc3339(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
