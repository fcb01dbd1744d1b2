"""Real processes, small ones: restart, stop, and no orphans."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tradewind.laptop.child import Child
from tradewind.laptop.folder import LogFile
from tradewind.laptop.leash import Leash
from tradewind.laptop.process import State
from tradewind.laptop.program import Program

PROGRAMS = {
    "sleeper": "import time; print('up', flush=True); time.sleep(600)",
    "stubborn": "import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(600)",
    "finite": "print('one', flush=True); print('two' * 100_000, flush=True); print('three', flush=True)",
    "broken": "import sys; print('what is wrong', file=sys.stderr); sys.exit(3)",
    "parent": "import os, time; pid = os.fork(); pid and os.write(1, b'%d\\n' % pid); time.sleep(600)",
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in PROGRAMS.items():
        (tmp_path / f"tw_{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.fixture
def leash() -> Iterator[Leash]:
    with Leash() as leash:
        yield leash


def make(name: str, tmp_path: Path, leash: Leash, lines: list[bytes]) -> Child:
    program = Program(name, f"tw_{name}", (), {}, may_finish=True, tells_progress=True)
    return Child(program, LogFile(tmp_path / "logs" / f"{name}.log"), leash, on_line=lines.append)


async def until(lines: list[bytes], count: int) -> None:
    async with asyncio.timeout(20):
        while len(lines) < count:  # noqa: ASYNC110 - it is another process that writes them
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def wait_until_gone(*pids: int) -> None:
    async with asyncio.timeout(20):
        while any(map(alive, pids)):  # noqa: ASYNC110 - nobody tells when a grandchild ends
            await asyncio.sleep(0.01)


async def test_one_that_is_killed_starts_again(tmp_path: Path, leash: Leash) -> None:
    lines: list[bytes] = []
    child = make("sleeper", tmp_path, leash, lines)
    task = asyncio.create_task(child.run())
    await until(lines, 1)
    first = child.process.pid
    os.kill(first, 9)
    await until(lines, 2)
    assert child.process.pid not in (0, first)
    assert child.process.restarts == 1
    await child.stop(5)
    await task
    assert child.process.state is State.STOPPED


async def test_one_that_will_not_stop_is_killed(tmp_path: Path, leash: Leash) -> None:
    lines: list[bytes] = []
    child = make("stubborn", tmp_path, leash, lines)
    task = asyncio.create_task(child.run())
    await until(lines, 1)
    await child.stop(0.1)
    await task
    assert child.process.state is State.STOPPED


async def test_one_that_will_not_stop_is_killed_as_soon_as_somebody_is_in_a_hurry(
    tmp_path: Path, leash: Leash
) -> None:
    lines: list[bytes] = []
    hurry = asyncio.Event()
    child = make("stubborn", tmp_path, leash, lines)
    task = asyncio.create_task(child.run())
    await until(lines, 1)
    stopping = asyncio.create_task(child.stop(600, hurry))
    await asyncio.sleep(0)
    hurry.set()
    async with asyncio.timeout(20):
        await stopping
        await task
    assert child.process.state is State.STOPPED


async def test_a_stop_while_it_is_being_started_ends_it(
    tmp_path: Path, leash: Leash, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel may take its time to fork; who asks to stop meanwhile must not be forgotten."""
    begun, go = asyncio.Event(), asyncio.Event()
    spawn = asyncio.create_subprocess_exec

    async def slow(*arguments: Any, **options: Any) -> Any:
        begun.set()
        await go.wait()
        return await spawn(*arguments, **options)

    monkeypatch.setattr("tradewind.laptop.child.asyncio.create_subprocess_exec", slow)
    child = make("sleeper", tmp_path, leash, [])
    task = asyncio.create_task(child.run())
    await begun.wait()
    await child.stop(20)
    go.set()
    async with asyncio.timeout(20):
        await task
    assert child.process.state is State.STOPPED


async def test_one_that_ends_has_finished_and_a_line_too_long_is_passed_over(
    tmp_path: Path, leash: Leash
) -> None:
    lines: list[bytes] = []
    child = make("finite", tmp_path, leash, lines)
    await child.run()
    assert child.process.state is State.FINISHED
    assert lines[0] == b"one\n"
    assert lines[-1] == b"three\n"


async def test_one_that_cannot_start_fails_with_its_last_lines(tmp_path: Path, leash: Leash) -> None:
    program = Program("broken", "tw_broken", (), {}, url="http://127.0.0.1:1")
    child = Child(program, LogFile(tmp_path / "broken.log"), leash)
    await child.run()
    assert child.process.state is State.FAILED
    assert child.log.tail() == ["what is wrong"]


async def test_what_a_killed_one_had_forked_goes_with_it(tmp_path: Path, leash: Leash) -> None:
    child = Child(Program("parent", "tw_parent", (), {}), LogFile(tmp_path / "parent.log"), leash)
    task = asyncio.create_task(child.run())
    async with asyncio.timeout(20):
        while not child.log.tail():  # noqa: ASYNC110 - it is another process that writes it
            await asyncio.sleep(0.01)
    forked = int(child.log.tail()[0])
    assert alive(forked)
    os.kill(child.process.pid, 9)
    await wait_until_gone(forked)
    await child.stop(5)
    await task


async def test_none_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    """The parent is a process of its own here, so that it can be killed with SIGKILL."""
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'tradewind.laptop.leash', 'tw_parent'],\n"
        "    stdin=subprocess.PIPE, start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert parent.stdout is not None
    with parent.stdout as output:
        pids = [int(output.readline()) for _ in range(2)]
        assert all(map(alive, pids))
        parent.kill()
        await wait_until_gone(*pids)
        parent.wait()
