"""How the page stays up to date: no more requests than it needs, and it comes back."""

from typing import Any

import pytest

from tests.browser.conftest import Pipeline, Tab, until, wait

pytestmark = pytest.mark.browser

HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_one_request_of_a_kind_at_a_time_and_only_what_changed(tab: Tab, pipeline: Pipeline) -> None:
    page = tab.open()
    asked = tab.asked("changed_since")
    until(page, lambda: tab.asked("changed_since") >= asked + 3, "three more requests")
    assert page.evaluate("most") == 1
    changes = [request for request in tab.requests if "changed_since" in request]
    assert [request for request in changes if request.endswith("changed_since=")] == changes[:1]
    cursor = changes[-1].partition("?")[2]
    assert len(pipeline.read(f"/v1/tickers?{cursor}")["tickers"]) < 100


def test_a_hidden_page_asks_nothing_and_is_up_to_date_at_once_when_seen(tab: Tab, pipeline: Pipeline) -> None:
    page = tab.open("/?q=ZQHIDDEN")
    page.evaluate(HIDE, True)
    asked = tab.settle("/v1/")
    pipeline.trade("ZQHIDDEN", "1.00")
    pipeline.until_traded("ZQHIDDEN", 1)
    assert tab.settle("/v1/") == asked
    page.evaluate(HIDE, False)
    page.locator(".row[data-ticker=ZQHIDDEN]").wait_for()


def test_it_comes_back_after_the_query_function_was_killed(tab: Tab, pipeline: Pipeline) -> None:
    page = tab.open("/?q=ZQKILLED")
    page.locator("[data-state=live]").wait_for()
    page.context.set_offline(True)
    page.locator("[data-state=reconnecting]").wait_for()
    pipeline.kill("query")
    page.context.set_offline(False)
    pipeline.trade("ZQKILLED", "1.00")
    page.locator(".row[data-ticker=ZQKILLED]").wait_for()
    page.locator("[data-state=live]").wait_for()
    asked = tab.asked("changed_since")
    until(page, lambda: tab.asked("changed_since") >= asked + 2, "it goes on")
    failed = [error for error in tab.errors if "ERR_INTERNET_DISCONNECTED" not in error]
    assert failed == []  # the browser itself reports requests that fail
    tab.errors.clear()


def test_the_totals_are_those_of_the_api(page: Any, pipeline: Pipeline) -> None:
    totals = pipeline.read("/v1/totals")
    wait(
        page,
        "(count) => document.querySelector('[data-total=trades]').textContent.replaceAll(',', '') === count",
        str(totals["trades_counted"]),
    )
    assert page.locator("[data-total=symbols]").inner_text().replace(",", "") == str(totals["tickers"])
    page.locator("[data-total=word]", has_text="live").wait_for()
    assert "ago" in page.locator("[data-total=latest]").inner_text()
