"""The comparison as one HTML page that needs nothing else, in the dress of the report."""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from emulant.dataset.atomic import write_text
from emulant.dataset.environment import environment
from emulant.reporting.numbers import interval, number
from emulant.reporting.page import TYPES, prose
from emulant.sweeping.comparison import Comparison, shortened
from emulant.sweeping.figures import drawings
from emulant.sweeping.tables import failed, next_command, rows, sentences


def write(comparison: Comparison) -> Path:
    """Draw the figures and write `sweep.html`."""
    shown, objective = rows(comparison), comparison.objective
    text = _template().render(
        title=f"{comparison.study.system.name}: {', '.join(shortened(comparison.points[0].values))}",
        lede=_lede(comparison),
        style=Markup(_style()),
        sentences=sentences(comparison),
        command=next_command(comparison),
        keys=shortened(comparison.points[0].values),
        metric=objective.metric,
        better=objective.meaning.better,
        perfect=objective.meaning.perfect,
        rows=shown,
        trained=any(row.epoch for row in shown),
        note=f"`{objective.metric}`: {objective.meaning.meaning}. Every other score is in `sweep.csv`.",
        failures=failed(comparison),
        figures=_figures(comparison),
        footer=f"emulant {environment()['emulant']}, seed {comparison.study.config.seed}. Each point is a run folder "
        "below `points/`, whole by itself.",
        number=number,
        interval=interval,
    )
    return write_text(comparison.page, text)


def _lede(comparison: Comparison) -> str:
    counts = [(len(comparison.done), "done")] + [
        (sum(comparison.state(point) == state for point in comparison.points), state) for state in ("failed", "missing")
    ]
    told = ", ".join(f"{count} {state}" for count, state in counts if count)
    keys = ", ".join(f"`{key}`" for key in comparison.points[0].values)
    return f"{len(comparison.points)} points over {keys}: {told}. Compared on the {comparison.split} split."


def _figures(comparison: Comparison) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for drawing in drawings(comparison):
        saved = drawing.save(comparison.root / "figures")
        pictures = {"light": _data(saved["light"]), "dark": _data(saved["dark"])}
        found.append({"caption": drawing.caption, "wide": drawing.wide, **pictures})
    return found


def _data(path: Path) -> str:
    return f"data:{TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _style() -> str:
    return (files("emulant.reporting") / "templates" / "style.css").read_text("utf-8")


def _template() -> Template:
    kinds = Environment(
        loader=PackageLoader("emulant.sweeping"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    kinds.filters["prose"] = prose
    return kinds.get_template("sweep.html")
