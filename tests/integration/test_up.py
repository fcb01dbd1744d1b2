"""The whole pipeline as a user starts it: real processes, a real store, and some of them killed."""

import contextlib
import json
import os
import pty
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import Up, is_alive, run

Start = Callable[..., Up]
PROCESSES = ("store-trade", "update-summary", "dead-letter", "query", "broker", "generator")


def assert_adds_up(up: Up) -> None:
    assert "All adds up" in up.output, up.output
    totals = up.totals()
    assert totals["stored"] == totals["counted"] > 0
    assert totals["stored"] >= totals["accepted"] > 0
    assert totals["dead letters"] == 0
    verified = run("verify", "--json", data=up.data)
    assert verified.returncode == 0, verified.stdout
    report = json.loads(verified.stdout)
    assert report["differences"] == {}
    assert report["trades"] == totals["stored"]


def assert_ended_in_order(up: Up) -> None:
    """When nobody saw its totals."""
    assert "market closed" in (up.data / "logs" / "generator.log").read_text()
    verified = run("verify", "--json", data=up.data)
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["trades"] > 0


def read_on(terminal: int) -> bool:
    """What is there to be read, so that its writer never waits."""
    with contextlib.suppress(BlockingIOError):
        while os.read(terminal, 65_536):
            pass
    return True


@pytest.mark.timeout(180)
def test_a_short_run_from_nothing_and_another_on_top(start: Start) -> None:
    first = start("--for", "5s", "--fresh", "--rate", "400", "--seed", "7")
    assert first.process.wait(90) == 0, first.output
    lines = first.output.splitlines()
    assert lines[0].split()[-1] == f"http://127.0.0.1:{first.port}"
    assert lines[1].split()[-1].endswith("/tradewind/default")
    assert lines[2].split()[-1] == str(first.data)
    assert sum(" sent " in line and " counted " in line for line in lines) >= 2
    assert_adds_up(first)
    assert first.totals()["sent"] == first.totals()["accepted"] == first.totals()["stored"]
    assert not (first.data / "run.json").exists()
    stored = first.totals()["stored"]

    second = start("--for", "2s")
    assert second.process.wait(90) == 0, second.output
    assert_adds_up(second)
    totals = second.totals()
    assert totals["stored"] == stored + totals["accepted"]

    third = start("--for", "1s", "--fresh", "--no-generator")
    assert third.process.wait(90) == 0, third.output
    assert third.totals()["stored"] == 0


@pytest.mark.timeout(240)
def test_every_process_may_be_killed_and_no_trade_is_lost_or_counted_twice(start: Start) -> None:
    up = start("--fresh", "--rate", "600")
    up.until_counted()
    for name in PROCESSES:
        pid = up.pid(name)
        os.kill(pid, signal.SIGKILL)
        up.until(lambda name=name, pid=pid: up.pid(name) not in (0, pid), f"{name} runs again")  # type: ignore[misc]
        up.until_counted(300)
    verified = run("verify", "--json", data=up.data)  # while trades come in
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["not_judged"] == []
    assert up.stop() == 0, up.output
    for name in PROCESSES:
        assert f"{name} died (killed by SIGKILL)" in up.output
    assert_adds_up(up)


@pytest.mark.timeout(120)
def test_a_signal_stops_everything_in_order(start: Start) -> None:
    up = start("--fresh")
    up.until_counted()
    pids = [up.pid(name) for name in PROCESSES]
    assert up.stop(signal.SIGTERM) == 0, up.output
    assert not any(map(is_alive, pids))
    assert_adds_up(up)
    assert up.totals()["sent"] == up.totals()["accepted"] == up.totals()["stored"]


@pytest.mark.timeout(120)
def test_a_terminal_that_is_closed_stops_everything_in_order(start: Start) -> None:
    ours, its = pty.openpty()
    os.set_blocking(ours, False)
    up = start("--fresh", output=its)
    os.close(its)
    up.until(lambda: read_on(ours) and up.counted, "trades are counted")
    pids = [up.pid(name) for name in PROCESSES]
    os.close(ours)  # the kernel sends SIGHUP, and a shell sends another, which is no wish to hurry
    up.process.send_signal(signal.SIGHUP)
    assert up.process.wait(60) == 0
    assert not any(map(is_alive, pids))
    assert_ended_in_order(up)


