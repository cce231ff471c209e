"""Pages in a browser: no complaint, no scroll bar below, nothing fetched, usable from the keyboard."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import look

from emulant.reporting.page import render

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(summary: dict[str, Any], run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(summary, run), "utf-8")
    return path


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (768, "dark"), (400, "light"), (400, "dark")])
def test_it_fits_at_every_width_and_nothing_complains(browser: Any, page: Path, width: int, scheme: str) -> None:
    seen = look(browser, page, width, scheme, folded=False)
    assert seen.console == []
    assert seen.requests == []
    assert seen.overflow == 0
    assert seen.pixels.shape[1] == width
    paper = np.median(seen.pixels)
    assert paper < 60 if scheme == "dark" else paper > 240
    written = np.abs(seen.pixels - paper) > 40
    assert 0.01 < written.mean() < 0.5
    assert not written[:, -4:].any()


def test_a_page_that_is_too_wide_is_seen(browser: Any, page: Path, tmp_path: Path) -> None:
    """The test above can fail: what it looks for is found where it is."""
    broken = tmp_path / "broken.html"
    text = page.read_text("utf-8").replace("<main>", '<main><p style="width: 120vw">wide</p>')
    broken.write_text(text.replace("<script>", "<script>console.log(1);"), "utf-8")
    seen = look(browser, broken, 400, "light")
    assert seen.overflow > 50
    assert "Content Security Policy" in " ".join(seen.console)


def test_the_keyboard_reaches_verdict_tables_and_films(browser: Any, page: Path) -> None:
    tab = browser.new_page(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    tab.goto(page.as_uri())
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.keyboard.press("Enter")
    assert tab.evaluate("location.hash") == "#verdict"
    head = tab.locator("#leaderboard th button").first
    head.focus()
    tab.keyboard.press("Enter")
    assert tab.locator("#leaderboard th[aria-sort=ascending]").count() == 1
    names = tab.locator("#leaderboard table").first.locator("tbody th code").all_inner_texts()
    assert names[0] == min(name for name in names if name)
    assert tab.locator(".film button").first.inner_text() == "Play"  # reduced motion: nothing moves by itself
    tab.close()


def test_a_screen_reader_finds_its_way(browser: Any, page: Path) -> None:
    tab = browser.new_page()
    tab.goto(page.as_uri())
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert tab.get_by_role(landmark).count() == 1, landmark
    levels = tab.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(each => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for region in tab.locator("[role=region]").all():
        named_by = region.get_attribute("aria-labelledby")
        assert tab.locator(f"[id='{named_by}']").count() == 1 if named_by else region.get_attribute("aria-label")
    ids = "[...document.querySelectorAll('[id]')].map(each => each.id)"
    assert len(tab.evaluate(ids)) == len(set(tab.evaluate(ids)))
    tab.close()
