"""From forecasts to metrics.csv: scores per case, their means with intervals, skill against the best baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from itertools import groupby, product
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl

from emulant.dataset.atomic import write_text
from emulant.dataset.seams import Array, Dataset, Fields, Metric
from emulant.errors import DataError, EmulantError
from emulant.evaluation.confidence import Estimate, Resampling, resampling
from emulant.evaluation.forecasts import Start, frame_times, truth
from emulant.evaluation.metrics import DIVERGED
from emulant.evaluation.table import EvaluationTable, as_text

Kind: TypeAlias = Literal["surrogate", "baseline", "oracle"]

SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("split", "model", "kind", "metric", "group", "horizon"), pl.String()),
        **dict.fromkeys(("value", "ci_low", "ci_high"), pl.Float64()),
        "n": pl.Int64(),
    }
)
"""The columns of metrics.csv."""

BEST = pl.Schema({**dict.fromkeys(("split", "group", "horizon", "baseline"), pl.String()), "value": pl.Float64()})


@dataclass(frozen=True)
class CaseScores:
    """The scores of one model from one start on one split, case by case."""

    split: str
    model: str
    kind: Kind
    start: Start
    cases: tuple[int, ...]
    times: Array
    """(H,) lead times."""
    values: Mapping[str, Array]
    """Metric -> (C, H), the score over the first h + 1 frames."""


@dataclass(frozen=True)
class Scores:
    """What evaluation found."""

    frame: pl.DataFrame
    """metrics.csv."""
    best: pl.DataFrame
    """Which baseline was the best by the headline metric: split, group, horizon, baseline, value."""
    notes: tuple[str, ...] = ()
    """What was asked for and could not be scored."""


def score(
    forecasts: Iterable[tuple[Sequence[int], Fields]],
    dataset: Dataset,
    start: Start,
    metrics: Mapping[str, Metric],
    *,
    model: str,
    kind: Kind,
    scoring: Mapping[str, Any] | None = None,
    cases: pl.DataFrame | None = None,
) -> CaseScores:
    """Score forecasts against the truth, piece by piece; `diverged` is scored for every model.

    `forecasts` may come from `forecast`, or again from the predictions that were kept: (C, H, ...) per field.
    `scoring` is what the system adds to the `info` of its metrics; `cases` stands in for `dataset.cases` where more
    is known about them.
    """
    known = dataset.cases if cases is None else cases
    lead_times = start.lead_times(frame_times(dataset))
    numbers: list[int] = []
    parts: dict[str, list[Array]] = {name: [] for name in (*metrics, "diverged")}
    for some, fields in forecasts:
        lead_times = lead_times[: next(iter(fields.values())).shape[1]]
        rows = pl.DataFrame({"case": list(some)}).join(known, on="case", how="left", maintain_order="left")
        info = {"times": lead_times, "geometry": dataset.geometry, "cases": rows, **(scoring or {})}
        actual = truth(dataset, some, start, len(lead_times))
        for name, metric in {**metrics, "diverged": DIVERGED}.items():
            parts[name].append(_per_case(name, metric, actual, fields, info))
        numbers += some
    values = {name: np.concatenate(part) for name, part in parts.items()}
    return CaseScores(dataset.split, model, kind, start, tuple(numbers), lead_times, values)


def _per_case(name: str, metric: Metric, actual: Fields, forecast: Fields, info: Mapping[str, Any]) -> Array:
    values = np.asarray(metric.score(actual, forecast, info), dtype=np.float64)
    expected = next(iter(actual.values())).shape[:2]
    if values.shape != expected:
        raise EmulantError(
            f"metric '{name}': scores are {values.shape} for {expected} cases and frames.",
            "It must give one number per case and forecast frame.",
        )
    return values


def tabulate(
    scores: Iterable[CaseScores],
    cases: Mapping[str, pl.DataFrame],
    headline: str,
    metrics: Mapping[str, Metric],
    table: EvaluationTable,
    *,
    seed: int,
) -> Scores:
    """The tidy table: means over all cases and over each family, with intervals, at the reported lead times.

    Args:
        scores: Of all models, starts and splits; the models of one split and start have the same cases.
        cases: Split -> `Dataset.cases`, which knows the families and group keys.
        headline: The metric that decides which baseline is the best, and that `skill` is about.
        metrics: The system's, which say how cases become one number.
        table: `[evaluation]`.
        seed: Of the study; intervals are a pure function of it and the scores.

    Raises:
        EmulantError: Models were scored on different cases or metrics.
    """
    frames, best, notes = [_frame([])], [_frame([], BEST)], list[str]()
    ordered = sorted(scores, key=lambda each: (each.split, each.start.label, each.model))
    for (split, start), members in groupby(ordered, key=lambda each: (each.split, each.start)):
        block, out_of_reach = _block(tuple(members), table.horizons)
        if out_of_reach:
            notes.append(f"{split}{start.label}: no forecast frame at horizon {', '.join(out_of_reach)}")
        known = pl.DataFrame({"case": block.cases}).join(cases[split], on="case", how="left", maintain_order="left")
        for group, rows in _groups(known["family"]):
            draws = resampling(
                known["group_key"].gather(rows).to_list(),
                resamples=table.resamples,
                confidence=table.confidence,
                seed=seed,
            )
            part = block.only(rows, group + start.label)
            frames.append(_aggregates(part, draws, metrics))
            if "baseline" in part.kinds:
                skill, baselines = _skill(part, draws, headline, metrics[headline])
                frames.append(skill)
                best.append(baselines)
    by_horizon = pl.col("horizon").cast(pl.Float64, strict=False).fill_null(np.inf)
    return Scores(
        pl.concat(frames).sort("split", "model", "metric", "group", by_horizon),
        pl.concat(best).sort("split", "group", by_horizon),
        tuple(notes),
    )


def reported_frames(times: Array, horizons: Sequence[float] | None = None) -> tuple[int, ...]:
    """Which forecast frames are reported, as indices into the lead times (H,), increasing.

    Asked-for horizons take the nearest frame; those more than half a frame out of reach take none. By default
    1, 2, 3, 5, 10, 20, 30, 50 ... frames (up to five frames: all), the frame nearest to 1 s, and the last.
    """
    if horizons is not None:
        return tuple(sorted({frame for time in horizons for frame in _nearest(times, time)}))
    last = len(times) - 1
    steps = range(last + 1) if last < 5 else (m * 10**power - 1 for power in range(9) for m in (1, 2, 3, 5))
    return tuple(sorted({*(step for step in steps if step <= last), *_nearest(times, 1.0), last}))


def _nearest(times: Array, time: float) -> list[int]:
    """The frame nearest to a lead time; none if the time is more than half a frame out of reach."""
    half = 0.5 * times[-1] / len(times) * (1 + 1e-9)
    reachable = times[0] - half <= time <= times[-1] + half
    return [int(np.abs(times - time).argmin())] if reachable else []


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write metrics.csv, atomically; numbers are written so that they read back to the bit, `inf` and `NaN` too."""
    write_text(path, frame.select(SCHEMA.names()).write_csv())


