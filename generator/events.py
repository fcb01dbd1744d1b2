"""Trades as CloudEvents: who says so, which number it has, and its data as JSON."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from eventing.event import Event
from generator.market import Row
from trades.codec import TRADE_BATCH, TRADE_EXECUTED
from trades.ticks import TICKS_PER_DOLLAR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The text between dollars and volume, by the price's last four digits: formatting them would double the cost.
_PLACES: Final = tuple(f'.{places:04d}","volume":' for places in range(TICKS_PER_DOLLAR))


class EventMaker:
    """Makes the events of one run: equal sources and ids are the same event (CloudEvents 1.0, section 3.1).

    The run's name is in `source`; ids are 0, 1, 2, … within it.
    """

    def __init__(
        self, run_id: str, tickers: Iterable[str], *, single: bool, schema_base_url: str = ""
    ) -> None:
        self.made = 0
        self._single = single
        self._heads = {
            ticker: f'{{"ticker":{msgspec.json.encode(ticker).decode()},"price":"' for ticker in tickers
        }
        self._attributes = attributes(
            f"/tradewind/generator/{run_id}", TRADE_EXECUTED if single else TRADE_BATCH, schema_base_url
        )

    def make(self, rows: Sequence[Row]) -> Event:
        """The next event. With `single` it is a trade.executed.v1 of one trade, else a trade.batch.v1."""
        added = {"id": str(self.made), "time": rfc3339(rows[-1][3])}
        self.made += 1
        if not self._single:
            return Event({**self._attributes, **added}, b'{"trades":[%b]}' % self._json(rows))
        [row] = rows
        return Event({**self._attributes, **added, "subject": row[0]}, self._json(rows))

    def _json(self, rows: Sequence[Row]) -> bytes:
        heads, places = self._heads, _PLACES
        return ",".join(
            [
                f"{heads[ticker]}{ticks // TICKS_PER_DOLLAR}{places[ticks % TICKS_PER_DOLLAR]}{volume}"
                f',"timestamp":{time_ms}}}'
                for ticker, ticks, volume, time_ms in rows
            ]
        ).encode()


def attributes(source: str, type_: str, schema_base_url: str) -> dict[str, str]:
    """The context attributes that all events of a source have in common."""
    common = {"specversion": "1.0", "source": source, "type": type_, "datacontenttype": "application/json"}
    if schema_base_url:
        common["dataschema"] = f"{schema_base_url.rstrip('/')}/{type_}"
    return common


def rfc3339(time_ms: int) -> str:
    """The time in UTC, to the millisecond: 2026-01-31T09:30:00.250Z."""
    time = _EPOCH + timedelta(milliseconds=time_ms)
    return time.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
