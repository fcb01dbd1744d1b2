"""What the operations work with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from functions.query.outgoing import Broker
from functions.query.recent import Recent
from functions.query.table import TickerTable
from trades.listings import Listing
from trades.store import TradeStore


@dataclass(frozen=True)
class Services:
    """The store and what is kept in memory of it, the clock, and the broker, where there is one."""

    store: TradeStore
    table: TickerTable
    recent: Recent
    listings: Mapping[str, Listing]
    clock_ms: Callable[[], int]
    broker: Broker | None
    allowed_hosts: tuple[str, ...]
