"""How a run ends."""

import io

from rich.console import Console

from trades.store import StoreUnavailable
from tradewind.exits import BROKEN
from tradewind.snapshot import Snapshot
from tradewind.supervise import report_without_store


def test_a_store_that_is_gone_at_the_end_leaves_what_the_processes_said() -> None:
    console = Console(file=io.StringIO(), width=80)
    last = Snapshot(elapsed_s=1.0, processes=(), sent=1_200, accepted=1_100)
    assert report_without_store(console, last, 3, StoreUnavailable("the disk is full")) == BROKEN
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1,200 trades sent, 1,100 accepted; 3 deliveries wait" in said
    assert "the disk is full" in said
