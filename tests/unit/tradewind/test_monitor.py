"""What the supervisor makes of the broker's status."""

from typing import Any

import pytest

from tradewind.laptop.monitor import Monitor


def status(**retried: int) -> dict[str, Any]:
    triggers = [{"name": f"tradewind/{name}", "total": {"retried": count}} for name, count in retried.items()]
    return {"triggers": triggers}


async def test_retries_of_a_trigger_that_goes_stay_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those of this run, also where a trigger is detached or comes with a past of its own."""
    monitor = Monitor("http://query", "http://broker", [])
    answers = [
        status(old=100, gone=5),
        status(old=101, gone=8),
        status(old=101, new=40),
        status(old=101, new=41),
    ]

    async def answer(_url: str) -> dict[str, Any]:
        return answers.pop(0)

    monkeypatch.setattr(monitor, "_get_json", answer)
    seen = []
    while answers:
        await monitor._ask_broker()
        seen.append(monitor.retried)
    assert seen == [0, 4, 4, 5]
