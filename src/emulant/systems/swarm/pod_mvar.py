"""The surrogate of the source document: a linear autoregression of POD coefficients of the density."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from emulant.dataset.atomic import write_json, write_npz, write_text
from emulant.dataset.seams import Array, Context, Dataset
from emulant.dataset.tables import Table
from emulant.errors import SurrogateError
from emulant.surrogates import MEND, read_weights
from emulant.surrogates.blending import Blend
from emulant.surrogates.latent import Latent
from emulant.surrogates.mvar import MVAR, NormalEquations, rollout, windows
from emulant.surrogates.pod import POD, PODTable
from emulant.surrogates.tuning import folds, r2_of_codes

TARGET = "rho"
BATCH_CASES = 16

Positive = Annotated[int, Field(ge=1)]
Ridge = Annotated[float, Field(ge=0)]


class TuningTable(Table):
    """What to choose from, by the closed-loop R² on held-out folds of the training cases."""

    ranks: Annotated[tuple[Positive, ...], Field(min_length=1)] = (10, 20, 30, 40, 50, 60, 80, 100)
    lags: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1, 2, 4)
    ridges: Annotated[tuple[Ridge, ...], Field(min_length=1)] = (1e-6, 1e-4, 1e-2, 0.1, 1.0, 10.0, 100.0)
    intercepts: Annotated[tuple[bool, ...], Field(min_length=1)] = (False, True)
    folds: Annotated[int, Field(ge=2)] = 5


class PodMvarTable(PODTable):
    """`[surrogates.pod_mvar]`; the defaults are the document's TARGET_ENERGY, P_LAG and RIDGE_ALPHA."""

    lag: Positive = 4
    ridge: Ridge = 1e-6
    intercept: bool = False
    tune: TuningTable | None = None
    """Present: rank, lag, ridge and intercept are chosen, and what stands above is not used (`lag`: the most)."""
    blend: bool = False
    """Fade into the climatology, see `emulant.surrogates.blending`."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Folds of the training cases for `blend`."""

    @model_validator(mode="after")
    def _lags_within_context(self) -> Self:
        if self.tune is not None and max(self.tune.lags) > self.lag:
            raise ValueError(f"tune.lags must not exceed lag = {self.lag}, the frames of context")
        return self


@dataclass(frozen=True)
class Choice:
    """The numbers that a fit is made with."""

    rank: int | None
    lag: int
    ridge: float
    intercept: bool


