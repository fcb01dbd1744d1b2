"""How the page stays up to date: no more requests than it needs, and it comes back."""

from typing import Any

import pytest

from tests.browser.conftest import Pipeline, Tab, wait

pytestmark = pytest.mark.browser

HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_one_request_at_a_time_and_only_what_changed(tab: Tab) -> None:
    page = tab.page
    running: set[Any] = set()
    most = [0]

    def begin(request: Any) -> None:
        running.add(request)
        most[0] = max(most[0], len([one for one in running if "/v1/" in one.url]))

    page.on("request", begin)
    page.on("requestfinished", lambda request: running.discard(request))
    tab.open()
    sizes = []
    page.on("response", lambda answer: sizes.append(answer) if "changed_since" in answer.url else None)
    while len(sizes) < 3:
        page.wait_for_timeout(100)
    assert most == [1]
    assert all(len(answer.json()["tickers"]) < 100 for answer in sizes)
    assert all("changed_since=&" not in answer.url and not answer.url.endswith("=") for answer in sizes)


def test_a_hidden_page_asks_nothing_and_is_up_to_date_at_once_when_seen(tab: Tab, pipeline: Pipeline) -> None:
    page = tab.open("/?q=ZQHIDDEN")
    page.evaluate(HIDE, True)
    page.wait_for_timeout(1_500)  # what was under way ends
    asked = len(tab.requests)
    pipeline.trade("ZQHIDDEN", "1.00")
    page.wait_for_timeout(4_000)
    assert len(tab.requests) == asked
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
    tab.errors.clear()  # the browser itself reports requests that fail
    asked = tab.asked("changed_since")
    while tab.asked("changed_since") < asked + 2:
        page.wait_for_timeout(100)


def test_the_totals_are_those_of_the_api(page: Any, pipeline: Pipeline) -> None:
    totals = pipeline.read("/v1/totals")
    wait(
        page,
        "(count) => document.querySelector('[data-total=trades]').textContent.replaceAll(',', '') === count",
        str(totals["trades_counted"]),
    )
    assert page.locator("[data-total=symbols]").inner_text().replace(",", "") == str(totals["tickers"])
    assert page.locator("[data-total=word]").inner_text() == "live"
    assert "ago" in page.locator("[data-total=latest]").inner_text()
