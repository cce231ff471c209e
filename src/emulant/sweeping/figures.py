"""The figures of a sweep: every point with its interval, the score along each numeric key, the curves of training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emulant.reporting.style import Theme, looks, save
from emulant.sweeping.comparison import Comparison, curves, shortened, values_told
from emulant.sweeping.points import Point

SHOWN = 40
"""Points in one figure; of more, the best."""
_LOG_SPAN = 20
"""Positive values whose largest and smallest are that far apart are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Drawing:
    """A figure and what stands below it."""

    name: str
    caption: str
    wide: bool
    """Whether it takes the whole width of the page."""
    draw: Callable[[Theme], Figure]

    def save(self, folder: Path) -> dict[str, Path]:
        return save(self.draw, folder, self.name)


def drawings(comparison: Comparison) -> Iterator[Drawing]:
    """All figures that the comparison has something for."""
    if not comparison.done:
        return
    yield Drawing("points", _caption(comparison), False, lambda theme: _ladder(comparison, theme))
    for key, short in zip(comparison.points[0].values, shortened(comparison.points[0].values), strict=True):
        if len(set(_numbers(comparison, key))) > 2:
            yield Drawing(
                f"along_{_plain(short)}",
                f"The same scores along `{key}`; where other keys differ, points of one value stand above each other.",
                False,
                lambda theme, key=key, short=short: _along(comparison, key, short, theme),  # type: ignore[misc]
            )
    trained = {name for point in comparison.done for name in curves(point)}
    for surrogate in sorted(trained):
        caption = f"`{surrogate}`: loss on the validation split and its parts against the epoch, point by point."
        yield Drawing(
            f"curves_{surrogate}",
            caption,
            True,
            lambda _, surrogate=surrogate: _curves(comparison, surrogate),  # type: ignore[misc]
        )


def _caption(comparison: Comparison) -> str:
    shown, sure = _chosen(comparison), 100 * comparison.study.evaluation.confidence
    part = "" if len(shown) == len(comparison.done) else f" The best {len(shown)} of {len(comparison.done)} points."
    return (
        f"`{comparison.objective.metric}` of every point on the {comparison.split} split, with {sure:g} % intervals "
        f"over its cases; {comparison.objective.meaning.better} is better.{part}"
    )


def _chosen(comparison: Comparison) -> list[Point]:
    """The points to show, in their own order."""
    rank = comparison.objective.meaning.best_first
    scores = [comparison.score(point) for point in comparison.done]
    ranked = sorted((rank(score.value), number) for number, score in enumerate(scores) if score is not None)
    kept = {number for _, number in ranked[:SHOWN]}
    return [point for number, point in enumerate(comparison.done) if number in kept]


