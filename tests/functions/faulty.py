"""The functions on a store whose troubles are files in a folder: `down` and `hold`."""

import os
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from functions import compose
from trades.store import Outcome, StoreUnavailable
from trades.stores.sqlite import SqliteStore
from trades.trade import TradeEvent

FAULTS = Path(os.environ["FAULTS"])


class FaultyStore(SqliteStore):
    """While `down` exists nothing works; while `hold` exists a write waits, and says so in `held`."""

    def ping(self) -> None:
        _check()
        super().ping()

    def store_trades(self, events: Sequence[TradeEvent]) -> list[Outcome]:
        _check()
        return super().store_trades(events)

    def count_trades(self, events: Sequence[TradeEvent]) -> list[Outcome]:
        _check()
        return super().count_trades(events)


def _check() -> None:
    if (FAULTS / "down").exists():
        raise StoreUnavailable("the test took the store down")
    while (FAULTS / "hold").exists():
        (FAULTS / "held").touch()
        time.sleep(0.005)


@cache
def _store() -> FaultyStore:
    return FaultyStore(Path(os.environ["STORE"].removeprefix("sqlite:")))


compose.store = _store  # type: ignore[assignment]

from functions.main import store_trade, update_summary  # noqa: E402

__all__ = ["store_trade", "update_summary"]
