"""Makes the attached functions that run those that should: the supervisor's side of `attachment`."""

import asyncio
from collections.abc import Callable, Collection

from tradewind.attached.attachment import Attachment, Attachments
from tradewind.laptop.folder import DataFolder
from tradewind.laptop.pipeline import Pipeline
from tradewind.laptop.program import PortBusy, Program, next_free

LOOK_INTERVAL_S = 0.25


class AttachedFunctions:
    """`settle()` before the pipeline starts, `keep()` as a task while it runs.

    The broker learns from a map file where they are, which it reads again when it changes: a Trigger names
    its function as on a cluster, and finds it in the next run on another port.
    """

    def __init__(
        self,
        folder: DataFolder,
        pipeline: Pipeline,
        make_program: Callable[[Attachment, int], Program],
        taken_ports: Collection[int],
        say: Callable[[str], None],
    ) -> None:
        self._attachments = Attachments(folder.attached)
        self._map_file = folder.attached_map
        self._pipeline = pipeline
        self._make_program = make_program
        self._taken_ports = set(taken_ports)
        self._say = say
        self._running: dict[str, Attachment] = {}
        # A port stays its function's, so that none gets what the broker still sends to another.
        self._ports: dict[str, int] = {}

    async def keep(self) -> None:
        """Look again and again, until cancelled. Trouble is told once, until it is another or over."""
        told = ""
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            trouble = ""
            try:
                await self.settle()
            except (OSError, PortBusy) as error:
                trouble = str(error)
            if trouble and trouble != told:
                self._say(f"what is attached could not be changed: {trouble}; it is tried again")
            told = trouble

    async def settle(self) -> None:
        """Start what is new, start anew what was asked for again, stop what is gone.

        What is done is noted step by step: what fails, as on a full disk, is done by the next look.
        """
        wanted = self._attachments.read()
        if wanted == self._running and self._map_file.exists():
            return
        programs = {name: self._make_program(each, self._port(name)) for name, each in wanted.items()}
        self._write_map(programs.values())
        for name, running in list(self._running.items()):
            if running != wanted.get(name):
                await self._pipeline.detach(name)
                del self._running[name]
        for name, wish in wanted.items():
            if name not in self._running:
                self._pipeline.attach(programs[name])
                self._running[name] = wish

    def _port(self, name: str) -> int:
        if name not in self._ports:
            self._ports[name] = next_free(self._taken_ports | set(self._ports.values()))
        return self._ports[name]

    def _write_map(self, programs: Collection[Program]) -> None:
        self._map_file.parent.mkdir(parents=True, exist_ok=True)
        new = self._map_file.with_suffix(".new")
        new.write_text("".join(f"{program.name}={program.url}\n" for program in programs))
        new.replace(self._map_file)
