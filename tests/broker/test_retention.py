"""What is kept though it is delivered has a bound, however far a trigger lags behind."""

from pathlib import Path

import pytest

from eventing.broker import retention
from eventing.broker.log import Log
from eventing.broker.retention import Retention, Sweeper
from eventing.broker.schema import Counts, DeliveryRow, State
from eventing.event import Event

EVENT = Event({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}, b"x")
STUCK = range(1, 31)  # these are dead letters kept here, and stay


async def test_a_steady_lag_does_not_let_the_file_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP_EVENTS", 10)
    monkeypatch.setattr(retention, "LOOK_BACK_EVENTS", 50)
    log = Log(tmp_path / "broker.db")
    await log.open()
    sweeper, arriving, lag, done = Sweeper(log, Retention(max_events=20)), 100, 120, 0
    most = 0
    for _ in range(30):
        for _ in range(arriving):
            log.append("b", 0, 255, EVENT, [1])
        while done < log.next_seq - 1 - lag:
            done += 1
            state = State.KEPT if done in STUCK else State.DELIVERED
            log.settle(DeliveryRow(done, 1, state, 1, 0), Counts(0, 0, 0, 1))
        await log.synced()
        while await sweeper.sweep(0):
            pass
        while await sweeper.look_back():
            pass
        [(count,)] = await log.read("SELECT count(*) FROM events")
        most = max(most, count)
    rounds = (len(STUCK) + lag) // 50 + 2  # until a look has been at all that was passed over
    assert lag < most <= len(STUCK) + lag + rounds * arriving
    rest = await log.read("SELECT count(*), min(seq) FROM events WHERE seq <= ?", (STUCK[-1],))
    assert rest == [(len(STUCK), 1)]
    await log.close()
