"""The metrics frame as contests: one board per split and start, with a look-up of every score on it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import polars as pl

from emulant.dataset.seams import Metric
from emulant.errors import DataError

COLUMNS = ("split", "model", "kind", "metric", "group", "horizon", "value", "ci_low", "ci_high", "n")
KINDS = ("surrogate", "baseline", "oracle")
Key: TypeAlias = tuple[str, str, str, str]
"""Model, metric, family, horizon."""


@dataclass(frozen=True)
class Meaning:
    """What a metric says, without the function that computes it."""

    unit: str
    meaning: str
    better: Literal["higher", "lower"]
    perfect: float

    @property
    def worst(self) -> float:
        """Where a diverged forecast ends."""
        return -math.inf if self.better == "higher" else math.inf

    def beats(self, value: float, other: float) -> bool:
        """Whether `value` is strictly better; nothing undefined beats anything."""
        return value > other if self.better == "higher" else value < other

    def best_first(self, value: float) -> float:
        """A sort key: best first, undefined last."""
        if math.isnan(value):
            return math.inf
        return -value if self.better == "higher" else value


DERIVED = {
    "skill": Meaning(
        "1",
        "share of the gap between the best baseline and a perfect forecast that is closed; below 0: worse than it",
        "higher",
        1.0,
    ),
    "diverged": Meaning("1", "share of the cases whose forecast left every bound", "lower", 0.0),
}
"""Metrics that evaluation adds to those of a system."""


def described(metrics: Mapping[str, Metric]) -> dict[str, Meaning]:
    """The meanings of a system's metrics and of those that evaluation derives from them."""
    own = {
        name.partition("/")[0]: Meaning(metric.unit, metric.meaning, metric.better, metric.perfect)
        for name, metric in metrics.items()
    }
    return {**own, **{name: meaning for name, meaning in DERIVED.items() if name not in own}}


@dataclass(frozen=True)
class Score:
    """A value with its interval and the number of cases behind it."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Board:
    """One contest: the models on one split, their forecasts starting at one place.

    `start` is "" for the start of the case (cold), else the time of the last context frame as text (warm).
    """

    split: str
    start: str
    models: Mapping[str, str]
    """Name to kind."""
    families: tuple[str, ...]
    horizons: tuple[str, ...]
    """Lead times in ascending order, without `all`."""
    scores: Mapping[Key, Score]

    @property
    def name(self) -> str:
        """Safe in a file name and in an anchor."""
        return self.split + (f"_at_{self.start}" if self.start else "")

    def of_kind(self, kind: str) -> list[str]:
        return [model for model, its_kind in self.models.items() if its_kind == kind]

    def score(self, model: str, metric: str, family: str = "all", horizon: str = "all") -> Score | None:
        return self.scores.get((model, metric, family, horizon))

    def ranked(self, metric: str, meaning: Meaning, models: Iterable[str]) -> list[str]:
        """`models`, best first; those without the score last, ties by name."""
        unscored = Score(math.nan, math.nan, math.nan, 0)
        values = {model: self.scores.get((model, metric, "all", "all"), unscored).value for model in models}
        return sorted(values, key=lambda model: (meaning.best_first(values[model]), model))

    def best_baseline(
        self, metric: str, meaning: Meaning, family: str = "all", horizon: str = "all"
    ) -> tuple[str, Score] | None:
        """The baseline that is hardest to beat here."""
        scored = [(name, self.score(name, metric, family, horizon)) for name in self.of_kind("baseline")]
        known = [(name, score) for name, score in scored if score is not None and not math.isnan(score.value)]
        return min(known, key=lambda pair: (meaning.best_first(pair[1].value), pair[0]), default=None)


def boards(metrics: pl.DataFrame) -> tuple[Board, ...]:
    """Every contest of a metrics frame: `test` first, cold before warm.

    Raises:
        DataError: A column is missing, or a kind is unknown.
    """
    if missing := [column for column in COLUMNS if column not in metrics.columns]:
        raise DataError(f"The metrics have no column {', '.join(missing)}.", "Run `emulant evaluate` again.")
    if unknown := sorted(set(metrics["kind"].unique()) - set(KINDS)):
        raise DataError(f"The metrics have rows of unknown kind {unknown[0]!r}.", f"Known: {', '.join(KINDS)}.")
    contests: dict[tuple[str, str], list[tuple[str, str, Key, Score]]] = {}
    for split, model, kind, metric, group, horizon, *numbers, n in metrics.select(COLUMNS).iter_rows():
        family, start = split_group(group)
        value, low, high = (math.nan if number is None else float(number) for number in numbers)
        row = (model, kind, (model, metric, family, horizon), Score(value, low, high, int(n)))
        contests.setdefault((split, start), []).append(row)
    order = sorted(contests, key=lambda key: (key[0] != "test", key[0], float(key[1] or "-inf")))
    return tuple(_board(split, start, contests[split, start]) for split, start in order)


def _board(split: str, start: str, rows: list[tuple[str, str, Key, Score]]) -> Board:
    families = {key[2] for *_, key, _ in rows if key[2] != "all"}
    overall = {key[1] for *_, key, _ in rows if key[3] == "all"}  # what has an axis of its own has no `all`
    horizons = {key[3] for *_, key, _ in rows if key[3] != "all" and (key[1] in overall or not overall)}
    models = {model: kind for model, kind, *_ in rows}
    return Board(
        split,
        start,
        dict(sorted(models.items(), key=lambda item: (KINDS.index(item[1]), item[0]))),
        tuple(sorted(families)),
        tuple(sorted(horizons, key=float)),
        {key: score for *_, key, score in rows},
    )


def split_group(group: str) -> tuple[str, str]:
    """`ring@1` as ("ring", "1"), `ring` as ("ring", "")."""
    warm = re.fullmatch(r"(.+)@(\d+(?:\.\d+)?)", group)
    return (warm[1], warm[2]) if warm else (group, "")
