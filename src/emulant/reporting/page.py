"""The report dictionary as one HTML page that needs nothing else: no network, no script to be read."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from emulant.errors import DataError
from emulant.reporting.numbers import duration, lead_text, size

LIMIT = 5_000_000
"""Bytes of a page. Media beyond it are linked instead of embedded."""
TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".gif": "image/gif", ".mp4": "video/mp4"}


def render(summary: Mapping[str, Any], folder: Path, limit: int = LIMIT) -> str:
    """The text of `report.html`.

    Args:
        summary: What `summarise` gave, or `report.json` read back.
        folder: The run folder. Figures and films are read from it and from nowhere else.
        limit: Bytes that the page may have; films that would go beyond are linked.

    Raises:
        DataError: A figure or film is missing, of an unknown type, or outside the folder.
    """
    bare = _page("report.html", summary, {})
    media = embedded(summary, folder, limit - len(bare.encode()))
    return _page("report.html", summary, media)


def render_comparison(summary: Mapping[str, Any], folder: Path) -> str:
    """The page that compares runs; its pictures are read below `folder`, and all of them are in the page."""
    return _page("comparison.html", summary, embedded({**summary, "films": []}, folder, LIMIT))


def embedded(summary: Mapping[str, Any], folder: Path, budget: int) -> dict[str, str]:
    """Path to data URI, for as many media as fit into `budget` bytes, pictures and stills first."""
    found: dict[str, str] = {}
    for place in _media(summary):
        path = inside(folder, place)
        cost = 4 * path.stat().st_size // 3 + 64
        if place not in found and cost <= budget:
            encoded = base64.b64encode(path.read_bytes()).decode()
            found[place] = f"data:{TYPES[path.suffix]};base64,{encoded}"
            budget -= cost
    return found


def inside(folder: Path, place: str) -> Path:
    """The file at `place`, a relative path that must not leave `folder`, not even by a link.

    Raises:
        DataError: It leaves the folder, is not there, or is not a medium.
    """
    relative = PurePosixPath(place)
    path = (folder / relative).resolve()
    if relative.is_absolute() or ".." in relative.parts or not path.is_relative_to(folder.resolve()):
        raise DataError(f"The report refers to {place!r}, which is outside {folder}.", "Run `emulant report` again.")
    if path.suffix not in TYPES:
        raise DataError(f"The report refers to {place!r}, which is no figure.", f"Known: {', '.join(TYPES)}.")
    if not path.is_file():
        raise DataError(f"{folder / relative} is missing.", "Run `emulant report` again.")
    return path


def prose(text: str) -> Markup:
    """Plain text as HTML, names in backticks as code; everything else is escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _media(summary: Mapping[str, Any]) -> Iterator[str]:
    for picture in summary["pictures"]:
        yield picture["light"]
        yield picture["dark"]
    yield from (film["still"] for film in summary["films"])
    yield from (film["file"] for film in summary["films"])


def _page(template: str, summary: Mapping[str, Any], media: Mapping[str, str]) -> str:
    script = _template("script.js")
    environment = Environment(
        loader=PackageLoader("emulant.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(prose=prose, size=size, duration=duration, lead_time=lead_text)
    # The policy names the one script by its hash: text from a study can never run.
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        report=summary,
        media=media,
        style=Markup(_template("style.css")),
        script=Markup(script),
        script_hash=allowed,
    )


def _template(name: str) -> str:
    return (files("emulant.reporting") / "templates" / name).read_text("utf-8")
