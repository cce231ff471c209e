"""Films of the report: truth beside forecast, of scenes that a rule picks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from emulant.reporting.frames import Film, store
from emulant.reporting.numbers import number
from emulant.systems.scenes.readers import title
from emulant.systems.scenes.render import compared

FPS = 15
SHOWN = ("test", "test_heldout")


def of_report(run: Any) -> list[Film]:
    """The median and the worst scene of `test` and `test_heldout`, by the best surrogate."""
    if not (run.study.surrogates and run.study.evaluation.render):
        return []
    model, table = run.best(), run.study.report
    return [
        _film(run, model, split, *picked, table.film_format, table.film_fps or FPS)
        for split in SHOWN
        if split in run.test_splits
        for picked in _picked(run, model, split)
    ]


def _picked(run: Any, model: str, split: str) -> Iterator[tuple[str, int, float]]:
    """`median` and `worst`, the case, and its position_mse; one of them where there is but one scene."""
    scores = run.case_scores.filter(split=split, model=model, metric="position_mse", start="")
    ranked = scores.sort(pl.col("value").fill_nan(float("inf")), "case")
    places = {len(ranked) - 1: "worst", (len(ranked) - 1) // 2: "median"} if len(ranked) else {}
    for place, name in sorted(places.items()):
        yield name, ranked["case"][place], ranked["value"][place]


def _film(run: Any, model: str, split: str, name: str, case: int, error: float, format: Any, fps: int) -> Film:
    pages, colours = compared(run, model, split, case)
    files = store(pages, colours, run.folder.root, f"{name}_{split}", fps=fps, format=format, still=2 * len(pages) // 3)
    caption = (
        f"Left the truth, right `{model}`, which sees the first frames (grey bar) and makes the others (orange). "
        f"position_mse {number(error)} px²: the {name} scene of `{split}`."
    )
    return Film(
        f"The {name} of {split}: {title(case)}", caption, f"{title(case)}: truth and {model}, side by side", *files
    )
