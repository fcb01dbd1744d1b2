"""Which symbols trade: the listings that come with the project, or a file as NASDAQ publishes it."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from trades.codec import MAX_TICKER_LENGTH
from trades.listings import load_listings

_TRAILER: Final = "File Creation Time"
_COLUMNS: Final = ("Symbol", "Test Issue", "Financial Status")
_NORMAL: Final = "N"
_SYMBOL: Final = re.compile(rf"[!-~]{{1,{MAX_TICKER_LENGTH}}}")


class BadSymbols(ValueError):
    """The symbols cannot be had; the message says why and what to do."""


def load_symbols(path: str = "", count: int = 0, *, any_status: bool = False) -> list[str]:
    """The first `count` symbols (0: all) of the file, or of NASDAQ's 4,064 listings. Raises BadSymbols."""
    if path:
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise BadSymbols(f"SYMBOLS_FILE cannot be read: {error}") from None
        symbols = read_nasdaq_listed(text.splitlines(), any_status=any_status)
    else:
        symbols = [listing.ticker for listing in load_listings().values() if listing.exchange == "NASDAQ"]
    if count > len(symbols):
        raise BadSymbols(f"there are only {len(symbols)} symbols: set SYMBOLS to at most so many")
    return symbols[: count or None]


def read_nasdaq_listed(lines: Iterable[str], *, any_status: bool = False) -> list[str]:
    """Symbols in the format of NASDAQ's `nasdaqlisted.txt`: a header, columns between pipes, a trailer line.

    Test issues are left out always; unless `any_status`, so are companies whose financial status is not N
    (normal): D deficient, E delinquent, Q bankrupt and their combinations. Raises BadSymbols.
    """
    rows = [line.rstrip("\r\n").split("|") for line in lines if line.strip()]
    header = [name.strip() for name in rows[0]] if rows else []
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise BadSymbols(
            f"the symbols file has no column {missing[0]!r} in its first line: "
            "use the format of nasdaqtrader.com's nasdaqlisted.txt"
        )
    symbol, test_issue, status = map(header.index, _COLUMNS)
    found: dict[str, None] = {}
    for number, row in enumerate(rows[1:], start=2):
        if row[0].startswith(_TRAILER):
            continue
        if len(row) != len(header) or not _SYMBOL.fullmatch(row[symbol]):
            raise BadSymbols(
                f"row {number} of the symbols file is not like the first: {'|'.join(row)[:80]!r}"
            )
        if row[test_issue] != "Y" and (any_status or row[status] == _NORMAL):
            found[row[symbol]] = None
    if not found:
        raise BadSymbols("the symbols file holds no symbol that may trade: see SYMBOLS_ANY_STATUS")
    return list(found)
