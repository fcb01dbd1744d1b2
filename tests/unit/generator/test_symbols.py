"""The universe: built-in listings, and a file in NASDAQ's format."""

import pytest

from generator.symbols import BadSymbols, load_symbols, read_nasdaq_listed
from trades.listings import load_listings

FILE = """\
Symbol|Security Name|Market Category|Test Issue|Financial Status|Round Lot Size|ETF|NextShares
AACT-UN|Ares Acquisition - Units|G|N|N|100|N|N
BKRPT|Bankrupt Inc. - Common Stock|S|N|Q|100|N|N
LATE|Late Filer Corp. - Common Stock|Q|N|E|100|N|N
MSFT|Microsoft Corporation - Common Stock|Q|N|N|100|N|N
ZVZZT|NASDAQ TEST STOCK|G|Y|N|100|N|N
File Creation Time: 1122202614:31|||||||
"""


def test_built_in_are_all_nasdaq_listings():
    symbols = load_symbols()
    assert len(symbols) == len(set(symbols)) == 4_064
    assert {load_listings()[symbol].exchange for symbol in symbols} == {"NASDAQ"}
    assert load_symbols(count=10) == symbols[:10]


def test_more_than_there_are_is_refused():
    with pytest.raises(BadSymbols, match="only 4064"):
        load_symbols(count=4_065)


def test_file_gives_what_trades_normally():
    assert read_nasdaq_listed(FILE.splitlines()) == ["AACT-UN", "MSFT"]


def test_any_status_takes_the_bankrupt_too_but_no_test_issue():
    assert read_nasdaq_listed(FILE.splitlines(), any_status=True) == ["AACT-UN", "BKRPT", "LATE", "MSFT"]


def test_file_with_windows_lines_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "nasdaqlisted.txt"
    path.write_bytes(b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode())
    assert load_symbols(str(path), 1) == ["AACT-UN"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column 'Symbol'"),
        ("Symbol|Test Issue\nA|N\n", "no column 'Financial Status'"),
        (FILE.splitlines()[0], "no symbol that may trade"),
        (FILE.replace("MSFT|", "MSFT"), "row 5 "),
        (FILE.replace("MSFT|", "MS FT|"), "row 5 "),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_reason(text, reason):
    with pytest.raises(BadSymbols, match=reason):
        read_nasdaq_listed(text.splitlines())


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadSymbols, match="cannot be read"):
        load_symbols(str(tmp_path / "none.txt"))
