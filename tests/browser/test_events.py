"""Raw events with their verdicts, the form that sends trades, and the dead letters."""

import json
import re
from typing import Any

import pytest

from tests.browser.conftest import Pipeline, Tab, until, wait
from tests.browser.test_feed import HIDE

pytestmark = pytest.mark.browser


def send(page: Any, kind: str) -> Any:
    """Choose, send, and wait until all is known."""
    page.get_by_role("radio", name=kind).check(force=True)
    button = page.get_by_role("button", name="Send", exact=True)
    button.click()
    wait(page, "document.querySelector('[data-part=send]').disabled === false")
    wait(page, "document.querySelector('.fate').dataset.state === 'done'")
    return page.locator(".fate").first


def verdicts(fate: Any) -> set[str]:
    return set(fate.locator(".verdict").all_inner_texts())


def fill(page: Any, ticker: str) -> None:
    page.get_by_label("Symbol", exact=True).fill(ticker)
    page.get_by_label("Price").fill("12.5")
    page.get_by_label("Quantity").fill("10")


def test_what_becomes_of_a_valid_a_duplicate_a_conflicting_and_a_broken_trade(
    tab: Tab, pipeline: Pipeline
) -> None:
    page = tab.open("/?view=events")
    fill(page, "ZQFORM")
    valid = send(page, "valid")
    assert "The broker answered 202" in valid.inner_text()
    assert {"store-trade STORED", "update-summary COUNTED"} <= verdicts(valid)

    duplicate = send(page, "duplicate")
    assert {"store-trade DUPLICATE", "update-summary DUPLICATE"} <= verdicts(duplicate)
    conflict = send(page, "conflicting")
    assert {"store-trade CONFLICT", "update-summary CONFLICT"} <= verdicts(conflict)
    broken = send(page, "broken")
    assert {"store-trade BAD_REQUEST", "update-summary BAD_REQUEST"} <= verdicts(broken)
    assert "price must be" in broken.inner_text()
    told = pipeline.read("/v1/tickers/ZQFORM")
    assert (told["trade_count"], told["volume"]) == (1, 10)

    broken.get_by_role("button", name="See it in the dead letters").click()
    letter = page.locator(".letter", has_text="ZQFORM 10 @ -1").first
    letter.wait_for()
    assert "HTTP 400" in letter.inner_text()
    wait(page, "Number(document.querySelector('[data-total=letters]').textContent) >= 4")


def test_a_duplicate_of_nothing_sends_its_original_first(tab: Tab) -> None:
    page = tab.open("/?view=events")
    fill(page, "ZQTWICE")
    send(page, "duplicate")
    assert [fate.get_attribute("data-kind") for fate in page.locator(".fate").all()] == ["duplicate", "valid"]


def test_what_could_not_be_sent_is_no_original(tab: Tab) -> None:
    page = tab.open("/?view=events")
    fill(page, "ZQUNSENT")
    refused = {"status": 503, "text": "not now"}

    def refuse(route: Any) -> None:
        if route.request.method == "POST":
            route.fulfill(json=refused)
        else:
            route.continue_()

    page.route("**/v1/events*", refuse)
    send(page, "valid").get_by_text("not sent").wait_for()
    send(page, "duplicate").get_by_text("not sent").wait_for()
    kinds = "[...document.querySelectorAll('.fate')].map((fate) => fate.dataset.kind)"
    assert page.evaluate(kinds) == ["valid", "valid"]
    page.unroute("**/v1/events*")
    assert {"store-trade DUPLICATE", "update-summary DUPLICATE"} <= verdicts(send(page, "duplicate"))
    assert page.evaluate(kinds) == ["duplicate", "valid", "valid", "valid"]


def test_a_broker_without_an_answer_may_have_the_event(tab: Tab) -> None:
    page = tab.open("/?view=events")
    fill(page, "ZQDOUBT")
    problem = {"status": 504, "json": {"detail": "it is in doubt"}}

    def doubt(route: Any) -> None:
        route.fulfill(**problem) if route.request.method == "POST" else route.continue_()

    page.route("**/v1/events*", doubt)
    fate = send(page, "valid")
    fate.get_by_text("it may have been taken all the same").wait_for()
    fate.get_by_text("it is in doubt").wait_for()
    page.unroute("**/v1/events*")
    assert all("504" in error for error in tab.errors)
    tab.errors.clear()


