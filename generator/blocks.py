"""A file's rows cut into blocks, each the data of one event.

How they are cut depends on the size of the content and on nothing else, so that TRADES_PER_EVENT, the speed
or the place where an interrupted replay went on change no event. A row that cannot be read keeps its place.
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, Final, NamedTuple

import msgspec

from generator.rows import TradeFile, Wire
from trades.codec import TRADE_BATCH, TRADE_EXECUTED, BadTrade, decode_event
from trades.trade import Trade

MAX_ROWS: Final = 500
# A small file is cut finer, so that it flows in real time: about 300 blocks, until they are full at 8 MB.
BYTES_PER_ROW: Final = 16 * 1024
BAD_ROWS_LOGGED: Final = 100

logger = logging.getLogger(__name__)


class Block(NamedTuple):
    """The readable trades of one block of rows, and the same as data of a trade.batch.v1."""

    number: int
    trades: list[Trade]
    data: bytes


class BadRows:
    """Counts rows that cannot be read and says why: the first hundred in the log, all of them in `output`."""

    def __init__(self, output: IO[bytes] | None = None) -> None:
        self.count = 0
        self._output = output

    def add(self, line_number: int, reason: str) -> None:
        self.count += 1
        if self.count <= BAD_ROWS_LOGGED:
            logger.warning("row not readable, left out", extra={"line": line_number, "reason": reason})
        if self.count == BAD_ROWS_LOGGED:
            logger.warning("more such rows are counted, not logged: see --bad-rows")
        if self._output is not None:
            self._output.write(msgspec.json.encode({"line": line_number, "reason": reason}) + b"\n")


def rows_per_block(size_bytes: int) -> int:
    """Rows of a block. Part of the identity of trades that were sent long ago: never change it."""
    return min(max(size_bytes // BYTES_PER_ROW, 1), MAX_ROWS)


def cut_blocks(file: TradeFile, size: int, first: int, bad_rows: BadRows) -> Iterator[Block]:
    """The blocks of `size` rows from number `first` on; one without a readable row has no trades."""
    number = 0
    while block := list(islice(file.lines, size)):
        if number >= first:
            yield _read_block(number, block, file, bad_rows)
        number += 1


def _read_block(number: int, lines: list[tuple[int, bytes]], file: TradeFile, bad_rows: BadRows) -> Block:
    wires: list[Wire] = []
    line_numbers: list[int] = []
    for line_number, line in lines:
        try:
            wires.append(file.parse(line))
            line_numbers.append(line_number)
        except ValueError as error:
            bad_rows.add(line_number, str(error))
    try:
        return _to_block(number, wires)
    except BadTrade:
        return _to_block(number, _leave_out_bad(wires, line_numbers, bad_rows))


def _to_block(number: int, wires: Sequence[Wire]) -> Block:
    """Raises BadTrade when one of them is no trade."""
    if not wires:
        return Block(number, [], b"")
    data = msgspec.json.encode({"trades": wires})
    return Block(number, decode_event(TRADE_BATCH, "", "", data).trades, data)


def _leave_out_bad(wires: list[Wire], line_numbers: list[int], bad_rows: BadRows) -> list[Wire]:
    good = []
    for wire, line_number in zip(wires, line_numbers, strict=True):
        try:
            decode_event(TRADE_EXECUTED, "", "", msgspec.json.encode(wire))
            good.append(wire)
        except BadTrade as error:
            bad_rows.add(line_number, str(error))
    return good
