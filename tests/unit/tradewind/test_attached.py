"""The supervisor's side of `attach`: what is asked for runs in the end, whatever went wrong on the way."""

from pathlib import Path
from typing import Any

import pytest

from tradewind.attached.attachment import Attachment, Attachments
from tradewind.attached.keeper import AttachedFunctions
from tradewind.laptop.folder import DataFolder
from tradewind.laptop.program import Program


class Pipeline:
    """Notes what it is told to do."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def attach(self, program: Program) -> None:
        self.done.append(f"attach {program.name}")

    async def detach(self, name: str) -> None:
        self.done.append(f"detach {name}")


def make(tmp_path: Path, pipeline: Any) -> AttachedFunctions:
    def program(each: Attachment, port: int) -> Program:
        return Program(each.name, "functions", (), {}, f"http://127.0.0.1:{port}")

    return AttachedFunctions(DataFolder(tmp_path), pipeline, program, (), print)


async def test_each_change_is_made_once(tmp_path: Path) -> None:
    wishes, pipeline = Attachments(tmp_path / "attached"), Pipeline()
    attached = make(tmp_path, pipeline)
    wishes.write(Attachment("own", "/own.py", "own", 1))
    await attached.settle()
    await attached.settle()
    wishes.write(Attachment("own", "/own.py", "own", 2))  # asked for again
    await attached.settle()
    wishes.remove("own")
    await attached.settle()
    assert pipeline.done == ["attach own", "detach own", "attach own", "detach own"]


async def test_what_a_full_disk_held_up_is_done_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline()
    attached = make(tmp_path, pipeline)
    Attachments(tmp_path / "attached").write(Attachment("own", "/own.py", "own", 1))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            await attached.settle()
    await attached.settle()
    assert pipeline.done == ["attach own"]
    assert "own=http://127.0.0.1:" in (tmp_path / "broker" / "attached.map").read_text()


def full(*_: Any) -> None:
    raise OSError(28, "No space left on device")
