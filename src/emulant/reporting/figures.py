"""Figures that any system can use. Each function gives a `Drawing`; nothing is drawn before it is saved."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from emulant.dataset.seams import Metric
from emulant.reporting.boards import Board, Meaning, Score, boards, described
from emulant.reporting.numbers import number, tick
from emulant.reporting.style import Look, Theme, looks, save
from emulant.reporting.verdict import Headline, title

Vector: TypeAlias = NDArray[np.float64]
Curve: TypeAlias = tuple[Vector, Vector, Vector]
"""Value, low and high, (H,) each."""
Section: TypeAlias = Literal["leaderboard", "lead_time", "groups", "maps", "physics", "training", "system"]
"""Where a figure stands on the page: `lead_time` is error against time or scale."""
WIDTH = 4.9
"""Inches: two figures stand side by side on a page, one on a phone, with letters that can be read on both."""

MOST_FAMILIES = 20
"""That a figure can show; more stand in the table alone."""


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


def standard(
    metrics: pl.DataFrame,
    meanings: Mapping[str, Metric],
    headline: str,
    run: Path,
    *,
    error: str | None = None,
    time_unit: str = "s",
) -> list[Picture]:
    """Draw and save what every report shows: leaderboards, scores against lead time, scores by family."""
    known = described(meanings)
    second = error or next((name for name in meanings if meanings[name].better == "lower"), headline)
    contests = boards(metrics)
    pictures = []
    for board in contests:
        # The other splits have their headline drawn; the rest of them stands in the tables.
        is_main = board.split == contests[0].split
        top, below = (Headline(metric, known[metric], time_unit) for metric in (headline, second))
        drawings: list[tuple[Section, str, Drawing]] = [("leaderboard", headline, forest(board, top))]
        if len(board.horizons) > 1:
            drawings += [("lead_time", headline, lead_time(board, top))]
            drawings += [("lead_time", second, lead_time(board, below))] * (is_main and second != headline)
        if 0 < len(board.families) <= MOST_FAMILIES and is_main:
            drawings += [("groups", headline, groups(board, top))]
        pictures += [
            drawing.save(run, f"{section}_{metric}_{board.name}", section) for section, metric, drawing in drawings
        ]
    return pictures


def lead_time(board: Board, by: Headline) -> Drawing:
    """A metric against lead time for all models of a board, with the bands of their intervals."""
    times = np.array([float(horizon) for horizon in board.horizons])
    curves = {model: _scores(board, by.metric, model, board.horizons) for model in board.models}
    window = window_of(board, by.meaning, curves)
    names = {model: _end_name(model, curve[0], window, by.meaning) for model, curve in curves.items()}
    right = 1 - inches(names.values()) / WIDTH
    best = board.best_baseline(by.metric, by.meaning)
    banded = {*board.of_kind("surrogate"), *(best[:1] if best else ())}

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 3.1, left=0.13, right=right)
        for model, look in looks(board.models, theme).items():
            values, lows, highs = curves[model]
            if model in banded:
                seen = (values >= window.low) & (values <= window.high)
                axes.fill_between(times, lows, highs, where=seen, color=look.color, alpha=0.13, linewidth=0)
            axes.plot(times, values, color=look.color, ls=look.dashes, lw=look.width, marker=look.marker, ms=3.2)
        window.apply(axes.yaxis)
        axes.set(xlabel=f"lead time / {by.time_unit}", ylabel=by.axis)
        _time_axis(axes, times, board.horizons)
        ends = {names[model]: (model, curve[0][-1]) for model, curve in curves.items()}
        _label_ends(axes, board, theme, window, ends)
        return figure

    last = board.horizons[-1]
    return Drawing(
        draw,
        f"{by.metric} against lead time: {title(board, by.time_unit)}",
        f"Each value is over all forecast frames up to that lead time. "
        f"Bands: {_INTERVALS}, of the surrogates and the best baseline. {_OFF_SCALE}",
        f"{by.metric} at lead time {last} {by.time_unit}: " + _spoken(board, by, last),
    )


def forest(board: Board, by: Headline) -> Drawing:
    """The headline score of every model of a board as a dot with its interval, best on top."""
    order = board.ranked(by.metric, by.meaning, board.models)
    points = {model: _scores(board, by.metric, model, ["all"]) for model in order}
    window = window_of(board, by.meaning, points)
    best = board.best_baseline(by.metric, by.meaning)
    names = [_named(board, model) for model in order]
    left = inches(names) / WIDTH

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 0.75 + 0.26 * len(order), left=left, right=0.97, inches_below=0.5)
        look = looks(board.models, theme)
        if best is not None and math.isfinite(best[1].value):
            axes.axvline(best[1].value, color=theme.muted, linewidth=0.9, linestyle=(0, (4, 3)))
        for height, model in enumerate(order):
            draw_dots(axes, np.array([height], dtype=np.float64), points[model], look[model], window)
        window.apply(axes.xaxis)
        axes.set(ylim=(len(order) - 0.4, -0.6), xlabel=by.axis)
        axes.set_yticks(range(len(order)), names)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        return figure

    dashed = f"Dashed: the best baseline, {best[0]}. " if best else ""
    return Drawing(
        draw,
        f"{by.metric}: {title(board, by.time_unit)}",
        f"Dots: mean over the cases. Lines: {_INTERVALS}. {dashed}{_OFF_SCALE}",
        f"{by.metric}, best first: " + _spoken(board, by, "all", order),
    )


def groups(board: Board, by: Headline) -> Drawing:
    """The score of every model on every family of a board, as dots with intervals."""
    families = [name for name in board.families if _any_score(board, by.metric, name)]
    points = {model: _curve(board.score(model, by.metric, name) for name in families) for model in board.models}
    window = window_of(board, by.meaning, points)
    step = len(board.models) + 1.2
    # Few families have a line for every model; of many, the figure stays within a screen.
    pitch = min(0.13 * step, max(4.6 / max(len(families), 1), 0.24))
    left, above = inches(families) / WIDTH, 0.2 + 0.17 * math.ceil(len(board.models) / 3)

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 0.55 + above + pitch * len(families), left=left, right=0.97, inches_above=above)
        rows = step * np.arange(float(len(families)))
        for offset, (model, look) in enumerate(looks(board.models, theme).items()):
            draw_dots(axes, rows + offset, points[model], look, window, label=_named(board, model))
        axes.hlines(rows[1:] - 1.1, window.low, window.high, color=theme.line, linewidth=0.8)
        window.apply(axes.xaxis)
        axes.set(ylim=(step * len(families) - 1.2, -1), xlabel=by.axis)
        axes.set_yticks(rows + (len(board.models) - 1) / 2, families)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="upper center", ncols=3, fontsize=8, handletextpad=0.2, columnspacing=1.2)
        return figure

    spoken = "; ".join(f"{family}: {_spoken(board, by, 'all', family=family)}" for family in families)
    return Drawing(
        draw,
        f"{by.metric} by group: {title(board, by.time_unit)}",
        f"Dots: mean over the cases of a group. Lines: {_INTERVALS}. {_OFF_SCALE}",
        f"{by.metric} by group. {spoken}",
    )


def histogram(values: Mapping[str, ArrayLike], kinds: Mapping[str, str], label: str, bins: int = 30) -> Drawing:
    """How a score spreads over the cases: a histogram per model, one above the other on one axis.

    Args:
        values: Per model the score of every case, (C,). Diverged cases count in the last bin, undefined ones nowhere.
        kinds: Kind of every model of the report, so that each keeps its colour.
        label: Of the axis, with the unit.
    """
    scores = {model: np.asarray(array, dtype=np.float64) for model, array in values.items()}
    arrays = {model: array[~np.isnan(array)] for model, array in scores.items()}
    pooled = _finite(arrays.values())
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


_INTERVALS = "confidence intervals over the cases"
_OFF_SCALE = "An arrow marks a value that lies beyond the axis."


def framed(
    width: float, height: float, *, left: float, right: float, inches_below: float = 0.5, inches_above: float = 0.12
) -> tuple[Figure, Axes]:
    """Margins by hand: a layout engine would draw every figure twice."""
    figure = Figure(figsize=(width, height))
    bottom, top = inches_below / height, 1 - inches_above / height
    return figure, figure.add_axes((left, bottom, right - left, top - bottom))


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


def _scores(board: Board, metric: str, model: str, horizons: Sequence[str]) -> Curve:
    return _curve(board.score(model, metric, "all", horizon) for horizon in horizons)


def _any_score(board: Board, metric: str, family: str) -> bool:
    scores = (board.score(model, metric, family) for model in board.models)
    return any(score is not None and not math.isnan(score.value) for score in scores)


def _curve(scores: Iterable[Score | None]) -> Curve:
    """NaN where there is no score."""
    missing = Score(math.nan, math.nan, math.nan, 0)
    value, low, high = np.array([(score.value, score.low, score.high) for score in (s or missing for s in scores)]).T
    return value, low, high


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
    values = _finite([*(curve[0] for curve in curves.values()), *(part for curve in steady for part in curve)])
    if values.size == 0:
        return Window(0.0, 1.0)
    heights = _finite(curve[0] for curve in curves.values())
    references = _finite(curve[0] for curve in steady) if steady else values
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
        high = float(_finite(part for curve in curves.values() for part in curve).max())
    return Window(low - 0.04 * span, high + 0.04 * span)


def _finite(arrays: Iterable[Vector]) -> Vector:
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


def _end_name(model: str, values: Vector, window: Window, meaning: Meaning) -> str:
    """The name of a curve, with its last value and an arrow if that lies beyond the axis."""
    end = float(values[-1])
    if math.isnan(end) or window.low <= end <= window.high:
        return model
    return f"{model} {'↓' if end < window.low else '↑'} {number(end, meaning.perfect)}"


def _label_ends(axes: Axes, board: Board, theme: Theme, window: Window, ends: Mapping[str, tuple[str, float]]) -> None:
    """Names at the right ends of the curves, moved apart so that none covers another."""
    known = {name: end for name, end in ends.items() if not math.isnan(end[1])}
    wanted = window.share(np.array([value for _, value in known.values()]))
    look = looks(board.models, theme)
    for (name, (model, _)), height in zip(known.items(), spread(wanted, 0.065), strict=True):
        weight = "bold" if board.models[model] == "surrogate" else "normal"
        font: dict[str, Any] = {"color": look[model].color, "fontsize": 8, "fontweight": weight}
        axes.text(1.03, height, name, transform=axes.transAxes, va="center", **font)


def inches(names: Iterable[str]) -> float:
    """Room for the longest of some names, within reason."""
    return 0.2 + 0.078 * min(max(map(len, names), default=0), 26)


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


def _time_axis(axes: Axes, times: Vector, labels: Sequence[str]) -> None:
    """Logarithmic where the lead times are; ticks where there are values and room for their labels."""
    logarithmic = times[0] > 0 and times[-1] / times[0] > 8
    places = np.log(times) if logarithmic else times
    places = (places - places[0]) / (places[-1] - places[0])
    kept = [len(times) - 1]
    for index in range(len(times) - 2, -1, -1):
        if places[kept[-1]] - places[index] > 0.09:
            kept.append(index)
    axes.set_xscale("log" if logarithmic else "linear")
    axes.xaxis.set_major_locator(FixedLocator(times[kept].tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([labels[index] for index in kept])
    axes.margins(x=0.03)


def _named(board: Board, model: str) -> str:
    return f"{model} (uses the truth)" if board.models[model] == "oracle" else model


def _spoken(board: Board, by: Headline, horizon: str, models: Iterable[str] | None = None, family: str = "all") -> str:
    """The figure in words, for those who do not see it."""
    order = board.models if models is None else models
    found = {model: board.score(model, by.metric, family, horizon) for model in order}
    return ", ".join(f"{_named(board, model)} {by.text(score)}" for model, score in found.items() if score)
