"""One suite for every store: each test runs once a store, on data of its own.

`store` is a store that is open; `open_store()` opens the same data again, as another worker or after a
restart; `new_place()` gives data of another test. To run on another store, add it to `places.py` and here.
"""

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trades.store import TradeStore
from trades.stores.sqlite import levels, raw_trades

sys.path.append(str(Path(__file__).parent))  # for places and samples, which worker.py imports as well

from places import forget_place, open_place

STORES = ["sqlite", "sqlite-small", pytest.param("aerospike", marks=pytest.mark.aerospike)]


@pytest.fixture(params=STORES)
def new_place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], str]]:
    """Makes the name of a place that holds nothing yet.

    `sqlite-small` is SQLite with so little room for what is new that most of a test's data goes into runs.
    """
    root = f"sqlite:{tmp_path}/"
    if request.param == "sqlite-small":
        monkeypatch.setattr(raw_trades, "MAX_WAITING_TRADES", 10)
        monkeypatch.setattr(levels, "MAX_YOUNG_LEVELS", 10)
    if request.param == "aerospike":
        root = f"aerospike:{request.getfixturevalue('aerospike_server')}:"
    made = []

    def make() -> str:
        made.append(f"{root}{uuid.uuid4().hex[:10]}")
        return made[-1]

    yield make
    for place in made:
        forget_place(place)


@pytest.fixture
def place(new_place: Callable[[], str]) -> str:
    return new_place()


@pytest.fixture
def open_store(place: str) -> Iterator[Callable[[], TradeStore]]:
    opened: list[TradeStore] = []

    def open_one() -> TradeStore:
        opened.append(open_place(place))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], TradeStore]) -> TradeStore:
    return open_store()
