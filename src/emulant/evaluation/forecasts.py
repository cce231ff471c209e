"""Forecasts as evaluation asks for them: the context cut out, the forecast made, the answer checked.

A forecaster is handed copies of the frames up to its start. What comes later is not behind those arrays, so it
cannot be seen, whatever the forecaster does. Only an oracle is given the truth, and its scores are labelled so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from emulant.dataset.seams import Array, Context, Dataset, Fields, Forecaster, Oracle
from emulant.errors import DataError, SurrogateError, UsageError
from emulant.evaluation.table import as_text

Forecasts: TypeAlias = Iterator[tuple[tuple[int, ...], dict[str, Array]]]
"""Pieces of a split: the case numbers and the target fields, (C, H, ...) each."""

NOT_PARAMETERS = frozenset({"case", "split", "group_key", "family", "status"})


@dataclass(frozen=True)
class Start:
    """Where forecasts begin: `index` is the last context frame; `label` is the suffix that groups get."""

    label: str
    index: int

    @property
    def at_once(self) -> bool:
        """Whether there is no time at all: an emulator is asked for a state, not for a sequence."""
        return self.index < 0

    def lead_times(self, times: Array) -> Array:
        """(H,) time since the last context frame of each frame to be forecast; `times` is (T,)."""
        return np.asarray(times[self.index + 1 :] - times[self.index])


AT_ONCE = Start("", -1)


def starts(
    times: Array, context_frames: int, warm_starts: Sequence[float] = ()
) -> tuple[tuple[Start, ...], tuple[str, ...]]:
    """The cold start (label "") and the warm ones ("@1"), and one sentence on each that is not as asked for.

    A warm start takes the last frame that is not later than its time. It is left out, with a sentence, if that
    leaves nothing to forecast or less context than `context_frames`. `times` is (T,), increasing.

    Raises:
        UsageError: The cases are so short that not even the cold start has a frame to forecast.
    """
    last = len(times) - 1
    if context_frames > last:
        raise UsageError(
            f"evaluation.context_frames: cases have {last + 1} frames, and a context of {context_frames} leaves "
            "none to forecast.",
            "Make the cases longer, or the context (or the longest lag) shorter.",
        )
    kept, notes = [Start("", context_frames - 1)], []
    for time in warm_starts:
        start = Start(f"@{as_text(time)}", _frame_at(times, time))
        if start.index + 1 < context_frames:
            notes.append(f"warm start {start.label}: left out, fewer than {context_frames} frames come before it")
        elif start.index >= last:
            notes.append(f"warm start {start.label}: left out, cases end at {as_text(times[-1])}")
        else:
            kept.append(start)
            if not np.isclose(times[start.index], time):
                notes.append(f"warm start {start.label}: no frame then, starts at {as_text(times[start.index])}")
    return tuple(kept), tuple(notes)


def _frame_at(times: Array, time: float) -> int:
    tolerance = 1e-6 * (times[1] - times[0])  # 10 * 0.1 and 1.0 are the same frame
    return int(np.searchsorted(times, time + tolerance, side="right")) - 1


def frame_times(dataset: Dataset, cases: Sequence[int] | None = None) -> Array:
    """(T,) times of the frames: the field `times`, else multiples of `geometry["step"]`.

    Raises:
        DataError: There is no case, or cases disagree about their times.
    """
    numbers = tuple(dataset.cases["case"].to_list() if cases is None else cases)
    if not numbers:
        raise DataError(f"{dataset.split}: no case to evaluate.", "Generate the split, or raise its count in [splits].")
    if "times" not in dataset.schema:
        target = dataset.targets[0]
        frames = dataset.read([target], numbers[:1])[target].shape[1]
        return np.asarray(np.arange(frames) * float(dataset.geometry["step"]))
    times = dataset.read(["times"], numbers)["times"]
    differing = np.flatnonzero((times != times[0]).any(axis=1))
    if differing.size:
        raise DataError(
            f"{dataset.split}: cases {numbers[0]} and {numbers[differing[0]]} have frames at different times.",
            "Scores against lead time need cases on one time axis: put them into splits of their own.",
        )
    return np.array(times[0])


def context(dataset: Dataset, cases: Sequence[int], start: Start) -> Context:
    """What a forecaster may see of the given cases: every field that has the targets' time axis, up to the start.

    The arrays are copies, (C, start.index + 1, ...): the future is not in the memory behind them. Numeric columns of
    `dataset.cases` go along as parameters, a field `mask` as the mask.
    """
    return _context(dataset, cases, start, _sequences(dataset, cases))


def truth(dataset: Dataset, cases: Sequence[int], start: Start, horizon: int | None = None) -> dict[str, Array]:
    """The target fields of the `horizon` frames after the start (None: to the end), (C, H, ...) each."""
    return _truth(dataset, dataset.read(dataset.targets, cases), start, horizon)


def forecast(
    model: Forecaster | Oracle,
    dataset: Dataset,
    start: Start,
    horizon: int | None = None,
    *,
    name: str = "",
    batch_cases: int = 64,
) -> Forecasts:
    """The forecasts of a model for a whole split, at most `batch_cases` cases at a time.

    Args:
        model: What forecasts. Only an `Oracle` that is not a `Forecaster` is given the truth.
        horizon: Frames to forecast; None: to the end of the cases.
        name: What errors call the model.

    Yields:
        Case numbers and the target fields, (C, H, ...) each. Infinite values are let through: the rollout diverged.

    Raises:
        SurrogateError: A field is missing, has the wrong shape or type, or holds NaN ("not put out").
    """
    name = name or type(model).__name__
    numbers = dataset.cases["case"].to_list()
    for first in range(0, len(numbers), batch_cases):
        cases = tuple(numbers[first : first + batch_cases])
        arrays = _sequences(dataset, cases)
        seen, future = _context(dataset, cases, start, arrays), _truth(dataset, arrays, start, horizon)
        frames = next(iter(future.values())).shape[1]
        with np.errstate(over="ignore", invalid="ignore"):  # a rollout may diverge; that is scored, not raised
            if isinstance(model, Forecaster):
                answer: Fields = model.forecast(seen, frames)
            else:
                answer = model.forecast_with_truth(seen, future)
        yield cases, {target: _checked(answer, target, future[target], cases, name) for target in dataset.targets}


def _sequences(dataset: Dataset, cases: Sequence[int]) -> dict[str, Array]:
    time_axis = dataset.schema[dataset.targets[0]].dims[0]
    names = [name for name, field in dataset.schema.items() if field.dims[:1] == (time_axis,) and name != "times"]
    arrays = dataset.read(names, cases)
    for target in dataset.targets:
        for case, array in zip(cases, arrays[target], strict=True):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise DataError(
                    f"{dataset.split}: case {case}: `{target}` has numbers that are not finite.",
                    "`emulant validate` tells what else is wrong with the data.",
                )
    return arrays


def _context(dataset: Dataset, cases: Sequence[int], start: Start, arrays: Fields) -> Context:
    times = frame_times(dataset, cases)
    time_axis = dataset.schema[dataset.targets[0]].dims[0]
    names = [name for name, field in dataset.schema.items() if time_axis not in field.dims and name != "times"]
    static = dataset.read(names, cases) if names else {}
    seen = {name: array[:, : start.index + 1].copy() for name, array in arrays.items()}
    return Context(
        fields={name: array for name, array in seen.items() if name != "mask"},
        times=times[: start.index + 1].copy(),
        step=float(dataset.geometry.get("step", times[1] - times[0])),
        geometry=dataset.geometry,
        parameters=parameters(dataset, cases),
        static=static,
        mask=seen.get("mask"),
    )


def parameters(dataset: Dataset, cases: Sequence[int]) -> dict[str, Array]:
    """The numeric columns of `dataset.cases`, (C,) each."""
    row_of = {case: row for row, case in enumerate(dataset.cases["case"].to_list())}
    rows = dataset.cases[[row_of[case] for case in cases]]
    return {
        column.name: column.to_numpy()
        for column in rows.get_columns()
        if column.dtype.is_numeric() and column.name not in NOT_PARAMETERS
    }


def _truth(dataset: Dataset, arrays: Fields, start: Start, horizon: int | None) -> dict[str, Array]:
    first = start.index + 1
    end = None if horizon is None else first + horizon
    return {target: arrays[target][:, first:end] for target in dataset.targets}


def _checked(answer: Fields, target: str, expected: Array, cases: tuple[int, ...], name: str) -> Array:
    if target not in answer:
        raise SurrogateError(f"{name}: the forecast has no field '{target}'.", "It must put out every target field.")
    array = np.asarray(answer[target])
    if array.shape != expected.shape or array.dtype.kind not in {"f", expected.dtype.kind}:
        raise SurrogateError(
            f"{name}: forecast field '{target}' is {array.dtype} {array.shape} for cases {cases[0]} to {cases[-1]}.",
            f"It must be {expected.dtype} {expected.shape}.",
        )
    missing = np.isnan(array).reshape(*array.shape[:2], -1).any(axis=2)
    if missing.any():
        row, frame = np.argwhere(missing)[0]
        raise SurrogateError(
            f"{name}: no forecast (NaN) of '{target}' for case {cases[row]}, frame {frame + 1} after its start.",
            "A forecaster must put out every frame; one that diverges puts out inf.",
        )
    return array
