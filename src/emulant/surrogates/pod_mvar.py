"""A linear autoregression of POD coefficients: the plainest forecaster of fields that learns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from emulant.dataset.atomic import write_npz
from emulant.dataset.npz import names_in, read_arrays
from emulant.dataset.seams import Array, Context, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates import MEND, read_weights
from emulant.surrogates.blending import Blend
from emulant.surrogates.latent import Latent
from emulant.surrogates.mvar import MVAR, NormalEquations, rollout, windows
from emulant.surrogates.pod import POD
from emulant.surrogates.tables import PodMvarTable, TuningTable
from emulant.surrogates.tuning import folds, r2_of_codes

BATCH_CASES = 16


@dataclass(frozen=True)
class Choice:
    """The numbers that a fit is made with."""

    rank: int | None
    lag: int
    ridge: float
    intercept: bool


class PodMvar:
    """POD + MVAR: fields projected on their leading modes, the coefficients continued by a ridge regression on lags."""

    Config: ClassVar[type[PodMvarTable]] = PodMvarTable

    def __init__(self, config: PodMvarTable | None = None) -> None:
        self.config = config or PodMvarTable()
        self.lag = self.config.lag
        self.target = ""
        self.model: Latent[POD, MVAR] | None = None
        self.blend: Blend | None = None
        self.tuned_r2: float | None = None
        """Mean R² on held-out folds of the choice that tuning has made."""
        self._shape: tuple[int, ...] | None = None

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Fit on all training cases; choices and blend come from folds of them, never from the validation split.

        Raises:
            SurrogateError: Too few cases or frames, or equations that the ridge does not make regular.
        """
        config, self.target = self.config, train.targets[0]
        choice = Choice(config.rank, config.lag, config.ridge, config.intercept)
        if config.tune is not None:
            choice, self.tuned_r2 = tune(train, config.tune)
        self.model, self.blend, self.lag = _fit(train, choice, config.energy), None, choice.lag
        self._shape = next(iter(train.batches(1, [self.target])))[self.target].shape[2:]
        if config.blend:
            blend = Blend.fit(
                train,
                lambda part: _forecast_with(_fit(part, choice, config.energy), self.target),
                lag=config.lag,
                count=config.folds,
                target=self.target,
            )
            # The mean of the POD is the climatology up to rounding; so it need not be stored twice.
            self.blend = replace(blend, climatology=self.basis.mean.reshape(self._shape))

    @property
    def basis(self) -> POD:
        """The modes that it forecasts in."""
        return self._fitted().encoder

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """The target field (C, horizon, ...); inf where an unblended rollout has overflowed."""
        model = self._fitted()
        frames = context.fields[self.target]
        shape = frames.shape[2:] if self._shape is None else self._shape
        if frames.shape[2:] != shape or np.prod(shape) != len(model.encoder.mean):
            raise SurrogateError(
                f"pod_mvar: the context's grid is {frames.shape[2:]}, it was trained on {self._shape}.",
                "Bring the fields to the same grid, or train on this one.",
            )
        forecast = model.forecast(frames, horizon)
        return {self.target: forecast if self.blend is None else self.blend.apply(forecast)}

    def save(self, folder: Path) -> list[Path]:
        """`pod_model.npz` and `mvar_model.npz`; beside the documented keys, what a forecast needs to be whole."""
        model = self._fitted()
        blend = {} if self.blend is None else self.blend.arrays()
        extra = {"shape": np.array(self._shape), "target": np.array(self.target)}
        return [
            model.encoder.save(folder / "pod_model.npz", extra),
            write_npz(folder / "mvar_model.npz", model.forecaster.arrays() | blend),
        ]

    @classmethod
    def load(cls, folder: Path, config: PodMvarTable | None = None) -> Self:
        """Read what `save` wrote, or the same two files made elsewhere.

        Raises:
            SurrogateError: A file is not what it must be; the message names it and its key.
        """
        surrogate = cls(config)
        pod, mvar = POD.load(folder / "pod_model.npz"), MVAR.load(folder / "mvar_model.npz")
        if pod.rank != mvar.rank:
            raise SurrogateError(
                f"{folder / 'mvar_model.npz'}: 'A_matrices' is for {mvar.rank} modes, pod_model.npz has {pod.rank}.",
                MEND,
            )
        surrogate.model, surrogate.lag = Latent(pod, mvar), mvar.lag
        surrogate._shape, surrogate.target = _form(folder / "pod_model.npz", cls.made_elsewhere)
        if surrogate._shape is not None:
            arrays = read_weights(folder / "mvar_model.npz", {}, Blend.AXES)
            surrogate.blend = Blend.from_arrays(pod.mean.reshape(surrogate._shape), arrays)
        return surrogate

    made_elsewhere: ClassVar[str] = ""
    """The target field of files that do not name it."""

    def _fitted(self) -> Latent[POD, MVAR]:
        if self.model is None:
            raise SurrogateError("pod_mvar: is not fitted.", "Call `fit` or `load` first.")
        return self.model


