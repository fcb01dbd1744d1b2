"""Pause, resume and stop."""

import asyncio

from generator.control import Control


async def test_what_is_due_is_not_waited_for():
    control = Control()
    assert await control.wait_until(control.now_s() - 1)
    assert await control.wait_until(control.now_s() + 0.01)


async def test_the_clock_stands_still_in_a_pause():
    control = Control()
    before = control.now_s()
    control.pause("signal")
    paused_at = control.now_s()
    await asyncio.sleep(0.05)
    assert control.now_s() == paused_at
    control.resume("signal")
    assert control.now_s() - before < 0.05


async def test_nothing_is_due_in_a_pause_until_every_reason_is_gone():
    control = Control()
    control.pause("signal")
    control.pause("file")
    waiting = asyncio.create_task(control.wait_until(control.now_s()))
    await asyncio.sleep(0.01)
    control.resume("signal")
    await asyncio.sleep(0.01)
    assert not waiting.done()
    control.resume("file")
    assert await waiting


async def test_pausing_twice_or_resuming_what_runs_changes_nothing():
    control = Control()
    control.resume("signal")
    control.pause("signal")
    control.pause("signal")
    control.resume("signal")
    assert not control.paused
    assert await control.wait_until(control.now_s())


async def test_stop_ends_every_wait():
    control = Control()
    control.pause("signal")
    waits = [asyncio.create_task(control.wait_until(due_s)) for due_s in (0.0, control.now_s() + 3600)]
    await asyncio.sleep(0.01)
    control.stop()
    assert await asyncio.gather(*waits) == [False, False]
    assert not control.hurry.is_set()
    control.stop()
    assert control.hurry.is_set()


async def test_a_file_pauses_while_it_is_there(tmp_path):
    control, path = Control(), tmp_path / "pause"
    path.touch()
    watching = asyncio.create_task(control.watch_file(path))
    await asyncio.sleep(0)
    assert control.paused
    path.unlink()
    assert await control.wait_until(control.now_s())
    watching.cancel()
