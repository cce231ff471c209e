"""Figures that any system can use. Each function gives a `Drawing`; nothing is drawn before it is saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from emulant.reporting.axes import finite
from emulant.reporting.numbers import number
from emulant.reporting.style import Theme, looks, save

Section: TypeAlias = Literal["leaderboard", "lead_time", "groups", "maps", "physics", "training", "system"]
"""Where a figure stands on the page: `lead_time` is error against time or scale."""


WIDTH = 4.9
"""Inches: two figures stand side by side on a page, one on a phone, with letters that can be read on both."""


@dataclass(frozen=True)
class Picture:
    """A figure in its files, relative to the run folder, with the words that go with it."""

    section: Section
    title: str
    caption: str
    alt: str
    light: str
    dark: str
    png: str


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn in any theme, with the words that go with it."""

    draw: Callable[[Theme], Figure]
    title: str
    caption: str
    alt: str
    section: Section = "system"

    def save(self, run: Path, name: str, section: Section | None = None) -> Picture:
        """Write the files to `figures/` of a run; `section` if it is not the drawing's own."""
        files = save(self.draw, run / "figures", name)
        places = {key: path.relative_to(run).as_posix() for key, path in files.items()}
        return Picture(section or self.section, self.title, self.caption, self.alt, **places)


def histogram(values: Mapping[str, ArrayLike], kinds: Mapping[str, str], label: str, bins: int = 30) -> Drawing:
    """How a score spreads over the cases: a histogram per model, one above the other on one axis.

    Args:
        values: Per model the score of every case, (C,). Diverged cases count in the last bin, undefined ones nowhere.
        kinds: Kind of every model of the report, so that each keeps its colour.
        label: Of the axis, with the unit.
    """
    scores = {model: np.asarray(array, dtype=np.float64) for model, array in values.items()}
    arrays = {model: array[~np.isnan(array)] for model, array in scores.items()}
    pooled = finite(arrays.values())
    low, high = np.quantile(pooled, [0.0, 0.9]) if pooled.size else (0.0, 1.0)
    edges = np.linspace(low, low + 1.3 * (high - low) + (high == low), bins + 1)
    counts = {model: np.histogram(np.clip(array, *edges[[0, -1]]), edges)[0] for model, array in arrays.items()}
    tallest = max((int(count.max()) for count in counts.values()), default=1) or 1
    left = inches(arrays) / WIDTH

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 0.75 + 0.42 * len(arrays), left=left, right=0.97)
        look = looks(kinds, theme)
        for row, model in enumerate(arrays):
            # Rows count downwards, so a tall bin reaches to smaller heights.
            tops = row - 0.85 * counts[model] / tallest
            axes.stairs(tops, edges, baseline=row, fill=True, color=look[model].color, alpha=0.75, linewidth=0)
        axes.hlines(np.arange(len(arrays)), *edges[[0, -1]], color=theme.muted, linewidth=0.6)
        axes.set(xlabel=label, xlim=(edges[0], edges[-1]), ylim=(len(arrays) - 0.85, -1))
        axes.set_yticks(range(len(arrays)), list(arrays))
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        return figure

    beyond = {model: int(np.sum(~(array <= edges[-1]))) for model, array in arrays.items()}
    outside = ", ".join(f"`{model}` {count}" for model, count in beyond.items() if count)
    medians = ", ".join(f"{model} {number(float(np.median(array)))}" for model, array in arrays.items() if array.size)
    return Drawing(
        draw,
        f"{label} over the cases",
        f"The tallest bin holds {tallest} cases." + (f" In the last bin or beyond: {outside}." if outside else ""),
        f"Histograms of {label}; median per model: {medians}",
    )


