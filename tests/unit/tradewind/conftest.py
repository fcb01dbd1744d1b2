"""Trades in a real store in a temporary folder; and the folder of a pipeline that seems to run."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.unit.tradewind.canned import Server, serving
from trades.stores.sqlite import SqliteStore
from trades.trade import Trade, TradeEvent
from tradewind.laptop.folder import DataFolder, Run

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


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def data(tmp_path: Path, server: Server) -> Iterator[str]:
    """The folder of a pipeline that runs, as far as other commands can see."""
    folder = DataFolder(tmp_path / "data")
    with folder.locked():
        ingress = server.url + "/tradewind/default"
        folder.write_run(Run(1, 1, str(folder.path), folder.store_url, server.url, server.url, ingress))
        yield str(folder.path)
