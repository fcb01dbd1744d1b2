"""Trades in a real store in a temporary folder."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from trades.stores.sqlite import SqliteStore
from trades.trade import Trade, TradeEvent

Batch = Callable[..., TradeEvent]


def batch(id_: str, *trades: Trade, source: str = "/test") -> TradeEvent:
    return TradeEvent.of(source, id_, list(trades), is_batch=True)


@pytest.fixture
def make_batch() -> Batch:
    return batch


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def fill(store: SqliteStore) -> Callable[[Sequence[TradeEvent]], None]:
    """Store and count events."""

    def both(events: Sequence[TradeEvent]) -> None:
        store.store_trades(events)
        store.count_trades(events)

    return both
