"""The points of a sweep side by side: `sweep.csv`, `sweep.json`, and which of them is the best."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulant.dataset.atomic import write_json, write_text
from emulant.errors import UsageError
from emulant.reporting.boards import Meaning, described
from emulant.reporting.numbers import interval, number
from emulant.runs import read_json
from emulant.study import Study
from emulant.sweeping.points import Point, judged_split
from emulant.sweeping.space import Values
from emulant.training.workshop import MARK

if TYPE_CHECKING:
    import polars as pl

LOSS = "validation_loss"
LOSSES = Meaning("1", "loss at the best epoch, the one that the weights are of", "lower", 0.0)


@dataclass(frozen=True)
class Objective:
    """What points are ranked by."""

    metric: str
    """One of the system's, or `validation_loss`."""
    surrogate: str
    """Of which surrogate; empty: of the best one of each point."""
    meaning: Meaning

    @classmethod
    def of(cls, study: Study, metric: str = "", surrogate: str = "") -> Objective:
        """The objective of that name; by default the system's headline.

        Raises:
            UsageError: The system has no such metric, or the study no such surrogate.
        """
        known = described(study.system.metrics) | {LOSS: LOSSES}
        metric = LOSS if metric == "loss" else metric or study.system.headline
        if metric not in known:
            raise UsageError(f"--optimize {metric}: there is no such metric.", f"Allowed: {', '.join(known)}, or loss.")
        if surrogate and surrogate not in study.surrogates:
            raise UsageError(
                f"--surrogate {surrogate}: the study has none of that name.", f"It has {', '.join(study.surrogates)}."
            )
        return cls(metric, surrogate, known[metric])


@dataclass(frozen=True)
class Score:
    """What a point reached: by which surrogate, and how sure."""

    model: str
    value: float
    low: float
    high: float
    n: int

    def told(self, perfect: float) -> str:
        return f"{number(self.value, perfect)} {interval(self.low, self.high, perfect)}".strip()


@dataclass(frozen=True)
class Comparison:
    """The points of a sweep, those that failed or are missing included."""

    root: Path
    points: Sequence[Point]
    objective: Objective
    failures: Mapping[str, str]
    """Point -> why it failed."""

    @property
    def study(self) -> Study:
        return self.points[0].run.study

    @property
    def split(self) -> str:
        """On which the points are compared."""
        return judged_split(self.study)

    @property
    def page(self) -> Path:
        return self.root / "sweep.html"

    @property
    def csv(self) -> Path:
        return self.root / "sweep.csv"

    def state(self, point: Point) -> str:
        """`done`, `failed` or `missing`."""
        if point.name in self.failures:
            return "failed"
        return "done" if point in self.done else "missing"

    @cached_property
    def done(self) -> list[Point]:
        return [point for point in self.points if point.name not in self.failures and point.is_done]

    @cached_property
    def frame(self) -> pl.DataFrame:
        """Every score of every point: `point`, a column for each key, then those of metrics.csv; losses are scores of
        the best epoch, without an interval."""
        import polars as pl

        frames = [scores_of(point) for point in self.done]
        return pl.concat(frames) if frames else pl.DataFrame()

    def scores(self, point: Point) -> dict[str, Score]:
        """Surrogate -> its score by the objective, over everything."""
        if point not in self.done:
            return {}
        rows = self.frame.filter(
            point=point.name, kind="surrogate", metric=self.objective.metric, group="all", horizon="all"
        )
        found = {
            row["model"]: Score(row["model"], row["value"], row["ci_low"], row["ci_high"], row["n"])
            for row in rows.iter_rows(named=True)
        }
        wanted = self.objective.surrogate
        return {name: score for name, score in found.items() if wanted in ("", name)}

    def score(self, point: Point) -> Score | None:
        """What the point is ranked by."""
        rank = self.objective.meaning.best_first
        return min(self.scores(point).values(), key=lambda score: rank(score.value), default=None)

    @property
    def best(self) -> Point | None:
        """The best point that can be ranked; of equal ones the first."""
        rank, ranked = self.objective.meaning.best_first, list[tuple[float, int]]()
        for place, point in enumerate(self.points):
            score = self.score(point)
            if score is not None and math.isfinite(score.value):
                ranked.append((rank(score.value), place))
        return self.points[min(ranked)[1]] if ranked else None

    def baseline(self) -> Score | None:
        """The best baseline by the objective, if all points share one."""
        import polars as pl

        if not self.done:
            return None
        rows = self.frame.filter(kind="baseline", metric=self.objective.metric, group="all", horizon="all")
        shared = rows.group_by("model").agg(pl.all().first(), pl.col("value").n_unique().alias("different"))
        found = [
            Score(row["model"], row["value"], row["ci_low"], row["ci_high"], row["n"])
            for row in shared.iter_rows(named=True)
            if row["different"] == 1
        ]
        rank = self.objective.meaning.best_first
        return min(found, key=lambda score: (rank(score.value), score.model), default=None)

    def write(self) -> None:
        """Write `sweep.csv` and `sweep.json`."""
        write_text(self.csv, self.frame.write_csv() if self.done else "")
        best = self.best
        value = {
            "split": self.split,
            "metric": self.objective.metric,
            "better": self.objective.meaning.better,
            "best": best.name if best else None,
            "points": [self.told(point) for point in self.points],
        }
        write_json(self.root / "sweep.json", value)

    def told(self, point: Point) -> dict[str, Any]:
        score = self.score(point)
        return {
            "point": point.name,
            "values": dict(point.values),
            "state": self.state(point),
            "reason": self.failures.get(point.name, ""),
            "score": vars(score) if score else None,
        }


