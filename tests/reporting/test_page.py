"""The page: well formed, self-contained, safe, within its size."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from emulant.errors import DataError
from emulant.reporting.page import LIMIT, render
from emulant.reporting.summary import Facts, summarise
from emulant.reporting.table import ReportTable

VOID = {"meta", "link", "img", "source", "br", "hr", "input"}


class Reader(HTMLParser):
    """Collects every element and fails on one that is closed in the wrong place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(summary: dict[str, Any], run: Path) -> str:
    return render(summary, run)


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    return Reader(page)


def test_sections_come_in_the_order_of_a_readers_questions(reader: Reader) -> None:
    order = [section["id"] for section in reader.all("section")]
    assert order == [
        "verdict",
        "leaderboard",
        "lead-time",
        "families",
        "films",
        "system",
        "data",
        "made",
        "reproduce",
        "limits",
    ]
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in reader.all("a") if (link["href"] or "").startswith("#")} <= set(ids)


def test_nothing_is_fetched(page: str, reader: Reader) -> None:
    for _, attributes in reader.elements:
        for name in ("src", "srcset", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert all(link["rel"] == "icon" and link["href"] == "data:," for link in reader.all("link"))
    for way_out in ("http:", "https:", "@import", "url("):
        assert way_out not in page
    for link in reader.all("a"):
        assert not re.match(r"[a-z]+:|/", link["href"] or "")


def test_every_medium_is_described(reader: Reader, summary: dict[str, Any]) -> None:
    images = reader.all("img")
    assert len(images) == len(summary["pictures"]) + len(summary["films"])
    assert all(image["alt"] and len(image["alt"]) > 20 for image in images)
    assert reader.all("html")[0]["lang"] == "en"
    assert all(head.get("scope") for head in reader.all("th"))


def test_the_page_tells_the_story(reader: Reader, summary: dict[str, Any], facts: Facts) -> None:
    text = " ".join("".join(reader.text).split())
    for verdict in summary["verdicts"]:
        assert " ".join(verdict["sentence"].replace("`", "").split()) in text
    for words in ("-1.2e9", "diverged", "uses the truth", "71.2 MB", "eta = 0.3", *facts.commands):
        assert words in text, words
    assert facts.data["test"]["dataset_sha256"] in text


def test_it_is_small_and_has_a_dark_side(page: str, reader: Reader) -> None:
    assert len(page.encode()) < LIMIT
    assert page.count("screen and (prefers-color-scheme: dark)") == len(reader.all("figure")) - 4
    assert "prefers-reduced-motion" in page
    assert "@media print" in page


def test_films_beyond_the_limit_are_linked(summary: dict[str, Any], run: Path, page: str) -> None:
    limit = len(page.encode()) - 100_000
    smaller = render(summary, run, limit=limit)
    assert len(smaller.encode()) < limit + 1000
    assert f'<a href="{summary["films"][-1]["file"]}">Play the film</a>' in smaller
    assert summary["films"][0]["file"] not in smaller


def test_hostile_names_and_studies_stay_text(summary: dict[str, Any], run: Path, metrics: Any, meanings: Any) -> None:
    hostile = '`</code><script>alert(1)</script>"><img src=x onerror=alert(1)>'
    frame = metrics.with_columns(model=metrics["model"].replace({"spectral": hostile, "drift": hostile + "2"}))
    facts = Facts(
        hostile,
        hostile,
        data={hostile: {"cases": hostile, "dataset_sha256": hostile}},
        provenance={"study": hostile, hostile: {hostile: hostile}},
        timings={hostile: 1.0},
        commands=[hostile],
        notes=[hostile],
        diverged=[{hostile: hostile}],
        models={hostile: hostile},
        time_unit=hostile,
    )
    plain, attacked = Reader(render(summary, run)), Reader(render(summarise(frame, meanings, "r2", facts), run))
    assert len(attacked.all("script")) == len(plain.all("script")) == 1
    assert not attacked.all("img")
    assert not [name for _, attributes in attacked.elements for name in attributes if name.startswith("on")]
    assert "alert(1)" in " ".join(attacked.text)


def test_only_the_pages_own_script_may_run(page: str, reader: Reader) -> None:
    script = page.split("<script>")[1].split("</script>", maxsplit=1)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policies = [meta["content"] or "" for meta in reader.all("meta") if "http-equiv" in meta]
    assert len(policies) == 1
    assert "default-src 'none'" in policies[0]
    assert f"script-src 'sha256-{digest}'" in policies[0]


@pytest.mark.parametrize(
    "place", ["../secret.png", "/etc/hostname.png", "figures/../../secret.png", "figures/link.png"]
)
def test_nothing_outside_the_run_is_read(place: str, summary: dict[str, Any], tmp_path: Path, run: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (tmp_path / "secret.png").write_bytes(b"secret")
    (folder / "figures" / "link.png").symlink_to(tmp_path / "secret.png")
    changed = copy.deepcopy(summary)
    changed["pictures"][0]["light"] = place
    with pytest.raises(DataError, match="outside"):
        render(changed, folder)


def test_missing_and_foreign_media_are_named(summary: dict[str, Any], run: Path) -> None:
    changed = copy.deepcopy(summary)
    changed["films"][0]["file"] = "figures/gone.gif"
    with pytest.raises(DataError, match=r"gone\.gif is missing"):
        render(changed, run)
    changed["films"][0]["file"] = "report.json"
    with pytest.raises(DataError, match="no figure"):
        render(changed, run)


def test_an_empty_run_still_has_a_page(metrics: Any, meanings: Any, tmp_path: Path) -> None:
    reader = Reader(render(summarise(metrics.head(0), meanings, "r2", Facts("empty")), tmp_path))
    assert "Nothing has been scored." in " ".join(reader.text)


def test_the_report_table_has_bounds() -> None:
    assert ReportTable().films
    with pytest.raises(ValueError, match="film_fps"):
        ReportTable(film_fps=0)
    with pytest.raises(ValueError, match="film_format"):
        ReportTable.model_validate({"film_format": "avi"})
