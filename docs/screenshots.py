"""Makes the pictures of the page in docs/images: a pipeline of its own, a real Chromium, small PNGs.

    python docs/screenshots.py            needs Chromium (CHROMIUM, or on PATH), playwright and pillow

The page is open for a while before the first picture, so that there is something to see.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
DESKTOP = {"width": 1280, "height": 760}
MOBILE = {"width": 390, "height": 780}
WARM_UP_S = 90
SETTLE_MS = 350
MAX_BYTES = 300_000
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking")


def main() -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("there is no Chromium: install it (apt-get install chromium) or set CHROMIUM to its path")
    IMAGES.mkdir(exist_ok=True)
    with pipeline() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        page = browser.new_page(viewport=DESKTOP, color_scheme="light")
        page.goto(f"{url}/")
        page.locator(".row").first.wait_for()
        page.wait_for_timeout(WARM_UP_S * 1_000)
        take_all(page)
        browser.close()


def take_all(page: Page) -> None:
    """One visit of a user, with a picture of each stop."""
    page.locator(".row.rose").first.wait_for()
    save(page, "page-light")
    page.get_by_role("columnheader").get_by_role("button", name="Trades").click()
    page.locator(".row").nth(1).click()
    page.mouse.move(0, 0)
    page.locator(".badge[data-state=consistent]").wait_for()
    save(page, "drill-down")
    page.get_by_role("button", name="Dark theme").click()
    save(page, "drill-down-dark")
    page.locator(".row.open").click()
    page.get_by_role("columnheader").get_by_role("button", name="Volume").click()
    page.mouse.move(0, 0)
    page.locator(".row.rose, .row.fell").first.wait_for()
    save(page, "page-dark")
    page.get_by_role("button", name="Dark theme").click()

    page.get_by_role("link", name="Events").click()
    for kind in ("valid", "duplicate", "conflicting", "broken"):
        page.get_by_role("radio", name=kind).check(force=True)
        page.get_by_role("button", name="Send", exact=True).click()
        page.locator("[data-part=send]:enabled").wait_for()
    page.locator(".fate").first.get_by_text("done", exact=True).wait_for()
    page.get_by_role("button", name="Pause").click()
    save(page, "events")
    page.get_by_role("link", name="Dead letters").click()
    page.locator(".letter summary").first.click()
    save(page, "dead-letters")

    page.get_by_role("link", name="Symbols").click()
    page.set_viewport_size(MOBILE)
    page.locator(".row.rose, .row.fell").first.wait_for()
    save(page, "mobile")


def save(page: Page, name: str) -> None:
    """256 colours are enough for a page of text. What fades has come to rest."""
    page.wait_for_timeout(SETTLE_MS)
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    file = IMAGES / f"{name}.png"
    picture.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    size = file.stat().st_size
    print(f"{file.name:22} {size:>8,} bytes")
    if size > MAX_BYTES:
        sys.exit(f"{file} is larger than {MAX_BYTES:,} bytes")


@contextmanager
def pipeline() -> Iterator[str]:
    """`tradewind up` on a free port, in a folder that goes afterwards; its URL."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
        probe.close()
        command = (sys.executable, "-m", "tradewind.cli", "up", "--data", f"{folder}/data", "--port", port)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - ourselves
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_it_answers(f"{url}/v1/totals")
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def wait_until_it_answers(url: str, attempts: int = 120) -> None:
    for _ in range(attempts):
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - http, as made above
        except OSError:
            time.sleep(0.5)
        else:
            return
    sys.exit(f"{url} did not answer")


if __name__ == "__main__":
    main()
