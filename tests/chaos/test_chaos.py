"""A few seconds of chaos, and that its account is no rubber stamp."""

from collections import Counter
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from tests.chaos.chaos import Chaos, Wishes
from tests.chaos.schedule import KILL_AGAIN_AFTER_S, PROCESSES, SERVER, Kind, make_schedule
from trades.trade import Trade, TradeEvent
from tradewind.laptop.folder import DataFolder
from tradewind.laptop.ledger import open_url


@pytest.mark.timeout(240)
async def test_a_short_run_adds_up_and_what_is_wrong_is_found(tmp_path: Path) -> None:
    data = tmp_path / "data"
    chaos = Chaos(Wishes(9, 10, trades_per_s=600, mean_pause_s=0.8, longest_stop_s=3), data, None)
    try:
        await chaos.run()
        await chaos.check()
    finally:
        chaos.pipeline.kill()
    account = chaos.account
    assert account.problems == []
    assert {kind for _, kind in account.faults} == set(Kind)
    assert account.trades > 1_000
    assert account.refused_events > 0

    trades = [Trade("CH.0", 10_000, 1, 1)]
    with closing(open_url(DataFolder(data).store_url)) as store:
        store.count_trades([TradeEvent.of("/chaos", "never-sent", trades, is_batch=False)])
    chaos.producer.accepted["lost"] = next(iter(chaos.producer.accepted.values()))
    await chaos.check()
    assert any("event lost was answered with 202" in problem for problem in account.problems)
    assert any("are counted" in problem for problem in account.problems)
    assert any("tradewind verify" in problem for problem in account.problems)


def test_a_seed_is_a_schedule_and_everybody_has_a_turn() -> None:
    victims = (*PROCESSES, SERVER)
    faults = list(islice(make_schedule(7, victims, 1.0, 5.0), 400))
    assert faults == list(islice(make_schedule(7, victims, 1.0, 5.0), 400))
    assert faults != list(islice(make_schedule(8, victims, 1.0, 5.0), 400))
    turns = Counter((fault.victim, fault.kind) for fault in faults[: 3 * len(victims) - 1])
    assert set(turns.values()) == {1}
    assert turns.keys() == {(v, k) for v in victims for k in Kind} - {(SERVER, Kind.KILL)}
    assert all(fault.for_s <= 5.0 for fault in faults)


def test_nobody_is_killed_so_often_that_the_supervisor_gives_it_up() -> None:
    killed_s: dict[str, float] = {}
    now_s = 0.0
    for fault in islice(make_schedule(3, PROCESSES, 0.1, 1.0), 1_000):
        now_s += fault.pause_s
        if fault.kind is Kind.KILL:
            assert now_s - killed_s.get(fault.victim, -60.0) >= KILL_AGAIN_AFTER_S - 1e-6
            killed_s[fault.victim] = now_s
