"""Replay of a file of trades. The same file sent twice counts once.

An event is known by its source and id, so both come from the file alone: `source` has the digest of its
content (unpacked, so that `x.csv` and `x.csv.gz` are one) and how its numbers are read as times, `id` is the
number of a block of rows (`blocks`).
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, NamedTuple

import uvloop

from eventing.event import Event
from generator.blocks import BadRows, Block, cut_blocks, rows_per_block
from generator.control import Control
from generator.events import attributes, rfc3339
from generator.files import fingerprint, open_file
from generator.position import Position
from generator.progress import Report, Show
from generator.rows import TimestampUnit, TradeFile
from generator.run import BrokenOff, transfer
from generator.send import Outgoing, Totals
from runtime.settings import GeneratorSettings
from trades.codec import TRADE_BATCH

LONG_WAIT_S: Final = 10.0

logger = logging.getLogger(__name__)


class ReplayOptions(NamedTuple):
    """What to replay, and how. Speed 0: flat out; 1: as it was; 60: a minute each second.

    `state_path`: a file that remembers how far an interrupted replay came. `bad_rows_path`: a file that gets
    the line number and reason of each row that cannot be read.
    """

    path: Path
    speed: float = 0.0
    timestamp_unit: TimestampUnit | None = None
    state_path: Path | None = None
    bad_rows_path: Path | None = None


class ReplayFeed:
    """The events of a file. At a speed, each is sent when the last of its trades is due."""

    asked_per_s = 0.0
    end = "replay ended"

    def __init__(
        self,
        file: TradeFile,
        blocks: Iterator[Block],
        common: dict[str, str],
        speed: float,
        control: Control,
        position: Position,
        bad_rows: BadRows,
    ) -> None:
        self._file, self._blocks, self._common = file, blocks, common
        self._speed, self._control = speed, control
        self._position, self._bad_rows = position, bad_rows
        self._start_s, self._start_fraction = control.now_s(), 0.0
        self._start_ms: int | None = None

    async def next(self) -> Outgoing | None:
        for block in self._blocks:
            if not block.trades:
                self._position.taken(block.number)
            elif await self._control.wait_until(self._due_s(block)):
                return Outgoing(self._event(block), len(block.trades))
            else:
                return None
        return None

    def settled(self, outgoing: Outgoing, *, is_taken: bool) -> None:
        number = int(outgoing.event.id)
        if is_taken:
            self._position.taken(number)
        else:
            self._position.refused(number)

    def report(self) -> Report:
        fraction = self._file.fraction
        report: dict[str, int | float] = {"fraction": round(fraction, 4), "bad_rows": self._bad_rows.count}
        done = fraction - self._start_fraction
        if done > 0:
            elapsed_s = self._control.now_s() - self._start_s
            report["eta_s"] = round(elapsed_s * (1 - fraction) / done, 1)
        return report

    def _due_s(self, block: Block) -> float:
        if self._start_ms is None:  # the first that is sent: after an interruption, not the file's first
            self._start_ms = block.trades[0].time_ms
            self._start_s, self._start_fraction = self._control.now_s(), self._file.fraction
        if not self._speed:
            return self._start_s
        due_s = self._start_s + (block.trades[-1].time_ms - self._start_ms) / 1000 / self._speed
        wait_s = due_s - self._control.now_s()
        if wait_s > LONG_WAIT_S:
            logger.info(
                "the next trades are due later",
                extra={"in_s": round(wait_s), "at_timestamp": block.trades[-1].time_ms},
            )
        return due_s

    def _event(self, block: Block) -> Event:
        own = {"id": str(block.number), "time": rfc3339(block.trades[-1].time_ms)}
        return Event({**self._common, **own}, block.data)


def name_source(digest: str, unit: TimestampUnit | None) -> str:
    """Part of the identity of trades that were sent long ago: never change it.

    Read as seconds, the same numbers are other trades; as milliseconds they are those of no unit.
    """
    is_other = unit not in (None, TimestampUnit.MS)
    return f"/tradewind/replay/{digest}" + (f"/{unit}" if is_other else "")


def replay(settings: GeneratorSettings, options: ReplayOptions, show: Show) -> Totals:
    """Send the trades of a file to K_SINK.

    Raises BadFile, BadCredentials and OSError before anything is sent, BrokenOff after that.
    """
    digest, size_bytes = fingerprint(options.path)
    source = name_source(digest, options.timestamp_unit)
    position = Position(options.state_path, source, settings.k_sink)
    control = Control()
    with ExitStack() as stack:
        file = TradeFile(stack.enter_context(open_file(options.path)), size_bytes, options.timestamp_unit)
        bad_rows = BadRows(_open_output(stack, options.bad_rows_path))
        blocks = cut_blocks(file, rows_per_block(size_bytes), position.blocks, bad_rows)
        common = attributes(source, TRADE_BATCH, settings.schema_base_url)
        feed = ReplayFeed(file, blocks, common, options.speed, control, position, bad_rows)
        logger.info("replay", extra={"source": source, "first_block": position.blocks})
        try:
            totals = uvloop.run(transfer(feed, settings, control, show))
        finally:
            _save_last(position)
    totals.bad_rows = bad_rows.count
    return totals


def _open_output(stack: ExitStack, path: Path | None) -> IO[bytes] | None:
    """Without a buffer: a full disk shows at the row that it has no room for, not after the end."""
    return stack.enter_context(path.open("wb", buffering=0)) if path else None


def _save_last(position: Position) -> None:
    try:
        position.save()
    except OSError as error:
        raise BrokenOff(
            f"how far it came is not in the state file, so that the next run sends this again: {error}"
        ) from None
