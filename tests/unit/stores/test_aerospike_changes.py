"""The table of all summaries, on a cluster that answers from a script."""

from collections.abc import Iterator
from typing import Any

import pytest

from trades.store import StoreUnavailable
from trades.stores.aerospike import Cluster, ClusterOptions, Names
from trades.stores.aerospike.changes import ChangedTable
from trades.stores.aerospike.shards import Shards

BINS = {"count": 1, "volume": 1, "notional": 1, "highest": [1], "lowest": [1], "latest": [[1, "e", 1]]}
TICKERS = ["T0", "T1", "T2", "T3"]


class BreakingCluster(Cluster):
    """Its first query breaks off after two records."""

    def __init__(self) -> None:
        super().__init__(ClusterOptions((("nowhere", 3000),)))
        self._breaks = True

    def info(self, command: str) -> list[dict[str, str]]:
        return [{"current_time": "1000"}]

    def read(self, keys: Any, *bins: str) -> list[Any]:
        return [None for _ in keys]

    def query(self, *_: Any, **__: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        for number, ticker in enumerate(TICKERS):
            if number == 2 and self._breaks:
                self._breaks = False
                raise StoreUnavailable("the second page did not come")
            yield f"{ticker}-1", dict(BINS)


def test_what_a_broken_refresh_has_read_is_not_lost() -> None:
    cluster, names = BreakingCluster(), Names()
    table = ChangedTable(cluster, names, Shards(cluster, names))
    with pytest.raises(StoreUnavailable):
        table.read(0)
    assert sorted(table.read(0).summaries) == TICKERS
