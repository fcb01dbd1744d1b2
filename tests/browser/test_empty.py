"""A pipeline in which nothing has happened yet: every view says what to do."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import WAIT_MS, Pipeline, running

pytestmark = pytest.mark.browser


@pytest.fixture
def quiet(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Pipeline]:
    with running(tmp_path_factory.mktemp("quiet")) as pipeline:
        yield pipeline


def test_the_command_that_it_shows_works(quiet: Pipeline, browser: Any) -> None:
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(quiet.url)
    page.get_by_role("heading", name="No trade has been counted yet").wait_for()
    command = page.locator("symbols-view pre").inner_text()
    assert command.startswith(f"curl {quiet.url}/v1/events")
    page.get_by_role("link", name="Dead letters").click()
    page.get_by_role("heading", name="No dead letter waits").wait_for()
    page.get_by_role("link", name="Events").click()
    page.get_by_role("heading", name="No event has been seen yet").wait_for()
    page.get_by_role("link", name="Symbols").click()

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert '"status":202' in done.stdout
    page.locator(".row[data-ticker=ASPS]").wait_for()
    page.close()