def test_each_command_has_an_id_of_its_own(tab: Tab) -> None:
    page = tab.open("/?view=events")
    command = page.locator("[data-part=curl]")
    page.get_by_text("The same with curl").click()
    shown = re.search(r'"id":"(page-[^"]+)"', command.inner_text())
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name=re.compile("Copied|Selected")).wait_for()
    copied = re.search(r'"id":"(page-[^"]+)"', command.inner_text())
    assert shown
    assert copied
    assert shown[1] != copied[1]


def test_verdicts_are_not_asked_for_while_nobody_looks(tab: Tab) -> None:
    page = tab.open("/?view=events")
    fill(page, "ZQUNSEEN")
    page.route("**/v1/events?source=*", lambda route: route.fulfill(json={"events": []}))
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("waiting for verdicts").wait_for()
    page.evaluate(HIDE, True)
    asked = tab.settle("/v1/events")
    assert page.locator(".fate").get_attribute("data-state") == "waiting"
    page.unroute("**/v1/events?source=*")
    page.evaluate(HIDE, False)
    page.locator(".fate").get_by_text("done").wait_for()
    assert tab.asked("/v1/events") > asked


def test_the_tail_shows_attributes_data_and_deliveries(tab: Tab, pipeline: Pipeline) -> None:
    page = tab.open("/?view=events")
    event_id = pipeline.trade("ZQTAIL", "7.25", volume=77)
    event = page.locator(".event", has_text=event_id)
    event.get_by_text("ZQTAIL 77 @ 7.25").wait_for()
    event.get_by_text("update-summary COUNTED").wait_for()
    event.locator("summary").click()
    event.get_by_text("Deliveries seen").wait_for()
    details = event.locator(".event-body").inner_text()
    for part in ["/tests/browser", event_id, "trade.executed.v1", '"volume": 77', "knativearrivaltime"]:
        assert part in details


def test_what_is_opened_stays_open_and_in_its_place_while_others_come(tab: Tab, pipeline: Pipeline) -> None:
    page = tab.open("/?view=events")
    opened_id = pipeline.trade("ZQREAD", "7.25")
    opened = page.locator(".event", has_text=opened_id)
    opened.get_by_text("update-summary COUNTED").wait_for()
    opened.locator("summary").click()
    opened.get_by_text("Deliveries seen").wait_for()
    place = (
        "(id) => [...document.querySelectorAll('.event .id')].findIndex((node) => node.textContent === id)"
    )
    before = page.evaluate(place, opened_id)
    for _ in range(3):
        newest = pipeline.trade("ZQLATER", "1")
    page.get_by_role("button", name="newer event").wait_for()
    pipeline.until_traded("ZQLATER", 3)
    asked = tab.asked("/v1/events")
    until(page, lambda: tab.asked("/v1/events") > asked + 1, "it was asked again")
    assert page.evaluate(place, opened_id) == before
    assert page.evaluate(place, newest) == -1

    page.get_by_role("button", name="newer event").click()
    page.locator(".event", has_text=newest).wait_for()
    assert page.evaluate(place, opened_id) == before + 3
    opened.get_by_text("Deliveries seen").wait_for()
    opened.locator("summary").click()
    last = pipeline.trade("ZQLATER", "1")
    page.locator(".event", has_text=last).wait_for()
    assert page.get_by_role("button", name="newer event").count() == 0


def test_filters_and_pause(tab: Tab, pipeline: Pipeline) -> None:
    page = tab.open("/?view=events")
    wanted, other = pipeline.trade("ZQWANTED", "1"), pipeline.trade("ZQOTHER", "1")
    page.locator(".event", has_text=other).wait_for()
    page.get_by_label("Filter the events").fill("zqwanted")
    page.locator(".event", has_text=wanted).wait_for()
    assert page.locator(".event", has_text=other).count() == 0
    assert page.evaluate("location.search") == "?view=events&find=zqwanted"

    page.get_by_label("Filter the events").fill("")
    page.get_by_label("Verdict").select_option("DUPLICATE")
    page.locator("events-view").get_by_text("loading").wait_for(state="hidden")
    assert page.locator(".event .verdict", has_text="STORED").count() == 0
    assert page.locator(".event", has_text=wanted).count() == 0
    page.get_by_label("Verdict").select_option("")
    page.locator(".event", has_text=wanted).wait_for()

    page.get_by_role("button", name="Pause").click()
    asked = tab.settle("/v1/events")
    while_paused = pipeline.trade("ZQPAUSED", "1")
    pipeline.until_traded("ZQPAUSED", 1)
    assert tab.settle("/v1/events") == asked
    page.get_by_role("button", name="Resume").click()
    page.locator(".event", has_text=while_paused).wait_for()

    page.get_by_role("button", name="Pause").click()
    page.get_by_label("Verdict").select_option("STORED")  # what was held still is not what is asked for now
    page.get_by_role("button", name="Pause", pressed=False).wait_for()
    page.locator(".event", has_text=while_paused).wait_for()


