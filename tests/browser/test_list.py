"""The list: all symbols at once, live, sorted, searched, in pages, by keyboard."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import Pipeline, Tab, until, wait, wait_equal

pytestmark = pytest.mark.browser

SHOWN = "[...document.querySelectorAll('.row')].map((row) => row.dataset.ticker)"


def shown(page: Any) -> list[str]:
    tickers: list[str] = page.evaluate(SHOWN)
    return tickers


def wait_for_row(page: Any, ticker: str, price: str) -> None:
    page.locator(f".row[data-ticker='{ticker}'] .cell-price", has_text=price).wait_for()


def expected(pipeline: Pipeline, query: str) -> list[str]:
    return [row["ticker"] for row in pipeline.read(f"/v1/tickers?limit=15{query}")["tickers"]]


def test_all_symbols_are_there_and_only_those_in_sight_are_drawn(page: Any, symbols: list[str]) -> None:
    table = page.locator("table.symbols")
    rows = int(table.get_attribute("aria-rowcount"))
    assert rows > len(symbols)
    assert 20 < len(shown(page)) < 80
    assert shown(page)[0] == symbols[0]
    assert page.locator(".row").first.locator("th").get_attribute("scope") == "row"

    page.evaluate("document.querySelector('symbol-table').scrollTop = 1e9")
    page.locator(f".row[data-ticker='{symbols[-1]}']").wait_for()
    assert int(page.locator(".row").last.get_attribute("aria-rowindex")) == rows
    assert len(shown(page)) < 80


def test_names_and_numbers_are_those_of_the_api(page: Any, pipeline: Pipeline) -> None:
    page.goto(f"{pipeline.url}/?q=AAPL")
    row = page.locator(".row[data-ticker='AAPL']")
    row.wait_for()
    told = pipeline.read("/v1/tickers/AAPL")
    assert row.locator(".cell-name").inner_text() == told["name"] == "Apple Inc."
    assert row.locator(".cell-price").inner_text().replace(",", "") == told["price"]
    assert row.locator(".cell-volume").inner_text().replace(",", "") == str(told["volume"])
    assert float(row.locator(".cell-value").inner_text().replace(",", "")) == pytest.approx(
        float(told["value"]), abs=0.005
    )
    assert row.locator(".cell-change").inner_text() == "0.0000"


def test_only_a_price_that_changes_flashes(page: Any, pipeline: Pipeline) -> None:
    page.goto(f"{pipeline.url}/?q=ZQFLASH")
    wait(page, "document.querySelector('[data-part=count]').textContent.startsWith('0 of')")
    pipeline.trade("ZQFLASH", "10.00")
    wait_for_row(page, "ZQFLASH", "10.0000")
    pipeline.trade("ZQFLASH", "10.00", volume=7)
    page.locator(".cell-volume", has_text="107").wait_for()
    assert page.evaluate("flashes") == []

    pipeline.trade("ZQFLASH", "10.50")
    wait(page, "flashes.length > 0")
    wait_for_row(page, "ZQFLASH", "10.5000")
    assert page.evaluate("flashes") == [["ZQFLASH", "rose", "▲"]]
    assert page.locator(".cell-change").last.inner_text() == "+0.5000"
    assert page.locator(".cell-percent").last.inner_text() == "+5.00%"
    assert page.locator(".breadth").inner_text().split() == ["▲", "1", "up", "▼", "0", "down"]
    wait(page, "!document.querySelector('.rose')")
    assert page.locator(".arrow").inner_text() == ""

    pipeline.trade("ZQFLASH", "9.00")
    wait(page, "flashes.length > 1")
    assert page.evaluate("flashes") == [["ZQFLASH", "rose", "▲"], ["ZQFLASH", "fell", "▼"]]
    wait(page, "!document.querySelector('.fell')")


def test_nothing_flashes_when_the_page_opens(tab: Tab, pipeline: Pipeline) -> None:
    page = tab.open()
    asked = tab.asked("changed_since")
    until(page, lambda: tab.asked("changed_since") >= asked + 3, "three more requests")
    assert page.evaluate("flashes") == []


def test_nothing_flashes_for_who_wants_no_motion(new_tab: Callable[..., Tab], pipeline: Pipeline) -> None:
    pipeline.trade("ZQCALM", "10.00")
    pipeline.until(lambda: pipeline.read("/v1/tickers/ZQCALM"), "ZQCALM is counted")
    page = new_tab(reduced_motion="reduce").open("/?q=ZQCALM")
    wait_for_row(page, "ZQCALM", "10.0000")
    pipeline.trade("ZQCALM", "11.00")
    wait_for_row(page, "ZQCALM", "11.0000")
    assert page.evaluate("flashes") == []


@pytest.mark.parametrize(
    ("label", "column", "order"),
    [
        ("Symbol", "ticker", "desc"),
        ("Price", "price", "desc"),
        ("Volume", "volume", "desc"),
        ("Value $", "value", "desc"),
        ("Trades", "trade_count", "desc"),
        ("Last trade", "last_trade_time", "desc"),
    ],
)
def test_columns_sort_as_the_api_sorts(
    page: Any, pipeline: Pipeline, label: str, column: str, order: str
) -> None:
    button = page.get_by_role("columnheader").get_by_role("button", name=label, exact=True)
    button.click()
    wait(page, "document.querySelector('symbol-table').scrollTop === 0")
    wait_equal(page, lambda: shown(page)[:15], lambda: expected(pipeline, f"&sort={column}&order={order}"))
    heading = page.locator("th[aria-sort='descending']")
    assert label in heading.inner_text()
    button.click()
    wait_equal(page, lambda: shown(page)[:15], lambda: expected(pipeline, f"&sort={column}&order=asc"))


@pytest.mark.parametrize("text", ["apple", "AA", "inc.", "asps", "  ", "no such symbol"])
def test_search_finds_what_the_api_finds(page: Any, pipeline: Pipeline, text: str) -> None:
    page.get_by_role("searchbox", name="Search symbol or name").fill(text)
    query = f"&q={text.strip().replace(' ', '%20')}"
    wait_equal(page, lambda: shown(page)[:15], lambda: expected(pipeline, query))
    if not shown(page):
        page.get_by_text("No symbol or name contains").wait_for()
        page.get_by_role("button", name="Clear the search").click()
        wait_equal(page, lambda: shown(page)[:15], lambda: expected(pipeline, ""))


def test_pages(page: Any, pipeline: Pipeline) -> None:
    page.get_by_label("Rows").select_option("25")
    assert shown(page) == [row["ticker"] for row in pipeline.read("/v1/tickers?limit=25")["tickers"]]
    page.get_by_role("button", name="Next page").click()
    second = [row["ticker"] for row in pipeline.read("/v1/tickers?limit=25&offset=25")["tickers"]]
    assert shown(page) == second
    assert page.locator(".row").first.get_attribute("aria-rowindex") == "27"
    page.get_by_role("button", name="Page before").click()
    page.get_by_label("Rows").select_option("all")
    assert len(shown(page)) > 25


def test_keyboard(page: Any, symbols: list[str]) -> None:
    focused = "document.activeElement.closest('.row')?.dataset.ticker"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.type("AA")
    first = shown(page)
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == first[0]
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == first[1]
    page.keyboard.press("Enter")
    page.locator(f"[data-panel='{first[1]}'] symbol-panel").wait_for()
    assert page.evaluate("location.search").endswith(f"open={first[1]}")
    page.keyboard.press("Escape")
    assert page.locator("symbol-panel").count() == 0
    assert page.evaluate(focused) == first[1]

    page.keyboard.press("/")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    last = page.evaluate("document.querySelector('symbol-table').list.at(-1).ticker")
    assert page.evaluate(focused) == last
    page.keyboard.press("PageUp")
    page.keyboard.press("Home")
    assert page.evaluate(focused) == page.evaluate("document.querySelector('symbol-table').list[0].ticker")


def test_page_after_page_by_keyboard(page: Any) -> None:
    """The focus goes on to rows that are not drawn yet, and the list scrolls with it."""
    focused = "document.activeElement.closest('.row')?.dataset.ticker"
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    step = page.evaluate("document.querySelector('symbol-table').capacity")
    for press, key in [*enumerate(["PageDown"] * 5, 1), (4, "PageUp"), (3, "PageUp")]:
        page.keyboard.press(key)
        page.evaluate(FRAMES)
        assert page.evaluate(f"document.querySelector('symbol-table').indexOf({focused})") == press * step
        box = page.evaluate("document.activeElement.closest('.row').getBoundingClientRect().toJSON()")
        table = page.evaluate("document.querySelector('symbol-table').getBoundingClientRect().toJSON()")
        assert table["top"] <= box["top"]
        assert box["bottom"] <= table["bottom"] + 1


FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def test_text_that_is_marked_elsewhere_does_not_keep_a_row_shut(page: Any) -> None:
    page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
    page.locator(".row .expander").first.press("Enter")
    page.locator("symbol-panel").wait_for()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.row.open .cell-name'))")
    page.locator(".row.open .cell-price").dispatch_event("click")
    assert page.locator("symbol-panel").count() == 1


def test_the_focus_stays_on_its_symbol_while_the_order_changes(page: Any, pipeline: Pipeline) -> None:
    for place in range(3):
        pipeline.trade(f"ZQORDER{place}", "10.00", volume=10 - place)
    page.goto(f"{pipeline.url}/?q=ZQORDER&sort=volume&order=desc")
    wait(page, "document.querySelectorAll('.row').length === 3")
    page.get_by_role("button", name="ZQORDER2: trades and prices").focus()
    pipeline.trade("ZQORDER2", "10.00", volume=100)
    wait(page, f"{SHOWN}[0] === 'ZQORDER2'")
    assert page.evaluate("document.activeElement.closest('.row')?.dataset.ticker") == "ZQORDER2"


def test_what_others_send_is_text_and_never_markup(page: Any, pipeline: Pipeline) -> None:
    ticker = "<img/src=x>&amp;"
    pipeline.trade(ticker, "1.00")
    page.goto(f"{pipeline.url}/?q=%3Cimg")
    page.locator(".ticker", has_text=ticker).wait_for()
    page.locator(".row").first.click()
    page.locator("trade-list tbody tr").wait_for()
    assert page.locator("main img").count() == 0
