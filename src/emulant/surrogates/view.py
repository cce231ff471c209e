"""What a model of sequences sees of a dataset, and the way back to the target field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emulant.dataset.seams import Array, Context, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates.codes import Codes, Scales, StateCodes, codes_from, codes_of

NOT_PARAMETERS = frozenset({"case", "split", "group_key", "family", "status"})
BOUND = 0.4
LIMIT = 1 << 28
"""Bytes of a field that are read at once."""


@dataclass(frozen=True)
class Seen:
    """Cases as a model sees them."""

    frames: Array
    """(C, T, ...) the target field as it is."""
    codes: Array
    """(C, T, F) in standard deviations of the training split."""
    parameters: Array
    """(C, P) likewise."""


@dataclass(frozen=True)
class View:
    """The codes of the target field and the parameters that vary, each scaled by what the training split says."""

    target: str
    codes: Codes
    parameters: tuple[str, ...]
    scales: Scales
    parameter_scales: Scales
    step: float
    """Time between frames."""

    @classmethod
    def of(cls, train: Dataset, config: Any = None) -> View:
        """Fitted to a training split; POD if the config has an `energy`, else the coordinates of states."""
        codes = codes_of(train, getattr(config, "energy", None), getattr(config, "rank", None))
        names, target = swept(train), train.targets[0]
        scales = Scales.of_pieces(codes.encode(piece) for piece in pieces(train, target))
        return cls(target, codes, names, scales, Scales.of(_parameters(train, names)), _step(train))

    def see(self, dataset: Dataset) -> Seen:
        """A whole dataset.

        Raises:
            SurrogateError: Too few frames, or a value that is not finite.
        """
        frames = sequences(dataset, self.target)
        return self.seen(frames, _parameters(dataset, self.parameters))

    def see_context(self, context: Context, lag: int) -> Seen:
        """The last `lag` frames of a context.

        Raises:
            SurrogateError: There are not so many, or a parameter is missing.
        """
        if context.frames < lag:
            raise SurrogateError(
                f"The context has {context.frames} frames, the model needs {lag}.",
                "Give more frames, or train with a smaller `lag`.",
            )
        frames = context.fields[self.target][:, -lag:]
        missing = [name for name in self.parameters if name not in context.parameters]
        if missing:
            raise SurrogateError(
                f"The context has no parameter `{missing[0]}`, which varied in training.", "Give it for every case."
            )
        columns = [np.broadcast_to(context.parameters[name], len(frames)) for name in self.parameters]
        return self.seen(frames, _columns(columns, len(frames)))

    def frames(self, codes: Array, last: Array) -> Array:
        """Scaled codes (C, H, F), and the frame (C, ...) before them -> (C, H, ...)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.codes.decode(self.scales.back(codes), last)

    def seen(self, frames: Array, parameters: Array) -> Seen:
        """Frames (C, T, ...) and the parameters (C, P) that vary, as they are -> as a model sees them."""
        return Seen(frames, self.scales(self.codes.encode(frames)), self.parameter_scales(parameters))

    # -- kept with the weights

    def about(self) -> dict[str, Any]:
        """JSON types."""
        return {"target": self.target, "parameters": list(self.parameters), "step": self.step}

    def arrays(self) -> dict[str, Array]:
        return self.codes.arrays() | self.scales.arrays("codes") | self.parameter_scales.arrays("parameters")

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Mapping[str, Array]) -> View:
        """What `about` and `arrays` were taken from."""
        return cls(
            about["target"],
            codes_from(arrays),
            tuple(about["parameters"]),
            Scales.from_arrays(arrays, "codes"),
            Scales.from_arrays(arrays, "parameters"),
            float(about["step"]),
        )


def states_only(view: View) -> StateCodes:
    """The codes of a view that must be of states.

    Raises:
        SurrogateError: They are of fields.
    """
    if not isinstance(view.codes, StateCodes):
        raise SurrogateError(f"`{view.target}` is a field; this surrogate continues vectors of states.")
    return view.codes


def valid_time(truth: Array, forecast: Array, step: float, bound: float = BOUND) -> float:
    """Mean time before √(mean squared error over the codes) exceeds `bound`; NaN and inf exceed it.

    Both are (C, H, F) in units of the training's standard deviations, which makes it the valid prediction time of
    Vlachas et al. (2020), with threshold 0.4 by default.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        good = np.sqrt(np.mean((forecast - truth) ** 2, axis=-1)) <= bound
    return step * float(np.mean(np.where(good.all(axis=1), good.shape[1], good.argmin(axis=1))))


# -- reading ----------------------------------------------------------------------------------------------------


def swept(train: Dataset) -> tuple[str, ...]:
    """The parameters that are not the same in all training cases: those that a model must be told."""
    columns = [column for column in train.cases.get_columns() if column.name not in NOT_PARAMETERS]
    return tuple(column.name for column in columns if column.dtype.is_numeric() and column.n_unique() > 1)


def fits(dataset: Dataset, field: str) -> bool:
    """Whether a field is small enough to be read as one array."""
    return len(dataset) <= _at_once(dataset, field)


def pieces(dataset: Dataset, field: str) -> Iterator[Array]:
    """(C, T, ...) of a field, in as many pieces as its size asks for.

    Raises:
        SurrogateError: There are not two frames, or a value is not finite.
    """
    if fits(dataset, field):
        yield sequences(dataset, field)
        return
    numbers, size = dataset.cases["case"].to_list(), _at_once(dataset, field)
    for start in range(0, len(numbers), size):
        yield sequences(dataset.select(numbers[start : start + size]), field)


def _at_once(dataset: Dataset, field: str) -> int:
    """Cases that are read at once."""
    one = next(iter(dataset.batches(1, [field])))[field]
    return max(1, LIMIT // max(1, one.nbytes))


def sequences(dataset: Dataset, field: str) -> Array:
    """(C, T, ...) of a field.

    Raises:
        SurrogateError: There are not two frames, or a value is not finite.
    """
    frames = dataset.read([field])[field]
    if frames.shape[1] < 2:
        raise SurrogateError(f"`{field}` of split `{dataset.split}` has {frames.shape[1]} frames; two are needed.")
    if not np.isfinite(frames).all():
        case = dataset.cases["case"][int(np.argwhere(~np.isfinite(frames))[0][0])]
        raise SurrogateError(f"`{field}` of case {case} is not finite.", "`emulant validate` says where.")
    return frames


def _parameters(dataset: Dataset, names: Sequence[str]) -> Array:
    return _columns([dataset.cases[name].to_numpy() for name in names], len(dataset))


def _columns(columns: Sequence[Array], cases: int) -> Array:
    return np.stack([np.asarray(c, dtype=float) for c in columns], axis=1) if columns else np.empty((cases, 0))


def _step(train: Dataset) -> float:
    return float(train.geometry.get("step", 1.0))