def test_a_dead_letter_tells_its_reason_and_can_be_sent_again(tab: Tab, pipeline: Pipeline) -> None:
    event_id = pipeline.send(
        "trade.executed.v1", {"ticker": "ZQLETTER", "price": 1, "volume": 0, "timestamp": 1}
    )

    def letters() -> list[dict[str, Any]]:
        found = pipeline.read("/v1/dead-letters?limit=100&replayed=true")["dead_letters"]
        return [letter for letter in found if letter["attributes"]["id"] == event_id]

    pipeline.until(lambda: len(letters()) == 2, "a dead letter of each function")
    page = tab.open("/?view=letters")
    letter = page.locator(".letter", has_text="ZQLETTER").first
    letter.get_by_text("volume must").wait_for()
    letter.get_by_text(re.compile("^(store-trade|update-summary) · HTTP 400$")).wait_for()
    letter.get_by_text("Event", exact=True).click()
    letter.get_by_text(event_id).first.wait_for()
    letter.get_by_role("button", name="Replay").click()
    # It is refused again within milliseconds, and then stands first: a busy machine may show that at once.
    said = re.compile("^Sent again: the broker answered 202|^It failed again, and waits again")
    page.locator(".letter", has_text="ZQLETTER").get_by_text(said).first.wait_for()


def test_all_dead_letters_are_within_reach(tab: Tab, pipeline: Pipeline) -> None:
    pipeline.send("trade.executed.v1", {"ticker": "ZQMANY", "price": 1, "volume": 0, "timestamp": 1})
    pipeline.until(lambda: pipeline.read("/v1/dead-letters?limit=1")["dead_letters"], "a dead letter")
    [letter] = pipeline.read("/v1/dead-letters?limit=1")["dead_letters"]
    many = [{**letter, "key": f"{number:032}"} for number in range(130)]

    def answer(route: Any) -> None:
        limit = int(re.findall(r"limit=(\d+)", route.request.url)[0])
        next_cursor = "older" if limit < len(many) else None
        route.fulfill(json={"dead_letters": many[:limit], "next_cursor": next_cursor})

    page = tab.open("/")
    page.route("**/v1/dead-letters?*", answer)
    page.get_by_role("link", name="Dead letters").click()
    page.get_by_text("the newest 100 waiting").wait_for()
    page.get_by_role("button", name="Show older ones").click()
    page.get_by_text("130 waiting").wait_for()
    assert page.locator(".letter").count() == 130
    assert page.get_by_role("button", name="Show older ones").is_hidden()


def test_a_dead_letter_that_was_sent_again_looks_so_until_it_is_back(tab: Tab, pipeline: Pipeline) -> None:
    event_id = pipeline.send(
        "trade.executed.v1", {"ticker": "ZQBACK", "price": 1, "volume": 0, "timestamp": 1}
    )
    pipeline.until(
        lambda: event_id in json.dumps(pipeline.read("/v1/dead-letters?limit=100")), "a dead letter"
    )
    page = tab.open("/?view=letters")
    letter = page.locator(".letter", has_text="ZQBACK").first
    letter.wait_for()
    others = pipeline.read("/v1/dead-letters?limit=100")["dead_letters"]
    mine = [each for each in others if each["attributes"]["id"] == event_id]
    told = {"dead_letters": [each for each in others if each not in mine]}
    page.route("**/v1/dead-letters?*", lambda route: route.fulfill(json=told))
    page.route("**/replay", lambda route: route.fulfill(json={"broker": {"status": 202, "text": ""}}))
    letter.get_by_role("button", name="Replay").click()
    page.locator(".letter[data-state=sent]").get_by_text("sent again", exact=True).wait_for()
    told["dead_letters"] = [{**each, "received": "2030-01-01T00:00:00.000Z"} for each in mine]
    page.locator(".letter[data-state=waiting]").get_by_text("It failed again").wait_for()
    assert page.locator(".letter[data-state=sent]").count() == 0


def test_a_view_that_is_not_shown_asks_nothing(tab: Tab) -> None:
    tab.open("/")
    assert tab.asked("/v1/events") == tab.asked("/v1/dead-letters") == 0
