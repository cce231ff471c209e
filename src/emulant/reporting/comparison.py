"""Several runs of one system as one dictionary, and the figure that shows their scores side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np
import orjson
from matplotlib.figure import Figure

from emulant.reporting.axes import Curve, Window, draw_dots, window_of
from emulant.reporting.boards import Board, Meaning, Score
from emulant.reporting.figures import WIDTH, Drawing, Picture, framed, inches
from emulant.reporting.numbers import interval, number
from emulant.reporting.scoreboards import cell
from emulant.reporting.style import Look, Theme
from emulant.reporting.verdict import Headline, lead, title

FORMAT = 1
MARKERS = ("o", "D", "s", "^", "v", "P", "X")


@dataclass(frozen=True)
class Entry:
    """What is compared of a run."""

    folder: str
    document: Mapping[str, Any]
    """The study, every default filled in."""
    hashes: Mapping[str, str]
    """Split -> dataset_sha256."""
    boards: Sequence[Board]


@dataclass(frozen=True)
class Difference:
    """A model of a run less the same model of the first run, on the same cases; NaN ends where no interval is known."""

    board: str
    model: str
    run: str
    score: Score


def summarise(
    system: str,
    entries: Mapping[str, Entry],
    by: Headline,
    differences: Sequence[Difference],
    pictures: Sequence[Picture],
) -> dict[str, Any]:
    """The comparison as a dictionary of JSON types."""
    reference = next(iter(entries))
    return {
        "format": FORMAT,
        "system": system,
        "headline": by.metric,
        "metric": asdict(by.meaning),
        "reference": reference,
        "lead": _lead(entries, by, differences),
        "runs": [
            {"name": name, "folder": entry.folder, "lead": lead(entry.boards, by), "data": dict(entry.hashes)}
            for name, entry in entries.items()
        ],
        "boards": [_board(name, entries, by, differences) for name in _contests(entries)],
        "study": list(_study_rows(entries)),
        "data": _data_rows(entries),
        "pictures": [asdict(picture) for picture in pictures],
    }


def ladder(boards: Mapping[str, Board], by: Headline) -> Drawing:
    """The headline score of every model in every run: a row for each model, a colour for each run."""
    first = next(iter(boards.values()))
    models = _models(boards, by)
    points = {run: _points(board, models, by.metric) for run, board in boards.items()}
    each = {f"{model} ({run})": (board, model) for run, board in boards.items() for model in models}
    everyone = replace(first, models={name: board.models.get(model, "oracle") for name, (board, model) in each.items()})
    window = window_of(
        everyone, by.meaning, {name: _points(board, [model], by.metric) for name, (board, model) in each.items()}
    )
    step = len(boards) + 0.8
    height = 0.95 + 0.17 * step * len(models) + 0.2 * math.ceil(len(boards) / 2)

    def draw(theme: Theme) -> Figure:
        above = 0.15 + 0.2 * math.ceil(len(boards) / 2)
        figure, axes = framed(WIDTH, height, left=inches(models) / WIDTH, right=0.97, inches_above=above)
        rows = step * np.arange(float(len(models)))
        for offset, (run, color, marker) in enumerate(zip(boards, cycle(theme.surrogates), cycle(MARKERS))):
            draw_dots(axes, rows + offset, points[run], Look(color, "solid", marker, 1.5), window, label=run)
        axes.hlines(rows[1:] - 0.9, window.low, window.high, color=theme.line, linewidth=0.8)
        window.apply(axes.xaxis)
        axes.set(ylim=(step * len(models) - 0.8, -0.9), xlabel=by.axis)
        axes.set_yticks(rows + (len(boards) - 1) / 2, models)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="upper left", ncols=2, fontsize=8, handletextpad=0.2)
        return figure

    said = "; ".join(f"{run}: " + ", ".join(_said(board, models, by)) for run, board in boards.items())
    return Drawing(
        draw,
        f"{by.metric}: {title(first, by.time_unit)}",
        "Dots: mean over the cases. Lines: confidence intervals over the cases. An arrow: beyond the axis.",
        f"{by.metric} by run. {said}",
        "leaderboard",
    )


def _window(boards: Mapping[str, Board], models: Sequence[str], by: Headline) -> Window:
    """What the axis shows, as if all models of all runs had met on one board."""
    each = {(run, model): f"{model} ({run})" for run in boards for model in models}
    kinds = {name: boards[run].models.get(model, "oracle") for (run, model), name in each.items()}
    curves = {name: _points(boards[run], [model], by.metric) for (run, model), name in each.items()}
    return window_of(replace(next(iter(boards.values())), models=kinds), by.meaning, curves)


def _models(boards: Mapping[str, Board], by: Headline) -> list[str]:
    """Every model that has a score in some run, surrogates first, as in the first run that has it."""
    found = {model: kind for board in boards.values() for model, kind in board.models.items()}
    order = ("surrogate", "baseline", "oracle")
    scored = [model for model in found if any(board.score(model, by.metric) for board in boards.values())]
    return sorted(scored, key=lambda model: (order.index(found[model]), list(found).index(model)))


def _points(board: Board, models: Sequence[str], metric: str) -> Curve:
    missing = Score(math.nan, math.nan, math.nan, 0)
    scores = [board.score(model, metric) or missing for model in models]
    value, low, high = np.array([(score.value, score.low, score.high) for score in scores]).T
    return value, low, high


def _said(board: Board, models: Sequence[str], by: Headline) -> list[str]:
    return [f"{model} {by.text(score)}" for model in models if (score := board.score(model, by.metric))]


# -- the dictionary -------------------------------------------------------------------------------------------------


def _contests(entries: Mapping[str, Entry]) -> list[str]:
    return list(dict.fromkeys(board.name for entry in entries.values() for board in entry.boards))


def _at(entry: Entry, name: str) -> Board | None:
    return next((board for board in entry.boards if board.name == name), None)


def _board(name: str, entries: Mapping[str, Entry], by: Headline, differences: Sequence[Difference]) -> dict[str, Any]:
    boards = {run: board for run, entry in entries.items() if (board := _at(entry, name)) is not None}
    first = next(iter(boards.values()))
    known = {(each.model, each.run): each for each in differences if each.board == name}
    kinds = {model: kind for board in boards.values() for model, kind in board.models.items()}
    rows = []
    for model in _models(boards, by):
        scores = {run: board.score(model, by.metric) for run, board in boards.items()}
        rows.append(
            {
                "model": model,
                "kind": kinds[model],
                "cells": {
                    run: cell(scores.get(run), by.meaning) | {"difference": _told(known.get((model, run)), by.meaning)}
                    for run in entries
                },
            }
        )
    paired = sorted({run for _, run in known}, key=list(entries).index)
    return {"name": name, "title": title(first, by.time_unit), "paired": paired, "rows": rows}


def _told(difference: Difference | None, meaning: Meaning) -> dict[str, Any] | None:
    """A difference as numbers and words: better, worse, or not clearly either."""
    if difference is None:
        return None
    score = difference.score
    clear = score.low > 0 or score.high < 0
    better = (score.value > 0) == (meaning.better == "higher")
    word = ("better" if better else "worse") if clear else "equal" if score.value == 0 else "not clearly different"
    sign = "+" if score.value > 0 else ""
    return {
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "n": score.n,
        "text": f"{sign}{number(score.value)}",
        "interval": interval(score.low, score.high),
        "word": "" if math.isnan(score.low) and score.value != 0 else word,
    }


def _lead(entries: Mapping[str, Entry], by: Headline, differences: Sequence[Difference]) -> str:
    """Which run has the best surrogate on the first contest, and whether its lead over the first run is clear."""
    contest = _contests(entries)[0] if _contests(entries) else ""
    boards = {run: board for run, entry in entries.items() if (board := _at(entry, contest)) is not None}
    scored = {
        (run, model): score
        for run, board in boards.items()
        for model in board.of_kind("surrogate")
        if (score := board.score(model, by.metric)) is not None
    }
    if not scored:
        return "No run has a surrogate that was scored."
    run, model = min(scored, key=lambda key: by.meaning.best_first(scored[key].value))
    where = title(boards[run], by.time_unit)
    said = f"`{model}` of {run} has the best {by.metric} on {where}: {by.with_interval(scored[run, model])}"
    told = next((each for each in differences if (each.board, each.model, each.run) == (contest, model, run)), None)
    reference = next(iter(entries))
    if told is None:
        further = "" if run == reference else f"; the test cases of {reference} are others, or lack `{model}`"
        return f"{said}{further}."
    ends = interval(told.score.low, told.score.high)
    return (
        f"{said}; less that of {reference} on the same {told.score.n} cases: {number(told.score.value)} {ends}".strip()
        + "."
    )


def _study_rows(entries: Mapping[str, Entry]) -> Iterator[dict[str, Any]]:
    """The keys of the study that differ, with the value that each run has."""
    flat = {run: dict(_flat(entry.document)) for run, entry in entries.items()}
    for key in sorted({key for values in flat.values() for key in values}):
        values = {run: _text(its[key]) if key in its else None for run, its in flat.items()}
        if len(set(values.values())) > 1:
            yield {"key": key, "values": values}


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def _data_rows(entries: Mapping[str, Entry]) -> list[dict[str, Any]]:
    splits = dict.fromkeys(split for entry in entries.values() for split in entry.hashes)
    rows = []
    for split in splits:
        hashes = {run: entry.hashes.get(split) for run, entry in entries.items()}
        rows.append({"split": split, "hashes": hashes, "same": len(set(hashes.values())) == 1})
    return rows