def scores_of(point: Point) -> pl.DataFrame:
    """All scores of a point on the split that it is compared on, and its losses; its values stand in every row."""
    import polars as pl

    judged = point.judged
    scored = judged.metrics.filter(split=judged.judged)
    rows = [_row(scored.schema, judged.judged, *loss) for loss in losses(point)]
    whole = pl.concat([scored, pl.DataFrame(rows, schema=scored.schema)])
    values = [pl.lit(text(value)).alias(key) for key, value in point.values.items()]
    return whole.select(pl.lit(point.name).alias("point"), *values, pl.all())


def losses(point: Point) -> Iterator[tuple[str, str, float]]:
    """Surrogate, column, value: the losses of the epoch that its weights are of."""
    for name, curve in curves(point).items():
        (best,) = curve.filter(epoch=best_epoch(point, name)).rows(named=True)[:1] or ({},)
        for column, value in best.items():
            if column == "epoch":
                yield name, "best_epoch", float(value)
            elif column.startswith(("train_", "validation_")) and isinstance(value, float):
                yield name, column, value


def curves(point: Point) -> dict[str, pl.DataFrame]:
    """Surrogate -> its training curves; those that have none are left out."""
    import polars as pl

    paths = {name: point.run.folder.curves(name) for name in point.run.study.surrogates}
    return {name: pl.read_csv(path, infer_schema_length=None) for name, path in paths.items() if path.is_file()}


def best_epoch(point: Point, surrogate: str) -> int:
    """The epoch that the weights of a network are of; 0 if nobody says."""
    path = point.run.folder.model_card(surrogate).parent / MARK
    return int(read_json(path, "`emulant train` writes it.").get("best_epoch", 0)) if path.is_file() else 0


def _row(columns: Mapping[str, Any], split: str, model: str, metric: str, value: float) -> dict[str, Any]:
    known = {"split": split, "model": model, "kind": "surrogate", "metric": metric, "group": "all", "horizon": "all"}
    numbers = {"value": value, "ci_low": math.nan, "ci_high": math.nan, "n": 0}
    return {name: (known | numbers)[name] for name in columns}


def text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def values_told(values: Values) -> str:
    """`learning_rate = 0.001, hidden = 16`: each key by its shortest end that no other has."""
    pairs = zip(shortened(values), values.values(), strict=True)
    return ", ".join(f"{short} = {text(value)}" for short, value in pairs)


def shortened(keys: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """The shortest ends of dotted keys that tell them apart."""
    found = []
    for key in keys:
        parts, others = key.split("."), [other for other in keys if other != key]
        ends = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
        found.append(next((end for end in ends if not any(_ends(other, end) for other in others)), key))
    return found


def _ends(key: str, end: str) -> bool:
    return key == end or key.endswith(f".{end}")
