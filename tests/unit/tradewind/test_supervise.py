"""How a run begins and ends."""

import io

import pytest
from rich.console import Console

from trades.store import StoreUnavailable
from tradewind.exits import BROKEN
from tradewind.laptop import supervise
from tradewind.laptop.ledger import Ledger
from tradewind.laptop.snapshot import Snapshot
from tradewind.laptop.supervise import report_without_store


def test_a_store_that_is_gone_at_the_end_leaves_what_the_processes_said() -> None:
    console = Console(file=io.StringIO(), width=80)
    last = Snapshot(elapsed_s=1.0, processes=(), sent=1_200, accepted=1_100)
    assert report_without_store(console, last, 3, StoreUnavailable("the disk is full")) == BROKEN
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1,200 trades sent, 1,100 accepted; 3 deliveries wait" in said
    assert "the disk is full" in said


async def test_a_store_that_is_busy_for_a_moment_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[Ledger | Exception] = [StoreUnavailable("timeout"), StoreUnavailable("timeout"), Ledger(7)]

    def read(_url: str) -> Ledger:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(supervise, "read_ledger", read)
    monkeypatch.setattr(supervise, "LEDGER_PAUSE_S", 0)
    assert await supervise._read_ledger("sqlite:x") == Ledger(7)
    answers += [StoreUnavailable("down")] * supervise.LEDGER_TRIES
    with pytest.raises(StoreUnavailable, match="down"):
        await supervise._read_ledger("sqlite:x")