def _form(path: Path, otherwise: str) -> tuple[tuple[int, ...] | None, str]:
    """Shape of a frame and name of the field; files that were made elsewhere say neither."""
    if not {"shape", "target"} <= set(names_in(path)):
        return None, otherwise
    arrays = read_arrays(path, ["shape", "target"])
    return tuple(int(length) for length in arrays["shape"]), str(arrays["target"])


# -- fitting ----------------------------------------------------------------------------------------------------


def _blocks(train: Dataset) -> Iterator[Array]:
    """(cases, frames, cells) at a time."""
    target = train.targets[0]
    for batch in train.batches(BATCH_CASES, [target]):
        frames = batch[target]
        yield frames.reshape(*frames.shape[:2], -1)


def _fit(train: Dataset, choice: Choice, energy: float) -> Latent[POD, MVAR]:
    rows = (block.reshape(-1, block.shape[-1]) for block in _blocks(train))
    pod = POD.fit(rows, energy=energy, rank=choice.rank)
    runs = [run for block in _blocks(train) for run in pod.encode(block)]
    return Latent(pod, MVAR.fit(runs, choice.lag, choice.ridge, intercept=choice.intercept))


def _forecast_with(model: Latent[POD, MVAR], target: str) -> Any:
    return lambda context, horizon: model.forecast(context.fields[target], horizon)


def tune(train: Dataset, table: TuningTable) -> tuple[Choice, float]:
    """The choice with the best mean R² in closed loop on the held-out cases of the folds, and that R².

    All candidates start after the same context, the longest lag. Each fold has a basis of its own, so nothing of a
    held-out case is in it.
    """
    candidates = [Choice(*values) for values in product(table.ranks, table.lags, table.ridges, table.intercepts)]
    scores = [_scores(train.select(kept), train.select(held), table) for kept, held in folds(train.cases, table.folds)]
    mean = np.mean(scores, axis=0).reshape(-1)
    best = int(np.argmax(mean))
    return candidates[best], float(mean[best])


def _scores(kept: Dataset, held: Dataset, table: TuningTable) -> Array:
    """R² of every candidate on one fold, (ranks, lags, ridges, intercepts)."""
    rows = (block.reshape(-1, block.shape[-1]) for block in _blocks(kept))
    pod = POD.fit(rows, rank=max(table.ranks))
    runs = [run for block in _blocks(kept) for run in pod.encode(block)]
    frames = np.concatenate(list(_blocks(held)))
    start = max(table.lags)
    context, truth = np.split(pod.encode(frames), [start], axis=1)
    future = frames[:, start:]
    squares = np.sum((future - pod.mean) ** 2, axis=(1, 2))
    spread = np.sum((future - future.mean(axis=(1, 2), keepdims=True)) ** 2, axis=(1, 2))
    scores = np.empty((len(table.ranks), len(table.lags), len(table.ridges), len(table.intercepts)))
    for column, lag in enumerate(table.lags):
        equations = NormalEquations.of(*windows(runs, lag))
        for row, rank in enumerate(table.ranks):
            modes = min(rank, pod.rank)
            part, wanted = equations.first(modes), truth[..., :modes]
            outside = squares - np.sum(wanted**2, axis=(1, 2))
            for cell in np.ndindex(scores.shape[2:]):
                solved = part.solve(table.ridges[cell[0]], intercept=table.intercepts[cell[1]])
                forecast = rollout(*solved, context[..., :modes], truth.shape[1])
                scores[row, column, *cell] = r2_of_codes(forecast, wanted, outside, spread)
    return scores
