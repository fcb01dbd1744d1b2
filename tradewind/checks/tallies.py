"""The tallies of all raw trades: one pass over the trades, in bounded memory.

Tallies grow with every ticker and price. Whenever they are many, they are written to a temporary file, in
sections by the hash of the ticker, and begun anew. In the end each section is read, and its pieces added up.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from tempfile import TemporaryFile, gettempdir
from typing import IO

import msgspec

from trades.store import StoredTrade
from trades.summary import Tally, add_trade
from trades.verify import HASH_END, Part, hash_ticker, merge_part

MAX_LEVELS = 500_000  # price levels kept at a time: about 100 MB
SECTIONS = 64
_WIDTH = HASH_END // SECTIONS

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[tuple[str, Tally]]).decode


class NoRoom(Exception):
    """The temporary file could not be written. The message says what helps."""


def tally_all(trades: Iterable[StoredTrade], max_levels: int | None = None) -> Iterator[Part]:
    """Parts that cover each ticker once, in order of the hash. The first comes when all trades were read.

    Raises NoRoom.
    """
    max_levels = max_levels or MAX_LEVELS
    with closing(_Spill()) as spill:
        tallies: dict[str, Tally] = {}
        room = max_levels  # a trade makes one level at most
        for stored in trades:
            add_trade(tallies, stored.trade, stored.event_id, stored.place)
            room -= 1
            if not room:
                room = max_levels - sum(len(tally.levels) for tally in tallies.values())
                if room <= max_levels // 2:
                    spill.write(tallies)
                    tallies, room = {}, max_levels
        if spill.is_empty:
            yield Part(tallies, 0, HASH_END)
            return
        spill.write(tallies)
        tallies = {}
        for section in range(SECTIONS):
            start, end = section * _WIDTH, (section + 1) * _WIDTH
            while start < end:
                part = merge_part(spill.read(section), start, end, max_levels)
                yield part
                start = part.end


class _Spill:
    """Pieces of tallies in a file, and where in it each section has its own."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(SECTIONS)]

    @property
    def is_empty(self) -> bool:
        return self._file is None

    def write(self, tallies: dict[str, Tally]) -> None:
        sections: list[list[tuple[str, Tally]]] = [[] for _ in range(SECTIONS)]
        for ticker, tally in tallies.items():
            sections[hash_ticker(ticker) // _WIDTH].append((ticker, tally))
        try:
            file = self._file = self._file or TemporaryFile(prefix="tradewind-tallies-")  # noqa: SIM115
            for places, pieces in zip(self._places, sections, strict=True):
                if pieces:
                    data = _encode(pieces)
                    places.append((file.tell(), len(data)))
                    file.write(data)
            file.flush()
        except OSError as error:
            raise NoRoom(
                f"no room for what is added up meanwhile ({error.strerror}): make some in {gettempdir()}, "
                "or set TMPDIR to a folder that has it"
            ) from error

    def read(self, section: int) -> Iterator[tuple[str, Tally]]:
        assert self._file is not None
        for offset, size in self._places[section]:
            self._file.seek(offset)
            yield from _decode(self._file.read(size))

    def close(self) -> None:
        with suppress(OSError):  # there may be no room for the last of it
            if self._file is not None:
                self._file.close()