def _ladder(comparison: Comparison, theme: Theme) -> Figure:
    """A line for each point, a mark with its interval for each surrogate."""
    points = _chosen(comparison)
    styles = looks(dict.fromkeys(comparison.study.surrogates, "surrogate"), theme)
    figure = Figure(figsize=(6.4, 1.1 + 0.3 * len(points)), layout="constrained")
    axes = figure.add_subplot()
    finite = []
    for row, point in enumerate(points):
        scores = comparison.scores(point)
        for place, (name, score) in enumerate(scores.items()):
            if math.isfinite(score.value):
                finite += [score.value, score.low, score.high]
                offset = (place - (len(scores) - 1) / 2) * 0.22
                _mark(axes, (score.value, row + offset), (score.low, score.high), styles[name], along="x")
    axes.set_yticks(range(len(points)), [values_told(point.values) for point in points])
    axes.set_ylim(len(points) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(comparison.objective.metric)
    _scale(axes.set_xscale, finite)
    _reference(comparison, axes.axvline, theme)
    _name_models(axes, figure, comparison, styles, theme)
    return figure


def _along(comparison: Comparison, key: str, short: str, theme: Theme) -> Figure:
    """The score against one numeric key."""
    styles = looks(dict.fromkeys(comparison.study.surrogates, "surrogate"), theme)
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes, finite = figure.add_subplot(), list[float]()
    alone = len(comparison.points[0].values) == 1
    for name, look in styles.items():
        line = []
        for point in comparison.done:
            score, at = comparison.scores(point).get(name), point.values[key]
            if score is None or not math.isfinite(score.value) or not _is_number(at):
                continue
            finite += [score.value, score.low, score.high]
            _mark(axes, (at, score.value), (score.low, score.high), look, along="y")
            line.append((at, score.value))
        if alone and line:
            axes.plot(*zip(*sorted(line), strict=True), color=look.color, linewidth=1, alpha=0.6)
    axes.set_xlabel(short)
    axes.set_ylabel(comparison.objective.metric)
    _scale(axes.set_xscale, _numbers(comparison, key))
    _scale(axes.set_yscale, finite)
    _reference(comparison, axes.axhline, theme)
    _name_models(axes, figure, comparison, styles, theme)
    return figure


def _curves(comparison: Comparison, surrogate: str) -> Figure:
    """The loss on the validation split of every point, and its parts if it has some; a panel each."""
    known = [(point, found[surrogate]) for point in _chosen(comparison) if surrogate in (found := curves(point))]
    names = _panels([frame for _, frame in known])
    wide = min(3, len(names))
    tall = -(-len(names) // wide)
    figure = Figure(figsize=(max(5.2, 3.0 * wide), 0.5 + 2.5 * tall), layout="constrained")
    colors = _shades(len(known))
    for number, name in enumerate(names, 1):
        axes, finite = figure.add_subplot(tall, wide, number), list[float]()
        for (_, frame), color in zip(known, colors, strict=True):
            if name not in frame.columns:
                continue
            rows = frame.select("epoch", name).drop_nulls()
            finite += [value for value in rows[name].to_list() if math.isfinite(value)]
            marker = "o" if len(rows) < 5 else ""  # a line through one point is not seen
            axes.plot(
                rows["epoch"].to_numpy(),
                rows[name].to_numpy(),
                color=color,
                linewidth=1.4,
                marker=marker,
                markersize=4,
            )
        axes.set_title(name, fontsize=9)
        if number > len(names) - wide:
            axes.set_xlabel("epoch")
        _scale(axes.set_yscale, finite, span=4)
    lines = [figure.axes[0].plot([], [], color=color)[0] for color in colors]
    labels = [values_told(point.values) for point, _ in known]
    columns = max(1, min(3, 90 // (max(map(len, labels)) + 6)))
    figure.legend(lines, labels, loc="outside lower center", ncols=columns, fontsize=8)
    return figure


def _panels(frames: Sequence[pl.DataFrame]) -> list[str]:
    """The columns worth a panel: losses on the validation split, or on training where there are none."""
    columns = list(dict.fromkeys(name for frame in frames for name in frame.columns))
    for prefix in ("validation_", "train_"):
        found = [
            name
            for name in columns
            if name.startswith(prefix) and any(name in frame.columns and frame[name].count() > 0 for frame in frames)
        ]
        if found:
            return found
    return ["train_loss"]


def _mark(axes: Axes, at: tuple[float, float], ends: tuple[float, float], look: Any, *, along: str) -> None:
    """A score with its interval; an end that is not finite is left out."""
    x, y = at
    if all(map(math.isfinite, ends)):
        xs, ys = (ends, (y, y)) if along == "x" else ((x, x), ends)
        axes.plot(xs, ys, color=look.color, linewidth=1.6, alpha=0.55)
    axes.plot([x], [y], color=look.color, marker=look.marker, markersize=5)


def _reference(comparison: Comparison, line: Callable[..., Any], theme: Theme) -> None:
    baseline = comparison.baseline()
    if baseline is not None and math.isfinite(baseline.value):
        line(baseline.value, color=theme.muted, linewidth=1, linestyle=(0, (4, 2)))


def _name_models(axes: Axes, figure: Figure, comparison: Comparison, styles: Any, theme: Theme) -> None:
    names = {name for point in comparison.done for name in comparison.scores(point)}
    shown = [
        axes.plot([], [], color=look.color, marker=look.marker, linewidth=1.6, label=name)[0]
        for name, look in styles.items()
        if name in names
    ]
    baseline = comparison.baseline()
    if baseline is not None and math.isfinite(baseline.value):
        label = f"{baseline.model} (best baseline)"
        shown += axes.plot([], [], color=theme.muted, linewidth=1, linestyle=(0, (4, 2)), label=label)
    figure.legend(handles=shown, loc="outside lower center", ncols=len(shown), fontsize=8)


def _scale(setter: Callable[[str], Any], numbers: Sequence[float], span: float = _LOG_SPAN) -> None:
    if numbers and min(numbers) > 0 and max(numbers) > span * min(numbers):
        setter("log")


def _numbers(comparison: Comparison, key: str) -> list[float]:
    return [point.values[key] for point in comparison.done if _is_number(point.values[key])]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shades(count: int) -> list[Any]:
    """Colours from dark to light, in the order of the points, that are seen on light and dark paper."""
    from matplotlib import colormaps

    scale = colormaps["plasma"]
    return [scale(0.1 + 0.75 * place / max(1, count - 1)) for place in range(count)]


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
