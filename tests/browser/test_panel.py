"""An opened symbol: trades, volume by price, price line, and whether they add up."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import Pipeline, Tab, wait

pytestmark = pytest.mark.browser


def open_symbol(page: Any, pipeline: Pipeline, ticker: str) -> Any:
    page.goto(f"{pipeline.url}/?q={ticker}&open={ticker}")
    panel = page.locator(f"[data-panel='{ticker}'] symbol-panel")
    panel.locator("trade-list tbody tr").first.wait_for()
    return panel


def test_trades_come_live_newest_first(page: Any, pipeline: Pipeline) -> None:
    ids = [pipeline.trade("ZQLIVE", f"10.0{place}", volume=100 + place) for place in range(3)]
    pipeline.until_traded("ZQLIVE", 3)
    panel = open_symbol(page, pipeline, "ZQLIVE")
    assert panel.locator("trade-list .id").all_inner_texts() == ids[::-1]
    newest = pipeline.trade("ZQLIVE", "11.5", volume=1_234)
    panel.locator("trade-list tbody tr").first.get_by_text(newest).wait_for()
    cells = panel.locator("trade-list tbody tr").first.locator("td").all_inner_texts()
    assert cells[1:] == ["11.5000", "1,234", newest]
    panel.get_by_text("4 trades add up to the aggregate").wait_for()


def hold_back(page: Any, ticker: str, choose: Callable[[list[Any]], list[Any]]) -> None:
    """The page gets only the trades that are chosen of each answer."""

    def answer(route: Any) -> None:
        fetched = route.fetch()
        told = json.loads(fetched.text())
        route.fulfill(response=fetched, json={**told, "trades": choose(told["trades"])})

    page.route(f"**/v1/tickers/{ticker}/trades?*", answer)


def test_a_trade_that_is_stored_after_it_was_counted_is_shown(page: Any, pipeline: Pipeline) -> None:
    now_ms = int(page.evaluate("Date.now()"))
    trade = {"ticker": "ZQTARDY", "price": "3.00"}
    pipeline.trades(
        [{**trade, "volume": 1 + place, "timestamp": now_ms - 300 + place} for place in range(250)]
    )
    pipeline.until_traded("ZQTARDY", 250)
    is_late = True
    hold_back(
        page, "ZQTARDY", lambda trades: [each for each in trades if each["volume"] < 250 or not is_late]
    )
    panel = open_symbol(page, pipeline, "ZQTARDY")
    newest = panel.locator("trade-list tbody td:nth-child(3)").first
    panel.locator(".badge[data-state=differs]").wait_for()
    assert newest.inner_text() == "249"
    is_late = False
    panel.get_by_text("250 trades add up to the aggregate").wait_for()
    panel.locator("trade-list tbody tr").first.get_by_text("250", exact=True).wait_for()


def test_trades_that_were_let_go_are_not_asked_for_without_end(tab: Tab, pipeline: Pipeline) -> None:
    page = tab.open()
    for place in range(5):
        pipeline.trade("ZQGONE", "4.00", volume=1 + place)
    pipeline.until_traded("ZQGONE", 5)
    hold_back(page, "ZQGONE", lambda trades: [each for each in trades if each["volume"] > 1])
    panel = open_symbol(page, pipeline, "ZQGONE")
    panel.get_by_text("4 of 5 trades stored: older ones may have been let go").wait_for()
    assert 1 < tab.asked("/ZQGONE/trades?limit=200") <= 7
    assert tab.asked("/ZQGONE/prices") == 1


def test_the_line_of_one_trade_says_so_and_tells_its_price_to_who_points_at_it(
    page: Any, pipeline: Pipeline
) -> None:
    pipeline.trade("ZQONE", "4.00")
    pipeline.until_traded("ZQONE", 1)
    line = open_symbol(page, pipeline, "ZQONE").locator("price-line")
    line.get_by_text("Price, the one trade").wait_for()
    line.locator("svg").hover()
    line.get_by_text("Price 4.0000 at").wait_for()
    pipeline.trade("ZQONE", "5.00")
    line.locator("svg[aria-label^='Prices of 2 trades']").wait_for()
    assert line.get_by_text(re.compile("^Price [45].0000 at")).is_visible(), "the pointer is still there"
    page.mouse.move(0, 0)
    line.get_by_text("Price, latest 2 trades").wait_for()


def test_many_prices_are_ranges_from_and_to(page: Any, pipeline: Pipeline) -> None:
    for cents in range(13):
        pipeline.trade("ZQRANGES", f"{10 + cents}.505", 100)
    pipeline.until_traded("ZQRANGES", 13)
    bars = open_symbol(page, pipeline, "ZQRANGES").locator("volume-bars")
    bars.get_by_text("Volume by price, 13 prices in 12 ranges").wait_for()
    assert bars.locator("tbody tr").last.inner_text().split("\t")[0] == "10.5050 \u2013 11.5050"


def test_bars_are_the_volume_by_price(page: Any, pipeline: Pipeline) -> None:
    for price, volume in [("5.00", 300), ("6.00", 100), ("5.00", 100)]:
        pipeline.trade("ZQBARS", price, volume)
    pipeline.until_traded("ZQBARS", 3)
    panel = open_symbol(page, pipeline, "ZQBARS")
    rows = panel.locator("volume-bars tbody tr")
    rows.first.wait_for()
    assert [text.split() for text in rows.all_inner_texts()] == [
        ["6.0000", "100", "1"],
        ["5.0000", "400", "2"],
    ]
    assert [bar.get_attribute("width") for bar in rows.locator("rect").all()] == ["25%", "100%"]
    panel.get_by_role("img", name="Prices of 3 trades, from 5.0000 to 6.0000").wait_for()


def test_older_trades_are_paged_and_left_alone_while_newer_come(page: Any, pipeline: Pipeline) -> None:
    now_ms = int(page.evaluate("Date.now()"))
    trade = {"ticker": "ZQPAGED", "price": "3.00"}
    pipeline.trades(
        [{**trade, "volume": 1 + place, "timestamp": now_ms - 300 + place} for place in range(250)]
    )
    pipeline.until_traded("ZQPAGED", 250)
    panel = open_symbol(page, pipeline, "ZQPAGED")
    quantities = panel.locator("trade-list tbody td:nth-child(3)")
    assert quantities.all_inner_texts() == [str(250 - place) for place in range(10)]
    panel.get_by_role("button", name="Older").click()
    assert quantities.all_inner_texts() == [str(240 - place) for place in range(10)]

    pipeline.trades([{**trade, "volume": 9_000, "timestamp": now_ms}])
    panel.get_by_text("12\u201321 of 251").wait_for()
    assert quantities.all_inner_texts() == [str(240 - place) for place in range(10)]
    for _ in range(25):
        if panel.get_by_role("button", name="Older").is_disabled():
            break
        before = panel.locator(".where").inner_text()
        panel.get_by_role("button", name="Older").click()
        wait(
            page, "(before) => document.querySelector('trade-list .where').textContent !== before", arg=before
        )
    assert quantities.last.inner_text() == "1"
    panel.get_by_role("button", name="Newest").click()
    assert quantities.first.inner_text() == "9,000"


def test_several_are_open_and_the_address_tells_which(page: Any, pipeline: Pipeline) -> None:
    page.goto(f"{pipeline.url}/?q=AA")
    first, second = page.locator(".row").nth(0), page.locator(".row").nth(1)
    names = [first.get_attribute("data-ticker"), second.get_attribute("data-ticker")]
    second.locator(".expander").click()
    first.click()
    wait(page, "document.querySelectorAll('symbol-panel').length === 2")
    assert page.evaluate("location.search").endswith(f"open={names[1]},{names[0]}")
    assert page.locator(".expander[aria-expanded=true]").count() == 2
    page.go_back()
    wait(page, "document.querySelectorAll('symbol-panel').length === 1")
    assert page.locator("[data-panel]").get_attribute("data-panel") == names[1]
    page.go_forward()
    wait(page, "document.querySelectorAll('symbol-panel').length === 2")


def test_what_is_open_keeps_its_place_on_the_screen(page: Any, pipeline: Pipeline) -> None:
    tickers = [f"ZQPLACE{place}" for place in range(40)]
    now_ms = int(page.evaluate("Date.now()"))
    trades = [{"ticker": ticker, "price": "1", "volume": 100, "timestamp": now_ms} for ticker in tickers]
    pipeline.trades(trades)
    pipeline.until(lambda: pipeline.read("/v1/tickers?q=ZQPLACE")["total"] == 40, "40 symbols")
    page.goto(f"{pipeline.url}/?q=ZQPLACE&sort=volume&order=asc&open=ZQPLACE20")
    panel = page.locator("symbol-panel")
    panel.get_by_text("1 trade add").wait_for()
    top = "document.querySelector('.row.open').getBoundingClientRect().top"
    before = page.evaluate(top)
    pipeline.trades([{**trade, "volume": 50} for trade in trades[:10]])
    wait(page, "document.querySelector('symbol-table').list[0].ticker === 'ZQPLACE10'")
    assert page.evaluate("document.querySelector('symbol-table').indexOf('ZQPLACE20')") == 10
    assert abs(page.evaluate(top) - before) < 2


def test_an_address_with_an_opened_symbol_scrolls_to_it(tab: Any) -> None:
    page = tab.open("/?open=MSFT")
    page.locator("[data-panel=MSFT] symbol-panel").wait_for()
    wait(page, "document.querySelector('[data-panel=MSFT]').getBoundingClientRect().top < 300")
