"""The figures of a pendulum's report that show a curve per model or a histogram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from emulant.dataset.seams import Array
from emulant.reporting.figures import WIDTH, Drawing, framed, histogram
from emulant.reporting.numbers import number
from emulant.reporting.style import Theme, looks

Curves = Mapping[str, tuple[Array, Array]]
"""Model -> x, y."""


def energy_drift(run: Any) -> Drawing | None:
    """Median error of the forecast's energy against lead time, model by model."""
    rows = run.metrics.filter(
        (pl.col("metric") == "energy_drift") & (pl.col("group") == "all") & (pl.col("horizon") != "all")
    ).filter(pl.col("split") == run.test_splits[0])
    rows = rows.with_columns(pl.col("horizon").cast(pl.Float64)).sort("horizon")
    curves = {
        entrant.name: (its["horizon"].to_numpy(), its["value"].to_numpy())
        for entrant in run.entrants()
        if len(its := rows.filter(model=entrant.name))
    }
    if not curves:
        return None
    ends = ", ".join(f"{model} {number(float(values[-1]))}" for model, (_, values) in curves.items())
    return _drawing(
        run,
        curves,
        ("lead time / s", "median |ΔE| / J"),
        "Energy that a forecast gains or loses",
        "Median over the test cases of the distance from the energy at the start of the forecast.",
        f"Median energy error against lead time; at the end, in J: {ends}",
    )


def exponents(run: Any) -> Drawing | None:
    """How the largest Lyapunov exponents of the test cases are spread."""
    path = run.folder.metrics.parent / "lyapunov.csv"
    if not path.is_file():
        return None
    table = pl.read_csv(path).filter(pl.col("split") == run.test_splits[0])
    values = {name: table.filter(group=name)["lyapunov_1"].to_numpy() for name in ("chaotic", "regular")}
    values = {name: array for name, array in values.items() if len(array)}
    return histogram(values, dict.fromkeys(values, "surrogate"), "largest Lyapunov exponent / s⁻¹")


def _drawing(run: Any, curves: Curves, axis: tuple[str, str], title: str, caption: str, alt: str) -> Drawing:
    """A curve per model, in the colours of the report; y is logarithmic, what is not above zero lies on its edge."""
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}
    heights = np.concatenate([values[np.isfinite(values) & (values > 1e-9)] for _, values in curves.values()])
    low, high = (heights.min() / 2, heights.max() * 2) if heights.size else (0.1, 1.0)

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 2.9, left=0.14, right=0.97, inches_above=0.5)
        for model, look in looks(kinds, theme).items():
            if model in curves:
                x, y = curves[model]
                axes.plot(x, np.clip(y, low, high), color=look.color, ls=look.dashes, lw=look.width, label=model)
        axes.set(xlabel=axis[0], ylabel=axis[1], yscale="log", ylim=(low, high))
        figure.legend(loc="upper center", ncols=4, fontsize=8)
        return figure

    return Drawing(draw, title, caption, alt, "physics")
