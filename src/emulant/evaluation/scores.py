"""From forecasts to metrics.csv: scores per case, their means with intervals, skill against the best baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from emulant.evaluation.metrics import DIVERGED, DIVERGED_AT_ONCE
from emulant.evaluation.table import ScoringTable, as_text

Kind: TypeAlias = Literal["surrogate", "baseline", "oracle"]

SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("split", "model", "kind", "metric", "group", "horizon"), pl.String()),
        **dict.fromkeys(("value", "ci_low", "ci_high"), pl.Float64()),
        "n": pl.Int64(),
    }
)
"""The columns of metrics.csv."""

PAIRED: Mapping[str, Callable[[Array, Array], Array]] = {
    "ratio": np.divide,
    "rms_difference": lambda own, other: np.asarray(np.sqrt(own) - np.sqrt(other)),
}
"""Aggregates whose scores are pairs of numbers, and what such a pair comes to."""

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
    """Metric -> (C, H), the score over the first h + 1 frames; of a metric with an axis of its own (C, its horizons),
    of one without any (C, 1). Of a metric of pairs: the first ones."""
    seconds: Mapping[str, Array] = field(default_factory=dict)
    """Of the metrics of pairs."""
    together: Mapping[str, str] = field(default_factory=dict)
    """What of each pair is its score."""

    def overall(self, metric: str) -> Array:
        """(C,) the score over everything."""
        values = self.values[metric][:, -1]
        if metric not in self.seconds:
            return values
        with np.errstate(all="ignore"):
            return np.asarray(PAIRED[self.together[metric]](values, self.seconds[metric][:, -1]))


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
    probe: Fields | None = None,
) -> CaseScores:
    """Score forecasts against the truth, piece by piece; `diverged` is scored for every model.

    `forecasts` may come from `forecast`, or again from the predictions that were kept: (C, H, ...) per field.
    `scoring` is what the system adds to the `info` of its metrics; `cases` stands in for `dataset.cases` where more
    is known about them; `probe` is what was measured of the model itself, (C,) each in the order of
    `dataset.cases`.
    """
    known = dataset.cases if cases is None else cases
    lead_times = np.empty(0) if start.at_once else start.lead_times(frame_times(dataset))
    scored = {**metrics, "diverged": DIVERGED_AT_ONCE if start.at_once else DIVERGED}
    numbers: list[int] = []
    parts: dict[str, list[Array]] = {name: [] for name in scored}
    order = {case: row for row, case in enumerate(dataset.cases["case"].to_list())}
    for some, fields in forecasts:
        if not start.at_once:
            lead_times = lead_times[: next(iter(fields.values())).shape[1]]
        rows = pl.DataFrame({"case": list(some)}).join(known, on="case", how="left", maintain_order="left")
        measured = {name: array[[order[case] for case in some]] for name, array in (probe or {}).items()}
        info = {"times": lead_times, "geometry": dataset.geometry, "cases": rows, "probe": measured, **(scoring or {})}
        actual = dataset.read(dataset.targets, some) if start.at_once else truth(dataset, some, start, len(lead_times))
        for name, metric in scored.items():
            parts[name].append(_per_case(name, metric, actual, fields, info))
        numbers += some
    whole = {name: np.concatenate(part, axis=-2) for name, part in parts.items()}
    together = {name: metric.aggregate for name, metric in scored.items() if metric.aggregate in PAIRED}
    values = {name: array[0] if name in together else array for name, array in whole.items()}
    seconds = {name: whole[name][1] for name in together}
    return CaseScores(dataset.split, model, kind, start, tuple(numbers), lead_times, values, seconds, together)


def _per_case(name: str, metric: Metric, actual: Fields, forecast: Fields, info: Mapping[str, Any]) -> Array:
    """(C, H) scores; of a metric of pairs (2, C, H)."""
    values = np.asarray(metric.score(actual, forecast, info), dtype=np.float64)
    axis = [len(info["times"])] if metric.horizons is None else [len(metric.horizons)]
    pair = [2] if metric.aggregate in PAIRED else []
    expected = (*pair, len(info["cases"]), *(axis if axis[0] else []))
    if values.shape != expected:
        raise EmulantError(
            f"metric '{name}': scores are {values.shape} where {expected} were expected.",
            "It must give one number per case and forecast frame, or horizon of its own.",
        )
    return values if axis[0] else values[..., None]


def tabulate(
    scores: Iterable[CaseScores],
    cases: Mapping[str, pl.DataFrame],
    headline: str,
    metrics: Mapping[str, Metric],
    table: ScoringTable,
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
    for (split, start), group_of in groupby(ordered, key=lambda each: (each.split, each.start)):
        members = tuple(group_of)
        _must_agree(members)
        known = pl.DataFrame({"case": members[0].cases}).join(
            cases[split], on="case", how="left", maintain_order="left"
        )
        axes, out_of_reach = _axes(members[0], metrics, getattr(table, "horizons", None))
        if out_of_reach:
            notes.append(f"{split}{start.label}: no forecast frame at horizon {', '.join(out_of_reach)}")
        blocks = [_block(members, axis) for axis in axes]
        for group, rows in _groups(known):
            draws = resampling(
                known["group_key"].gather(rows).to_list(),
                resamples=table.resamples,
                confidence=table.confidence,
                seed=seed,
            )
            for block in blocks:
                part = block.only(rows, group + start.label)
                frames.append(_aggregates(part, draws, metrics))
                if headline in part.metrics and "baseline" in part.kinds:
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
class _Axis:
    """Metrics that share an axis, and which columns of their scores are reported under which horizon."""

    metrics: tuple[str, ...]
    horizons: tuple[str, ...]
    columns: tuple[int, ...]
    times: Array
    """(horizons,) lead times; of `all` the last."""


def _axes(
    first: CaseScores, metrics: Mapping[str, Metric], horizons: Sequence[float] | None
) -> tuple[list[_Axis], list[str]]:
    """The axes of the metrics, that of lead time first, and the asked-for horizons that no frame is near."""
    own = {name: metrics[name].horizons if name in metrics else None for name in sorted(first.values)}
    frames = reported_frames(first.times, horizons) if len(first.times) else ()
    axes = []
    if in_time := tuple(name for name, axis in own.items() if axis is None):
        texts = tuple(as_text(first.times[frame]) for frame in frames)
        last = first.times[-1:] if len(first.times) else [np.nan]
        times = np.array([*(first.times[frame] for frame in frames), *last])
        axes.append(_Axis(in_time, (*texts, "all"), (*frames, -1), times))
    for axis in sorted({axis for axis in own.values() if axis is not None}):
        names = tuple(name for name, its_axis in own.items() if its_axis == axis)
        texts = tuple(map(as_text, axis)) or ("all",)
        axes.append(_Axis(names, texts, tuple(range(len(texts))), np.full(len(texts), np.nan)))
    missed = [time for time in horizons or () if len(first.times) and not reported_frames(first.times, [time])]
    return axes, [as_text(time) for time in missed]


@dataclass(frozen=True)
class _Block:
    """The scores of all models of one split and start along one axis."""

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
    """(C, model, metric, horizon)."""
    seconds: Array
    """Of the same shape; 1 where a metric is none of pairs."""

    def only(self, rows: Sequence[int], group: str) -> _Block:
        cases = tuple(self.cases[row] for row in rows)
        values, seconds = (array[list(rows)] for array in (self.values, self.seconds))
        return replace(self, group=group, cases=cases, values=values, seconds=seconds)


def _must_agree(members: Sequence[CaseScores]) -> None:
    first = members[0]
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


def _block(members: Sequence[CaseScores], axis: _Axis) -> _Block:
    """The models of one split and start side by side."""

    def side_by_side(of: Callable[[CaseScores, str], Array]) -> Array:
        columns = list(axis.columns)
        by_model = [np.stack([of(each, name)[:, columns] for name in axis.metrics], axis=1) for each in members]
        return np.stack(by_model, axis=1)

    first = members[0]
    return _Block(
        first.split,
        "all",
        tuple(each.model for each in members),
        tuple(each.kind for each in members),
        axis.metrics,
        axis.horizons,
        axis.times,
        first.cases,
        side_by_side(lambda each, name: each.values[name]),
        side_by_side(lambda each, name: each.seconds.get(name, np.ones_like(each.values[name]))),
    )


def _groups(known: pl.DataFrame) -> Iterator[tuple[str, list[int]]]:
    """`all`, then each family, then each of the further `groups`, with the rows of its cases."""
    yield "all", list(range(len(known)))
    labels = [[family] for family in known["family"].to_list()]
    if "groups" in known.columns:
        labels = [own + list(more or ()) for own, more in zip(labels, known["groups"].to_list(), strict=True)]
    for group in sorted({label for own in labels for label in own if label} - {"all"}):
        yield group, [row for row, own in enumerate(labels) if group in own]


def _aggregates(block: _Block, draws: Resampling, metrics: Mapping[str, Metric]) -> pl.DataFrame:
    """One row per model, metric and horizon; none where the metric is defined for no case."""
    how = [metrics[name].aggregate if name in metrics else "mean" for name in block.metrics]
    rows: list[tuple[Any, ...]] = []
    for aggregate in sorted(set(how)):
        picked = [column for column, each in enumerate(how) if each == aggregate]
        values = [block.values[:, :, picked]]
        if aggregate in PAIRED:
            values.append(block.seconds[:, :, picked])
        estimate: Estimate = getattr(draws, aggregate)(*values)
        counts = np.sum(~np.isnan(sum(values)), axis=0)
        names = [block.metrics[column] for column in picked]
        labels = product(zip(block.models, block.kinds, strict=True), names, block.horizons)
        numbers = zip(*(array.ravel().tolist() for array in (*_parts(estimate), counts)), strict=True)
        rows += [
            (block.split, model, kind, *_row(name, block.group), horizon, *row)
            for ((model, kind), name, horizon), row in zip(labels, numbers, strict=True)
            if row[-1]
        ]
    return _frame(rows)


def _row(key: str, group: str) -> tuple[str, str]:
    """Metric and group of a table row. A key NAME/PART is the metric NAME of a part of the field, such as a species:
    its rows stand in the group PART, or of a group of cases in `PART GROUP`."""
    name, _, part = key.partition("/")
    return name, part if part and group == "all" else f"{part} {group}".strip()


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
