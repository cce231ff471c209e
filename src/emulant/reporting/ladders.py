"""The figures of a contest that every report has: ladder, lead times, groups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emulant.dataset.seams import Metric
from emulant.reporting.axes import Curve, Vector, Window, draw_dots, spread, time_axis, window_of
from emulant.reporting.boards import Board, Meaning, Score, boards, described
from emulant.reporting.figures import WIDTH, Drawing, Picture, Section, framed, inches
from emulant.reporting.numbers import lead_text, number
from emulant.reporting.style import Theme, looks
from emulant.reporting.verdict import Headline, title

MOST_FAMILIES = 20
"""That a figure can show; more stand in the table alone."""


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
        time_axis(axes, times, board.horizons)
        ends = {names[model]: (model, curve[0][-1]) for model, curve in curves.items()}
        _label_ends(axes, board, theme, window, ends)
        return figure

    last = board.horizons[-1]
    return Drawing(
        draw,
        f"{by.metric} against lead time: {title(board, by.time_unit)}",
        f"Each value is over all forecast frames up to that lead time. "
        f"Bands: {_INTERVALS}, of the surrogates and the best baseline. {_OFF_SCALE}",
        f"{by.metric} at lead time {lead_text(last)} {by.time_unit}: " + _spoken(board, by, last),
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


_INTERVALS = "confidence intervals over the cases"


_OFF_SCALE = "An arrow marks a value that lies beyond the axis."


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


def _named(board: Board, model: str) -> str:
    return f"{model} (uses the truth)" if board.models[model] == "oracle" else model


def _spoken(board: Board, by: Headline, horizon: str, models: Iterable[str] | None = None, family: str = "all") -> str:
    """The figure in words, for those who do not see it."""
    order = board.models if models is None else models
    found = {model: board.score(model, by.metric, family, horizon) for model in order}
    return ", ".join(f"{_named(board, model)} {by.text(score)}" for model, score in found.items() if score)