def read(path: Path) -> pl.DataFrame:
    """Read metrics.csv.

    Raises:
        DataError: It is missing, or not what `write` writes.
    """
    mend = "`emulant evaluate RUN` writes it anew."
    try:
        text = path.read_text(encoding="utf-8")
        if text.partition("\n")[0].strip() != ",".join(SCHEMA.names()):
            raise DataError(f"{path}: not a table of scores (the columns are others).", mend)
        return pl.read_csv(StringIO(text), schema=SCHEMA)
    except FileNotFoundError:
        raise DataError(f"{path}: is missing: the run is not evaluated.", mend) from None
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: not a table of scores ({error}).", mend) from error


@dataclass(frozen=True)
class _Block:
    """The scores of all models of one split and start: `values` is (C, model, metric, horizon)."""

    split: str
    group: str
    models: tuple[str, ...]
    kinds: tuple[Kind, ...]
    metrics: tuple[str, ...]
    horizons: tuple[str, ...]
    times: Array
    """(horizons,) lead times; of `all` the last."""
    cases: tuple[int, ...]
    values: Array

    def only(self, rows: Sequence[int], group: str) -> _Block:
        return replace(self, group=group, cases=tuple(self.cases[row] for row in rows), values=self.values[list(rows)])


def _block(members: tuple[CaseScores, ...], horizons: Sequence[float] | None) -> tuple[_Block, list[str]]:
    """The models of one split and start side by side, and the asked-for horizons that no frame is near."""
    first, metrics = members[0], tuple(sorted(members[0].values))
    for each in members[1:]:
        if (
            each.cases != first.cases
            or sorted(each.values) != sorted(first.values)
            or len(each.times) != len(first.times)
        ):
            raise EmulantError(
                f"{first.split}{first.start.label}: {each.model} and {first.model} are not scored on the same "
                "cases, frames and metrics.",
                "Score all models of a split again.",
            )
    frames = reported_frames(first.times, horizons)
    texts = tuple(as_text(first.times[frame]) for frame in frames)
    picked = [*frames, len(first.times) - 1]
    values = np.stack(
        [np.stack([each.values[name][:, picked] for name in metrics], axis=1) for each in members], axis=1
    )
    block = _Block(
        first.split,
        "all",
        tuple(each.model for each in members),
        tuple(each.kind for each in members),
        metrics,
        (*texts, "all"),
        np.asarray(first.times)[picked],
        first.cases,
        values,
    )
    missed = [time for time in horizons or () if not reported_frames(first.times, [time])]
    return block, [as_text(time) for time in missed]


