"""Rows of a file of trades: CSV with a header, or NDJSON. A row is a line.

Only shape is judged here; what a trade may hold is for `trades.codec` to say.
"""

import csv
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import StrEnum
from itertools import chain
from typing import IO, Final

import msgspec

from generator.files import BadFile

MAX_LINE_BYTES: Final = 64 * 1024
# Numbers outside are not milliseconds of the years 1973 to 5138, but seconds, microseconds or nanoseconds.
PLAUSIBLE_MS: Final = range(10**11, 10**14)

Wire = dict[str, str | int]  # a trade as `trades.codec` reads it

_COLUMNS: Final = (("ticker", "symbol"), ("price",), ("volume", "quantity", "size"), ("timestamp", "time"))
_WHOLE: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_DECIMAL: Final = re.compile(r"[0-9]{1,20}\.[0-9]{0,12}", re.ASCII)


class TimestampUnit(StrEnum):
    """What a timestamp that is a number counts since 1970."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"


_TO_MS: Final = {  # times the first, divided by the second
    None: (1, 1),
    TimestampUnit.S: (1_000, 1),
    TimestampUnit.MS: (1, 1),
    TimestampUnit.US: (1, 1_000),
    TimestampUnit.NS: (1, 1_000_000),
}


class _JsonRow(msgspec.Struct):
    ticker: str = ""
    symbol: str = ""
    price: msgspec.Raw = msgspec.Raw()
    volume: msgspec.Raw = msgspec.Raw()
    quantity: msgspec.Raw = msgspec.Raw()
    size: msgspec.Raw = msgspec.Raw()
    timestamp: msgspec.Raw = msgspec.Raw()
    time: msgspec.Raw = msgspec.Raw()


_json_row = msgspec.json.Decoder(_JsonRow)


class TradeFile:
    """The rows of a file, one pass. Reads its header when it is made. Raises BadFile.

    `lines` gives the line number (from 1) and the bytes of each row; a blank line is none. `parse` makes a
    trade of those bytes, or raises ValueError with the reason.
    """

    def __init__(self, content: IO[bytes], size_bytes: int, unit: TimestampUnit | None = None) -> None:
        self.read_bytes = 0
        self.lines = self._read_lines()
        self._content = content
        self._size_bytes = size_bytes
        self._unit = unit
        number, line = next(self.lines, (1, b""))
        line = line.removeprefix(b"\xef\xbb\xbf")
        self.parse: Callable[[bytes], Wire]
        if line.startswith(b"{"):
            self.parse = self._parse_json
            self.lines = chain([(number, line)], self.lines)
        else:
            self.parse = self._parse_csv
            self._delimiter, self._width, self._places = _read_header(line)

    @property
    def fraction(self) -> float:
        """How much of the file was read: 0 to 1."""
        return min(self.read_bytes / self._size_bytes, 1.0)

    def _read_lines(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        # What was added to the file after its digest was taken is not part of it.
        while self.read_bytes < self._size_bytes and (line := self._content.readline(MAX_LINE_BYTES + 1)):
            number += 1
            self.read_bytes += len(line)
            rest = line
            while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
                rest = self._content.readline(MAX_LINE_BYTES + 1)
                self.read_bytes += len(rest)
            if not line.isspace():
                yield number, line

    def _parse_csv(self, line: bytes) -> Wire:
        _check_length(line)
        text = line.decode().rstrip("\r\n")
        cells = text.split(self._delimiter) if '"' not in text else _split_quoted(text, self._delimiter)
        if len(cells) != self._width:
            raise ValueError(f"{len(cells)} columns, where the header has {self._width}")
        ticker, price, volume, timestamp = self._places
        return self._wire(cells[ticker], cells[price], cells[volume], cells[timestamp])

    def _parse_json(self, line: bytes) -> Wire:
        _check_length(line)
        try:
            row = _json_row.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"not a JSON object with the fields of a trade: {error}") from None
        volume, timestamp = row.volume or row.quantity or row.size, row.timestamp or row.time
        return self._wire(row.ticker or row.symbol, _text(row.price), _text(volume), _text(timestamp))

    def _wire(self, ticker: str, price: str, volume: str, timestamp: str) -> Wire:
        volume = volume.strip()
        if not _WHOLE.fullmatch(volume):
            raise ValueError(f"volume must be a whole number, not {volume[:20]!r}")
        return {
            "ticker": ticker.strip(),
            "price": price.strip(),
            "volume": int(volume),
            "timestamp": self._time(timestamp.strip()),
        }

    def _time(self, text: str) -> str | int:
        """Milliseconds where the timestamp is a number; else its text, which should be RFC 3339."""
        number: int | Decimal
        if _WHOLE.fullmatch(text):
            number = int(text)
        elif _DECIMAL.fullmatch(text):
            number = Decimal(text)
        else:
            return text
        times, divided_by = _TO_MS[self._unit]
        time_ms = int(number * times // divided_by)
        if self._unit is None and time_ms not in PLAUSIBLE_MS:
            raise ValueError(f"timestamp {text[:30]} is hardly in ms: say what it is with --timestamp-unit")
        return time_ms


def _read_header(line: bytes) -> tuple[str, int, list[int]]:
    """The delimiter, the number of columns, and where ticker, price, volume and timestamp stand."""
    text = line.decode("utf-8", "replace")
    missing: tuple[str, ...] = _COLUMNS[0]
    for delimiter in ",;\t|":
        names = [name.strip(' "\r\n').lower() for name in text.split(delimiter)]
        found = [next((names.index(name) for name in column if name in names), None) for column in _COLUMNS]
        places = [place for place in found if place is not None]
        if len(places) == len(_COLUMNS):
            return delimiter, len(names), places
        if places:
            missing = _COLUMNS[found.index(None)]
    raise BadFile(
        f"the first line names no column {' or '.join(missing)}: a CSV file starts with a header "
        "such as ticker,price,volume,timestamp, and a line of NDJSON with a brace"
    )


def _split_quoted(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from None


def _text(raw: msgspec.Raw) -> str:
    """A JSON number or string as text. What needs an escape in a string is no number or time anyway."""
    return bytes(raw).decode().strip('"')


def _check_length(line: bytes) -> None:
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES} bytes")