def singular_values(values: ArrayLike, rank: int, target: float | None = None, *, captured: float = 1.0) -> Drawing:
    """Singular values (r,) of a POD and the share of the energy that the first ones hold; `rank` are kept.

    `captured` is the share that all of `values` hold together: what was cut away belongs to the whole, too. `target`
    is the share that the rank was chosen by; None: it was not.
    """
    singular = np.asarray(values, dtype=np.float64)
    energy = captured * np.cumsum(singular**2) / np.sum(singular**2)
    modes = np.arange(1, len(singular) + 1)

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 2.9, left=0.14, right=0.86, inches_above=0.2)
        axes.semilogy(modes, singular / singular[0], color=theme.surrogates[0], linewidth=1.8)
        axes.axvline(rank, color=theme.muted, linewidth=0.9, linestyle=(0, (4, 3)))
        side = "right" if rank > len(singular) / 2 else "left"
        axes.text(rank, 0.5, f" rank {rank} ", transform=axes.get_xaxis_transform(), ha=side, fontsize=8)
        axes.set(xlabel="mode", xlim=(0, len(singular)))
        axes.set_ylabel("singular value / first", color=theme.surrogates[0])
        right = axes.twinx()
        right.plot(modes, energy, color=theme.surrogates[1], linewidth=1.8, linestyle=(0, (4, 1.5)))
        right.set_ylabel("share of the energy", color=theme.surrogates[1])
        right.set_ylim(0, 1.03)
        right.grid(visible=False)
        return figure

    kept = float(energy[min(rank, len(energy)) - 1])
    asked = f" (asked for: {number(target, 1.0)})" if target is not None else ""
    return Drawing(
        draw,
        "Singular values and energy",
        f"The first {rank} modes hold {number(kept, 1.0)} of the energy{asked}. Dashed: energy.",
        f"Falling singular values of {len(singular)} modes; {rank} modes hold {number(kept, 1.0)} of the energy",
    )


def time_series(times: ArrayLike, series: Mapping[str, ArrayLike], label: str, time_unit: str = "s") -> Drawing:
    """Quantities over time: the mean over cases as a line, the middle 80 % of the cases as a band.

    Args:
        times: (T,).
        series: Per label (C, T), or (T,) for a single curve.
        label: Of the axis, with the unit.
    """
    clock = np.asarray(times, dtype=np.float64)
    arrays = {name: np.atleast_2d(np.asarray(array, dtype=np.float64)) for name, array in series.items()}
    banded = any(len(array) > 1 for array in arrays.values())

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 2.9, left=0.12, right=0.97, inches_above=0.45)
        for name, look in looks(dict.fromkeys(arrays, "surrogate"), theme).items():
            low, high = np.quantile(arrays[name], [0.1, 0.9], axis=0)
            axes.fill_between(clock, low, high, color=look.color, alpha=0.15, linewidth=0)
            axes.plot(clock, arrays[name].mean(axis=0), color=look.color, linewidth=1.8, label=name)
            axes.plot(clock[::4], arrays[name].mean(axis=0)[::4], look.marker, color=look.color, markersize=3.5)
        axes.set(xlabel=f"time / {time_unit}", ylabel=label, xlim=(clock[0], clock[-1]))
        figure.legend(loc="upper center", ncols=4, fontsize=8)
        return figure

    ends = ", ".join(
        f"{name} {number(float(array[:, 0].mean()))} to {number(float(array[:, -1].mean()))}"
        for name, array in arrays.items()
    )
    return Drawing(
        draw,
        f"{label} over time",
        "Line: mean over the cases. Band: the middle 80 % of the cases." if banded else "Line: mean over the cases.",
        f"{label} from time {number(float(clock[0]))} to {number(float(clock[-1]))} {time_unit}, mean: {ends}",
    )


def framed(
    width: float, height: float, *, left: float, right: float, inches_below: float = 0.5, inches_above: float = 0.12
) -> tuple[Figure, Axes]:
    """Margins by hand: a layout engine would draw every figure twice."""
    figure = Figure(figsize=(width, height))
    bottom, top = inches_below / height, 1 - inches_above / height
    return figure, figure.add_axes((left, bottom, right - left, top - bottom))


def inches(names: Iterable[str]) -> float:
    """Room for the longest of some names, within reason."""
    return 0.2 + 0.078 * min(max(map(len, names), default=0), 26)
