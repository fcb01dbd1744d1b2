"""The listed symbols and their companies' names: 7,331 US symbols, from the data file beside this module.

The file comes from sec-cik-mapper (MIT, see `trades/data/sec-cik-mapper.LICENSE.txt`), itself made from the
SEC's public company tickers.
"""

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Listing(NamedTuple):
    """A symbol as an exchange lists it."""

    ticker: str
    name: str
    exchange: str


@cache
def load_listings() -> dict[str, Listing]:
    """All listings by ticker, in alphabetical order."""
    text = files("trades").joinpath("data/us_symbols_sec.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {row["symbol"]: Listing(row["symbol"], row["name"], row["exchange"]) for row in rows}
