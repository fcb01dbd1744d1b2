"""Tickers that would break a store which builds queries, keys or JSON from text."""

import pytest
from samples import NOON_MS, make_event, make_trades, tally_one

from trades.codec import TRADE_BATCH, decode_event, encode_batch
from trades.store import TradeStore
from trades.trade import Trade

HOSTILE = [
    "AACT-UN",
    "BRK.B",
    "A" * 32,
    "-",
    ".",
    "--",
    "-1",
    "0",
    "1e5",
    "null",
    "NULL",
    "true",
    "'",
    "''",
    '"',
    '""',
    "\\",
    '\\"',
    "%",
    "_",
    "%s",
    "{}",
    "{0}",
    "{rows}",
    "?",
    "?1",
    ":a",
    "';DROP_TABLE/**/summaries;--",
    "'OR'1'='1",
    "[[0,1]]",
    "],[",
    "$[0]",
    "A,B",
    "A/B",
    "A:B",
    "A#B",
    "A&B=C",
    "<script>",
    "\u00e9",
    "e\u0301",  # the same letter, in two code points
    "Ω",
    "株式",
    "😀",
    "ﬀ",
    "İ",
    "\U0001d538" * 32,  # 128 bytes
    "a",
    "A",
]


@pytest.mark.parametrize("ticker", HOSTILE)
def test_a_hostile_ticker_goes_in_and_comes_out(store: TradeStore, ticker: str) -> None:
    trades = [*make_trades(1, 20, [ticker]), Trade("PLAIN", 1, 1, NOON_MS)]
    event = make_event("e", trades)
    assert decode_event(TRADE_BATCH, "/test", "e", encode_batch(trades)) == event  # the codec lets it in
    assert store.store_trades([event]) == ["STORED"]
    assert store.count_trades([event]) == ["COUNTED"]
    tally = tally_one([event], ticker)
    assert store.read_summary(ticker) == tally.summary
    assert store.read_levels(ticker) == tally.levels
    assert store.read_level(ticker, trades[0].price_ticks) == tally.levels[trades[0].price_ticks]
    assert len(store.read_trades(ticker, 100).trades) == 20
    assert set(store.scan_tickers()) == {ticker, "PLAIN"}
    assert {stored.trade.ticker for stored in store.scan_trades()} == {ticker, "PLAIN"}
    assert store.read_changed_summaries(0).summaries[ticker] == tally.summary
    assert store.replace_tally(ticker, tally, None)
    assert set(store.scan_tickers()) == {"PLAIN"}


def test_all_hostile_tickers_together_are_kept_apart(store: TradeStore) -> None:
    event = make_event("e", make_trades(1, 1_000, HOSTILE))
    assert store.store_trades([event]) == ["STORED"]
    assert store.count_trades([event]) == ["COUNTED"]
    assert sorted(store.scan_tickers()) == sorted({trade.ticker for trade in event.trades})
    for ticker in {trade.ticker for trade in event.trades}:
        expected = sorted(trade for trade in event.trades if trade.ticker == ticker)
        assert sorted(stored.trade for stored in store.read_trades(ticker, 1_000).trades) == expected
        assert store.read_summary(ticker) == tally_one([event], ticker).summary


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "\n", "\x00", "a\x00b", "'", '"', "%2F", "é", "😀", "x" * 2_000]
)
def test_hostile_sources_and_ids(store: TradeStore, name: str) -> None:
    events = [
        make_event(name, make_trades(1, 3), source="/test"),
        make_event("id", make_trades(2, 3), source=name),
        make_event(name, make_trades(3, 3), source=name, is_batch=False),
    ]
    for event in events:
        assert store.store_trades([event]) == ["STORED"]
        assert store.store_trades([event]) == ["DUPLICATE"]
        assert store.count_trades([event]) == ["COUNTED"]
        assert store.count_trades([event]) == ["DUPLICATE"]
    found = {(stored.source, stored.event_id) for stored in store.scan_trades()}
    assert found == {(event.source, event.id) for event in events}
