"""What anybody can see and reach: names, contrast, focus, small screens."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import Pipeline, Tab, wait

pytestmark = pytest.mark.browser

VIEWS = ["/?q=asps&open=ASPS", "/?view=events", "/?view=letters", "/?q=nothing-is-like-this"]

# Texts whose contrast with what is behind them is below WCAG's AA: 4.5, or 3 for large text.
PALE = """() => {
  const parse = (color) => {
    const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const { rgb, a } = parse(getComputedStyle(at).backgroundColor);
      if (a === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let checked = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    if (node.closest(".unseen, :disabled, option")) continue;
    const style = getComputedStyle(node);
    const [light, dark] = [luminance(parse(style.color).rgb), luminance(behind(node))].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    checked += 1;
    if (contrast >= (isLarge ? 3 : 4.5)) continue;
    found.push([walker.currentNode.data.trim(), contrast.toFixed(2), node.className]);
  }
  return { found, checked };
}"""

# Controls that no screen reader could name.
NAMELESS = """() => [...document.querySelectorAll(
  "button, a[href], input, select, summary, [role=region], [role=img]")]
  .filter((node) => node.checkVisibility())
  .filter((node) => !(node.ariaLabel || node.labels?.length || node.textContent.trim() || node.title))
  .map((node) => node.outerHTML.slice(0, 100))"""


FOCUSED = "document.activeElement.textContent.trim() || document.activeElement.ariaLabel"


def wait_until_still(page: Any) -> None:
    """The view has come, and nothing is fading."""
    there = ".badge[data-state=consistent], .event, .letter, [data-state^=nothing]"
    wait(page, f"[...document.querySelectorAll('{there}')].some((node) => node.checkVisibility())")
    wait(page, "document.getAnimations().length === 0")


@pytest.fixture
def letter(pipeline: Pipeline) -> None:
    pipeline.send("trade.executed.v1", {"ticker": "ZQPALE", "price": "0", "volume": 1, "timestamp": 1})
    pipeline.until(lambda: pipeline.read("/v1/dead-letters")["dead_letters"], "a dead letter")


@pytest.mark.usefixtures("letter")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_all_text_has_contrast(new_tab: Callable[..., Tab], view: str, scheme: str) -> None:
    page = new_tab(color_scheme=scheme).open(view)
    wait_until_still(page)
    told = page.evaluate(PALE)
    assert told["found"] == []
    assert told["checked"] > 20


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("change", ["gain", "loss"])
@pytest.mark.parametrize("kind", ["rose", "fell"])
def test_a_flash_can_be_read(new_tab: Callable[..., Tab], scheme: str, kind: str, change: str) -> None:
    page = new_tab(color_scheme=scheme, reduced_motion="reduce").open("/")
    page.evaluate(
        "(names) => document.querySelectorAll('.row').forEach((row) => row.classList.add(...names))",
        [kind, change],
    )
    assert page.evaluate(PALE)["found"] == []


@pytest.mark.usefixtures("letter")
@pytest.mark.parametrize("view", VIEWS)
def test_everything_that_can_be_used_has_a_name(tab: Tab, view: str) -> None:
    page = tab.open(view)
    wait_until_still(page)
    assert page.evaluate(NAMELESS) == []
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.usefixtures("letter")
@pytest.mark.parametrize("view", VIEWS)
def test_390_pixels_are_enough(new_tab: Callable[..., Tab], view: str) -> None:
    page = new_tab(viewport={"width": 390, "height": 844}, has_touch=True).open(view)
    wait_until_still(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = """() => [...document.querySelectorAll("body *")]
      .filter((node) => node.checkVisibility() && !node.closest(".unseen, .skip, pre, svg, .scroll"))
      .filter((node) => node.getBoundingClientRect().right > 391)
      .map((node) => node.outerHTML.slice(0, 80))"""
    assert page.evaluate(wide) == []


def test_the_focus_goes_through_the_page_in_order_and_can_be_seen(page: Any) -> None:
    seen = []
    for _ in range(9):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(FOCUSED))
    assert seen[0] == "Skip to the content"
    assert seen[1:3] == ["Symbols", "Events"]
    assert "Search symbol or name" in seen
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_the_theme_can_be_chosen_and_is_remembered(tab: Tab) -> None:
    page = tab.open()
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    switch = page.get_by_role("button", name="Dark theme")
    switch.click()
    assert page.evaluate(ground) != light
    assert switch.get_attribute("aria-pressed") == "true"
    page.reload()
    assert page.evaluate(ground) != light
    switch.click()
    assert page.evaluate(ground) == light