def _groups(families: pl.Series) -> Iterator[tuple[str, list[int]]]:
    """`all`, then each family, with the rows of its cases."""
    yield "all", list(range(len(families)))
    for family in sorted(set(families.drop_nulls().to_list()) - {"", "all"}):
        yield family, (families == family).arg_true().to_list()


def _aggregates(block: _Block, draws: Resampling, metrics: Mapping[str, Metric]) -> pl.DataFrame:
    """One row per model, metric and horizon; none where the metric is defined for no case."""
    how = [metrics[name].aggregate if name in metrics else "mean" for name in block.metrics]
    rows: list[tuple[Any, ...]] = []
    for aggregate in sorted(set(how)):
        picked = [column for column, each in enumerate(how) if each == aggregate]
        values = block.values[:, :, picked]
        estimate: Estimate = getattr(draws, aggregate)(values)
        counts = np.sum(~np.isnan(values), axis=0)
        names = [block.metrics[column] for column in picked]
        labels = product(zip(block.models, block.kinds, strict=True), names, block.horizons)
        numbers = zip(*(array.ravel().tolist() for array in (*_parts(estimate), counts)), strict=True)
        rows += [
            (block.split, model, kind, name, block.group, horizon, *values)
            for ((model, kind), name, horizon), values in zip(labels, numbers, strict=True)
            if values[-1]
        ]
    return _frame(rows)


def _skill(block: _Block, draws: Resampling, headline: str, metric: Metric) -> tuple[pl.DataFrame, pl.DataFrame]:
    """1 - (perfect - value) / (perfect - best baseline) of every surrogate, and which baseline that was.

    The best baseline is chosen once, by its mean over the cases; its mean is then resampled together with the
    surrogate's, so that the interval is a paired one.
    """
    values = block.values[:, :, block.metrics.index(headline)]
    root = np.sqrt if metric.aggregate == "rms" else np.asarray  # a skill of medians is that of means
    baselines = [row for row, kind in enumerate(block.kinds) if kind == "baseline"]
    means = draws.statistic(root, values[:, baselines]).value
    ranked = np.where(np.isnan(means), -np.inf, means if metric.better == "higher" else -means)
    winners, columns = ranked.argmax(axis=0), np.arange(len(block.horizons))
    best = np.array(baselines)[winners]
    reference = values[:, best, columns]

    # A time that has no upper bound cannot be better than the forecast is long.
    perfect = (block.times if np.isinf(metric.perfect) else np.full(len(columns), metric.perfect))[:, None]

    def skill(mean: Array, of_best: Array) -> Array:
        return np.asarray(1 - (perfect - root(mean)) / (perfect - root(of_best)))

    rows: list[tuple[Any, ...]] = []
    for row, kind in enumerate(block.kinds):
        if kind == "surrogate":
            estimate = draws.statistic(skill, values[:, row], reference)
            counts = np.sum(~np.isnan(values[:, row] + reference), axis=0)
            rows += [
                (block.split, block.models[row], kind, "skill", block.group, *numbers)
                for numbers in zip(
                    block.horizons, *(array.tolist() for array in (*_parts(estimate), counts)), strict=True
                )
            ]
    chosen = zip(block.horizons, (block.models[row] for row in best), means[winners, columns].tolist(), strict=True)
    return _frame(rows), _frame(((block.split, block.group, *each) for each in chosen), BEST)


def _parts(estimate: Estimate) -> tuple[Array, Array, Array]:
    return estimate.value, estimate.low, estimate.high


def _frame(rows: Iterable[tuple[Any, ...]], schema: pl.Schema = SCHEMA) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=schema, orient="row")
