"""Axes of scores: what they show, their ticks, dots with intervals, names that keep apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from emulant.reporting.boards import Board, Meaning
from emulant.reporting.numbers import lead_text, number, tick
from emulant.reporting.style import Look

Vector: TypeAlias = NDArray[np.float64]


Curve: TypeAlias = tuple[Vector, Vector, Vector]
"""Value, low and high, (H,) each."""


def logarithmic(axis: Axis, low: float, high: float, most: int = 5) -> None:
    """A logarithmic axis whose ticks, `most` at the most, are plain numbers: 1, 2, 5 of a decade, or whole decades."""
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in decades for step in steps]
        ticks = [tick for tick in ticks if 0.99 * low <= tick <= 1.01 * high]
        if len(ticks) <= most:
            break
    ticks = ticks[:: -(-len(ticks) // most)] if ticks else [low, high]
    (axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale)("log")
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: tick(value))


@dataclass(frozen=True)
class Window:
    """What an axis of scores shows."""

    low: float
    high: float
    logarithmic: bool = False

    def apply(self, axis: Axis) -> None:
        if self.logarithmic:
            logarithmic(axis, self.low, self.high)
        (axis.axes.set_xlim if axis is axis.axes.xaxis else axis.axes.set_ylim)(self.low, self.high)

    def share(self, values: Vector) -> Vector:
        """Where values lie between the ends: 0 to 1."""
        if self.logarithmic:
            with np.errstate(divide="ignore"):
                places = np.log(np.maximum(values, 0.0) / self.low) / math.log(self.high / self.low)
        else:
            places = (values - self.low) / (self.high - self.low)
        return np.clip(places, 0.0, 1.0)


def window_of(board: Board, meaning: Meaning, curves: Mapping[str, Curve]) -> Window:
    """Limits that show everything up to half a span of the references away from them.

    References are the baselines, the oracles and the perfect score: a diverging model must not squash the rest. Errors
    that span a decade are shown on a logarithmic axis.
    """
    steady = [curve for model, curve in curves.items() if board.models[model] != "surrogate"]
    values = finite([*(curve[0] for curve in curves.values()), *(part for curve in steady for part in curve)])
    if values.size == 0:
        return Window(0.0, 1.0)
    heights = finite(curve[0] for curve in curves.values())
    references = finite(curve[0] for curve in steady) if steady else values
    positive = heights[heights > 0]
    is_error = meaning.better == "lower" and meaning.perfect == 0 and bool(np.all(heights >= 0))
    if is_error and 2 * positive.size > heights.size and positive.max() > 10 * positive.min():
        most = 30 * float(references.max()) if references.size else math.inf
        return Window(0.7 * float(positive.min()), 1.4 * min(float(positive.max()), most), logarithmic=True)
    perfect = [meaning.perfect] if math.isfinite(meaning.perfect) else []
    references = np.append(references, perfect)
    span = float(np.ptp(references)) or 1.0
    low = max(float(values.min()), float(references.min()) - 0.5 * span)
    high = min(float(values.max()), float(references.max()) + 0.5 * span)
    if meaning.better == "higher" and not perfect:  # no end to how good a model can be: the best is never cut off
        high = float(finite(part for curve in curves.values() for part in curve).max())
    return Window(low - 0.04 * span, high + 0.04 * span)


def finite(arrays: Iterable[Vector]) -> Vector:
    pooled: Vector = np.concatenate([*arrays, np.zeros(0)])
    return pooled[np.isfinite(pooled)]


def draw_dots(axes: Axes, heights: Vector, points: Curve, look: Look, window: Window, label: str | None = None) -> None:
    """Values with their intervals, or an arrow and the number for those that lie beyond the axis."""
    (value, low, high), left, right = points, window.low, window.high
    seen = (value >= left) & (value <= right)
    ends = np.clip([low[seen], high[seen]], left, right)
    axes.hlines(heights[seen], *ends, color=look.color, linewidth=1.5)
    axes.plot(value[seen], heights[seen], look.marker, color=look.color, markersize=5, label=label)
    for height, far in zip(heights[~seen], value[~seen], strict=True):
        if far < left:
            axes.text(left, height, f"◂ {number(far)}", color=look.color, va="center", fontsize=8)
        elif far > right:
            axes.text(right, height, f"{number(far)} ▸", color=look.color, ha="right", va="center", fontsize=8)


def spread(heights: Vector, gap: float) -> Vector:
    """Heights in [0, 1] moved apart to at least `gap`, their order kept, by the least sum of squared moves.

    Subtracting `gap` per rank turns "at least `gap` apart" into "not falling", which is isotonic regression; with
    bounds its solution is the free one, clipped.
    """
    if len(heights) == 0:
        return heights
    order = np.argsort(heights, kind="stable")
    ranks = gap * np.arange(len(heights))
    free: Vector = isotonic_regression(heights[order] - ranks).x
    moved: Vector = np.empty_like(heights)
    moved[order] = np.clip(free, 0.0, max(1.0 - float(ranks[-1]), 0.0)) + ranks
    return moved


def time_axis(axes: Axes, times: Vector, labels: Sequence[str]) -> None:
    """Logarithmic where the lead times are; ticks where there are values and room for their labels."""
    logarithmic = times[0] > 0 and times[-1] / times[0] > 8
    places = np.log(times) if logarithmic else times
    places = (places - places[0]) / (places[-1] - places[0])
    texts, kept = [lead_text(label) for label in labels], [len(times) - 1]
    for index in range(len(times) - 2, -1, -1):
        if places[kept[-1]] - places[index] > 0.03 + 0.013 * (len(texts[index]) + len(texts[kept[-1]])):
            kept.append(index)
    axes.set_xscale("log" if logarithmic else "linear")
    axes.xaxis.set_major_locator(FixedLocator(times[kept].tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([texts[index] for index in kept])
    axes.margins(x=0.03)