@pytest.mark.timeout(120)
def test_a_reader_who_goes_away_ends_nothing(start: Start) -> None:
    """`tradewind up | head -1`"""
    reader, writer = os.pipe()
    up = start("--fresh", output=writer)
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    up.until_counted()
    up.until_counted(1_000)  # it has written since then
    assert up.stop() == 0
    assert_ended_in_order(up)


@pytest.mark.timeout(120)
def test_a_signal_while_it_starts_is_answered(start: Start) -> None:
    up = start("--fresh")
    up.until((up.data / "run.json").exists, "a process was started")
    pids = [process["pid"] for process in up.run["processes"].values()]
    assert up.stop() == 0, up.output
    assert "Stopping" in up.output
    assert not any(map(is_alive, filter(None, pids)))


@pytest.mark.timeout(120)
def test_nothing_outlives_a_supervisor_that_is_killed_and_the_next_run_goes_on(start: Start) -> None:
    up = start("--fresh")
    up.until_counted()
    pids = [up.pid(name) for name in PROCESSES]
    up.process.kill()
    up.process.wait()
    for pid in pids:
        _until_gone(pid)
    after = start("--for", "2s", "--port", str(up.port))
    assert after.process.wait(90) == 0, after.output
    assert_adds_up(after)


@pytest.mark.timeout(120)
def test_ports_that_are_taken(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        asked = run("up", "--for", "1s", "--port", str(port), data=tmp_path / "other")
        assert asked.returncode == 2
        assert f"port {port} (query) is taken" in asked.stderr


@pytest.mark.timeout(120)
def test_one_that_cannot_start_shows_why(tmp_path: Path) -> None:
    broken = tmp_path / "data" / "broker" / "events.db"
    broken.mkdir(parents=True)
    result = run("up", "--for", "1s", data=tmp_path / "data")
    assert result.returncode == 2
    assert "broker: failed" in result.stdout
    assert "events.db" in result.stdout


@pytest.mark.timeout(120)
def test_a_trade_of_ones_own_and_a_second_pipeline(start: Start) -> None:
    """In within a second; twice is once; a wrong one changes nothing and waits with its reason.

    Another `up` on the same folder is told so, and disturbs nothing.
    """
    up = start("--fresh", "--no-generator")
    up.until(lambda: "sent" in up.output, "everything is ready")

    def send(*arguments: str) -> dict[str, object]:
        result = run("send", *arguments, "--json", data=up.data)
        report: dict[str, object] = json.loads(result.stdout)
        return report | {"code": result.returncode}

    trade = ("ZZZ", "32.10", "100", "--id", "mine", "--time", "2026-01-31T09:30:00Z")
    first = send(*trade)
    assert (first["code"], first["verdicts"]) == (0, {"store_trade": "STORED", "update_summary": "COUNTED"})
    again = send(*trade, "--structured")
    assert (again["code"], again["verdicts"]) == (
        0,
        {"store_trade": "DUPLICATE", "update_summary": "DUPLICATE"},
    )
    assert again["ticker"] == first["ticker"]
    wrong = send("ZZZ", "0", "100", "--id", "wrong")
    assert wrong["code"] == 1
    assert "price must be greater than 0" in str(wrong["why"])
    assert wrong["ticker"] == first["ticker"]
    letters = json.loads(run("dlq", "list", "--json", data=up.data).stdout)
    assert [letter["attributes"]["id"] for letter in letters] == ["wrong", "wrong"]
    assert run("verify", data=up.data).returncode == 0

    second = run("up", "--for", "1s", data=up.data)
    assert second.returncode == 2
    assert f"process {up.process.pid}" in second.stderr
    assert "--data FOLDER" in second.stderr

    assert up.stop() == 0, up.output
    assert up.totals()["duplicates"] == 2
    assert up.totals()["dead letters"] == 2


def _until_gone(pid: int) -> None:
    deadline_s = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline_s, f"process {pid} outlived its supervisor"
        time.sleep(0.02)
