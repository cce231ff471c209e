"""The figures that only a report on scenes has."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from emulant.dataset.seams import Array
from emulant.reporting.figures import WIDTH, Drawing
from emulant.reporting.numbers import number
from emulant.reporting.style import Theme, looks
from emulant.systems.scenes.catalogue import SCENARIOS
from emulant.systems.scenes.predictions import ScenePredictions

LEAST = 1e-3
"""px²: the ladder's lower end. Below it all is as good as exact."""
SIMULATOR = "resimulate"
SHOWN = ("test", "test_heldout")


def ladder(run: Any) -> Drawing | None:
    """The error of every model on every type."""
    rows = run.metrics.filter(metric="position_mse", horizon="all").filter(
        pl.col("split").is_in(["test", "test_heldout"])
    )
    types = [name for name in SCENARIOS if name in set(rows["group"])]
    if not types:
        return None
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}
    scores = {(row["group"], row["model"]): row["value"] for row in rows.iter_rows(named=True)}
    values = {model: np.array([scores.get((type_, model), np.nan) for type_ in types]) for model in kinds}

    def draw(theme: Theme) -> Figure:
        height = 1.25 + 0.17 * len(types)
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0.3, 0.45 / height, 0.67, 1 - 1.15 / height))
        marks = _marks(kinds)
        for model, look in looks(kinds, theme).items():
            axes.plot(
                np.clip(values[model], LEAST, None),
                np.arange(len(types)),
                marks.get(model, look.marker),
                color=look.color,
                markersize=5.5 if kinds[model] == "surrogate" else 4.5,
                markerfacecolor=look.color if kinds[model] == "surrogate" else "none",
                markeredgewidth=0.9,
                label=model,
            )
        axes.set(xscale="log", xlabel="position_mse / px²", ylim=(len(types) - 0.4, -0.6))
        axes.set_xlim(left=LEAST * 0.7)
        axes.set_yticks(range(len(types)), types, fontsize=7)
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="upper center", ncols=3, fontsize=7.5, handletextpad=0.2, columnspacing=1.0)
        return figure

    return Drawing(
        draw,
        "position_mse on every type",
        f"Mean over the scenes of a type, over all forecast frames; what is below {LEAST:g} px² is drawn there. "
        "Held-out types were never seen in training.",
        "; ".join(f"{type_}: {_spoken(values, row)}" for row, type_ in enumerate(types)),
        "groups",
    )


def _marks(kinds: Mapping[str, str]) -> dict[str, str]:
    """One marker for each baseline: here they share a row, and three shades of grey do not tell five apart."""
    baselines = [model for model, kind in kinds.items() if kind == "baseline"]
    return dict(zip(baselines, cycle(("v", "^", "s", "<", "d")), strict=False))


def _spoken(values: dict[str, Array], row: int) -> str:
    return ", ".join(f"{model} {number(float(array[row]))}" for model, array in values.items())


def speed(run: Any) -> Drawing | None:
    """Scene-frames per second of every model, and of the simulator itself."""
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}
    measured = {model: ScenePredictions(run.folder.predictions(model)).speed() for model in kinds}
    rates = {model: rate for model, rate in measured.items() if rate}
    if not rates:
        return None
    named = {model: f"{model} (the simulator)" if model == SIMULATOR else model for model in rates}

    def draw(theme: Theme) -> Figure:
        height = 0.8 + 0.26 * len(rates)
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0.38, 0.5 / height, 0.5, 1 - 0.6 / height))
        look = looks(kinds, theme)
        for row, (model, rate) in enumerate(rates.items()):
            axes.barh(row, rate, color=look[model].color, height=0.62)
            axes.text(rate * 1.08, row, f"{rate:,.0f}", va="center", fontsize=8, color=theme.ink)
        axes.set(xscale="log", xlabel="scene-frames per second", ylim=(len(rates) - 0.4, -0.6))
        axes.set_xlim(min(rates.values()) / 3, max(rates.values()) * 2)
        axes.set_yticks(range(len(rates)), [named[model] for model in rates])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        return figure

    return Drawing(
        draw,
        "How fast each model continues scenes",
        "CPU time of one thread over all test scenes together, reading and (for the simulator) building them included.",
        ", ".join(f"{named[model]} {rate:.0f} scene-frames/s" for model, rate in rates.items()),
        "leaderboard",
    )