class PodMvar:
    """POD + MVAR. Overfits by design of the document: with 99.5 % of the energy it has more regressors per output
    than a hundred short cases determine, and loses to standing still. `tune` and `blend` mend that."""

    Config: ClassVar[type[PodMvarTable]] = PodMvarTable

    def __init__(self, config: PodMvarTable | None = None) -> None:
        self.config = config or PodMvarTable()
        self.lag = self.config.lag
        self.model: Latent[POD, MVAR] | None = None
        self.blend: Blend | None = None
        self._shape: tuple[int, ...] = ()
        self._metadata: dict[str, Any] = {}
        self._index = pl.DataFrame()

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Fit on all training cases; choices and blend come from folds of them, there is no validation split.

        Raises:
            SurrogateError: Too few cases or frames, or equations that the ridge does not make regular.
        """
        config = self.config
        choice, tuned_r2 = Choice(config.rank, config.lag, config.ridge, config.intercept), None
        if config.tune is not None:
            choice, tuned_r2 = tune(train, config.tune)
        self._shape = next(iter(train.batches(1, [TARGET])))[TARGET].shape[1:]
        self.model = _fit(train, choice, config.energy)
        self.blend = None
        self.lag = choice.lag
        if config.blend:
            blend = Blend.fit(
                train,
                lambda part: _forecast_with(_fit(part, choice, config.energy)),
                lag=config.lag,
                count=config.folds,
                target=TARGET,
            )
            # The mean of the POD is the climatology up to rounding; so it need not be stored twice.
            self.blend = replace(blend, climatology=self.model.encoder.mean.reshape(self._shape[1:]))
        self._metadata = _metadata(train, config, self.model, tuned_r2, self.blend)
        self._index = _index(train, self._shape[0])

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """`rho` (C, horizon, ny, nx), particles per area; inf where an unblended rollout has overflowed."""
        model = self._fitted()
        frames = context.fields[TARGET]
        if frames.shape[2:] != self._shape[1:]:
            raise SurrogateError(
                f"pod_mvar: the context's grid is {frames.shape[2:]}, it was trained on {self._shape[1:]}.",
                "Bring the densities to the same grid, or train on this one.",
            )
        forecast = model.forecast(frames, horizon)
        return {TARGET: forecast if self.blend is None else self.blend.apply(forecast)}

    def save(self, folder: Path) -> list[Path]:
        """pod_model.npz, mvar_model.npz, training_metadata.json and index_mapping.csv, as the document has them."""
        model = self._fitted()
        blend = {} if self.blend is None else self.blend.arrays()
        return [
            model.encoder.save(folder / "pod_model.npz"),
            write_npz(folder / "mvar_model.npz", model.forecaster.arrays() | blend),
            write_json(folder / "training_metadata.json", self._metadata),
            write_text(folder / "index_mapping.csv", self._index.write_csv()),
        ]

    @classmethod
    def load(cls, folder: Path, config: PodMvarTable | None = None) -> Self:
        """Read what `save` wrote. Raises SurrogateError naming the file and what is wrong with it."""
        surrogate = cls(config)
        pod, mvar = POD.load(folder / "pod_model.npz"), MVAR.load(folder / "mvar_model.npz")
        if pod.rank != mvar.rank:
            raise SurrogateError(
                f"{folder / 'mvar_model.npz'}: 'A_matrices' is for {mvar.rank} modes, pod_model.npz has {pod.rank}.",
                MEND,
            )
        metadata, index = _read_json(folder / "training_metadata.json"), _read_csv(folder / "index_mapping.csv")
        surrogate._metadata, surrogate._index = metadata, index
        surrogate._shape = tuple(int(length) for length in metadata.get("shape", ()))
        if len(surrogate._shape) != 3 or np.prod(surrogate._shape[1:]) != len(pod.mean):
            raise SurrogateError(
                f"{folder / 'training_metadata.json'}: 'shape' must be (frames, ny, nx) with {len(pod.mean)} cells.",
                MEND,
            )
        surrogate.model, surrogate.lag = Latent(pod, mvar), mvar.lag
        arrays = read_weights(folder / "mvar_model.npz", {}, Blend.AXES)
        surrogate.blend = Blend.from_arrays(pod.mean.reshape(surrogate._shape[1:]), arrays)
        return surrogate

    def _fitted(self) -> Latent[POD, MVAR]:
        if self.model is None:
            raise SurrogateError("pod_mvar: is not fitted.", "Call `fit` or `load` first.")
        return self.model


# -- fitting ----------------------------------------------------------------------------------------------------


def _blocks(train: Dataset) -> Iterator[Array]:
    """(cases, frames, cells) at a time."""
    for batch in train.batches(BATCH_CASES, [TARGET]):
        frames = batch[TARGET]
        yield frames.reshape(*frames.shape[:2], -1)


def _fit(train: Dataset, choice: Choice, energy: float) -> Latent[POD, MVAR]:
    rows = (block.reshape(-1, block.shape[-1]) for block in _blocks(train))
    pod = POD.fit(rows, energy=energy, rank=choice.rank)
    runs = [run for block in _blocks(train) for run in pod.encode(block)]
    return Latent(pod, MVAR.fit(runs, choice.lag, choice.ridge, intercept=choice.intercept))


def _forecast_with(model: Latent[POD, MVAR]) -> Any:
    return lambda context, horizon: model.forecast(context.fields[TARGET], horizon)


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


# -- files ------------------------------------------------------------------------------------------------------


def _metadata(
    train: Dataset, config: PodMvarTable, model: Latent[POD, MVAR], tuned_r2: float | None, blend: Blend | None
) -> dict[str, Any]:
    counts = train.cases.group_by("family").len().sort("family")
    frames = next(iter(train.batches(1, [TARGET])))[TARGET]
    metadata: dict[str, Any] = {
        "N_train": len(train),
        "IC_distribution": dict(zip(counts["family"].to_list(), counts["len"].to_list(), strict=True)),
        "config": {"geometry": dict(train.geometry), "surrogate": config.model_dump(mode="json")},
        "shape": list(frames.shape[1:]),
        "spectral_radius": model.forecaster.spectral_radius(),
    }
    if tuned_r2 is not None:
        mvar = model.forecaster
        metadata["tuned"] = {
            "rank": mvar.rank,
            "lag": mvar.lag,
            "ridge": mvar.ridge,
            "intercept": mvar.intercept is not None,
            "r2_on_folds": tuned_r2,
        }
    if blend is not None:
        metadata["blend"] = {"weights": blend.weights.tolist(), "diverged": blend.diverged}
    return metadata


def _index(train: Dataset, frames: int) -> pl.DataFrame:
    """One row per training snapshot, in the order of the snapshot matrix."""
    cases = train.cases.select(
        run_name=pl.format("train_{}", pl.col("case").cast(pl.String).str.zfill(3)), ic_type=pl.col("family")
    )
    index = cases.join(pl.DataFrame({"time_idx": np.arange(frames)}), how="cross")
    return index.with_row_index("global_idx")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SurrogateError(f"{path}: cannot be read as JSON ({error}).", MEND) from error
    if not isinstance(content, dict):
        raise SurrogateError(f"{path}: is not a JSON object.", MEND)
    return content


def _read_csv(path: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SurrogateError(f"{path}: cannot be read as CSV ({error}).", MEND) from error
