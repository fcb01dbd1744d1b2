"""The state of the page is in its address."""

from typing import Any

import pytest

from tests.browser.conftest import Tab, wait

pytestmark = pytest.mark.browser


def test_an_address_that_somebody_sent(tab: Tab) -> None:
    page = tab.open("/?q=inc&sort=volume&order=desc&rows=50&page=2")
    assert page.get_by_role("searchbox", name="Search symbol or name").input_value() == "inc"
    assert page.locator("th[aria-sort=descending]").inner_text().strip().startswith("Volume")
    assert page.get_by_label("Rows").input_value() == "50"
    assert page.locator("symbols-view > .toolbar .where").inner_text().startswith("2 of")


@pytest.mark.parametrize("search", ["?view=x&sort=x&order=x&rows=7&page=-3", "?open=,,,&page=x", "?q=%00%ff"])
def test_an_absurd_address_does_no_harm(tab: Tab, search: str) -> None:
    page = tab.open(f"/{search}")
    assert page.locator("symbols-view").is_visible()


def test_back_and_forward(page: Any) -> None:
    search = page.get_by_role("searchbox", name="Search symbol or name")
    search.press_sequentially("apple")
    assert page.evaluate("location.search") == "?q=apple"
    page.get_by_role("columnheader").get_by_role("button", name="Volume").click()
    page.get_by_role("link", name="Events").click()
    page.locator("events-view").wait_for()
    assert page.title().startswith("Events")
    page.go_back()
    page.locator("symbols-view").wait_for()
    page.go_back()
    wait(page, "!location.search.includes('sort')")
    assert search.input_value() == "apple"
    page.go_back()  # the whole word at once
    wait(page, "location.search === ''")
    assert search.input_value() == ""
    page.go_forward()
    wait(page, "location.search === '?q=apple'")
    assert search.input_value() == "apple"
