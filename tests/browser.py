"""What a browser makes of a page: its console, its width, and a small grey picture of it."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

THUMBNAIL = 96
"""Pixels across: letters are grey by then, while sections, figures and tables still have their places."""


@dataclass(frozen=True)
class Seen:
    """A page at one width in one colour scheme."""

    console: list[str]
    requests: list[str]
    overflow: int
    """CSS pixels by which the page is wider than the window."""
    pixels: NDArray[Any]
    """(height, width), 0 to 255."""

    @property
    def thumbnail(self) -> NDArray[np.uint8]:
        height = round(self.pixels.shape[0] * THUMBNAIL / self.pixels.shape[1])
        small = Image.fromarray(self.pixels.astype(np.uint8)).resize((THUMBNAIL, height), Image.Resampling.BOX)
        return np.asarray(small)


@contextmanager
def chromium() -> Iterator[Any]:
    """Chromium; without it the test is skipped, in CI it fails."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None and os.environ.get("CI") not in ("1", "true"):
        pytest.skip("no chromium on this machine")
    assert found is not None, "CI needs chromium: apt-get install chromium"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def look(browser: Any, page: Path, width: int, scheme: str, folded: bool = True) -> Seen:
    """Open a page, without motion; `folded = False` opens all that is folded."""
    tab = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce", offline=True
    )
    console: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: console.append(message.text))
    tab.on("pageerror", lambda error: console.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(page.resolve().as_uri())
    if not folded:
        tab.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    overflow = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    shot = Image.open(io.BytesIO(tab.screenshot(full_page=True))).convert("L")
    tab.close()
    outside = [url for url in requests if not url.startswith(("file:", "data:"))]
    return Seen(console, outside, overflow, np.asarray(shot).astype(float))
