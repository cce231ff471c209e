"""What is shown of a comparison: a row for each point and surrogate, and what can be said of the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emulant.reporting.numbers import number
from emulant.sweeping.comparison import LOSS, Comparison, Score, shortened, text, values_told
from emulant.sweeping.points import VALIDATION, Point


@dataclass(frozen=True)
class Row:
    """A point and one of its surrogates; a point that failed or is missing has one row without scores."""

    point: Point
    values: tuple[str, ...]
    """As text, in the order of the keys."""
    state: str
    score: Score | None = None
    loss: float | None = None
    """On the validation split, at the best epoch."""
    epoch: int | None = None
    """The one that the weights are of."""
    best: bool = False


def rows(comparison: Comparison) -> list[Row]:
    """In the order of the points."""
    found = []
    best, reached = comparison.best, comparison.score(comparison.best) if comparison.best else None
    for point in comparison.points:
        values, state = tuple(text(value) for value in point.values.values()), comparison.state(point)
        scores = comparison.scores(point)
        found += [
            Row(point, values, state, score, *_training(comparison, point, name), point is best and score == reached)
            for name, score in scores.items()
        ] or [Row(point, values, state)]
    return found


def _training(comparison: Comparison, point: Point, surrogate: str) -> tuple[float | None, int | None]:
    import polars as pl

    kept = comparison.frame.filter(pl.col("metric").is_in([LOSS, "best_epoch"]), point=point.name, model=surrogate)
    found = dict(kept.select("metric", "value").iter_rows())
    return found.get(LOSS), int(found["best_epoch"]) if "best_epoch" in found else None


def table(comparison: Comparison) -> tuple[list[str], list[list[Any]]]:
    """Head and rows for a terminal."""
    perfect, shown = comparison.objective.meaning.perfect, rows(comparison)
    trained = any(row.epoch for row in shown)
    head = [*shortened(comparison.points[0].values), "surrogate", comparison.objective.metric]
    cells = [
        [
            *row.values,
            row.score.model if row.score else row.state,
            row.score.told(perfect) if row.score else "",
            *([row.loss, row.epoch] if trained else []),
            "best" if row.best else "",
        ]
        for row in shown
    ]
    return [*head, *([LOSS, "best epoch"] if trained else []), ""], cells


def sentences(comparison: Comparison) -> list[str]:
    """What the comparison says, and what it does not."""
    objective, best = comparison.objective, comparison.best
    if best is None:
        return ["No point has a score."]
    score = comparison.score(best)
    assert score is not None  # the best has one
    perfect = objective.meaning.perfect
    said = [
        f"The best of {len(comparison.done)} points by `{objective.metric}` on the {comparison.split} split: "
        f"{values_told(best.values)}, by `{score.model}` with {score.told(perfect)}."
    ]
    others = [each for point in comparison.done if point is not best and (each := comparison.score(point))]
    close = sum(_overlap(score, each) for each in others)
    if close:
        said.append(f"The intervals of {close} other point{'s' if close > 1 else ''} overlap with its own.")
    if (baseline := comparison.baseline()) is not None:
        beats = objective.meaning.beats(score.value, baseline.value)
        verb = "beats" if beats else "does not beat"
        said.append(f"It {verb} the best baseline, `{baseline.model}` with {number(baseline.value, perfect)}.")
    return [*said, _caution(comparison)]


def _overlap(one: Score, other: Score) -> bool:
    return one.low <= other.high and other.low <= one.high


def _caution(comparison: Comparison) -> str:
    if comparison.split == VALIDATION:
        return (
            "A score that a point was chosen by flatters it: what it is worth, the test split says, which no point has "
            "seen."
        )
    return (
        f"These are scores on the split `{comparison.split}`, for the study has no validation split: they show what "
        "the settings do; who chooses by them has no test left."
    )


def next_command(comparison: Comparison) -> str:
    """What tests the best point."""
    if comparison.best is None:
        return ""
    folder = comparison.best.run.folder
    return f"emulant run {folder.study} -o {folder.root}"


def value(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON types."""
    return {
        "best": comparison.best.name if comparison.best else None,
        "metric": comparison.objective.metric,
        "split": comparison.split,
        "points": [comparison.told(point) for point in comparison.points],
        "table": str(comparison.csv),
        "page": str(comparison.page),
    }


def failed(comparison: Comparison) -> Sequence[str]:
    return [f"{name}: {reason}" for name, reason in comparison.failures.items()]
