"""Further rows of every table: a calibrated transfer function, a network before its first step, and the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from emulant.dataset.seams import Array, Dataset, Fields
from emulant.dataset.tables import Table
from emulant.errors import SurrogateError
from emulant.surrogates import read_weights
from emulant.systems.halos.background import Background
from emulant.systems.halos.baselines import SPECIES_COUNT, Identity
from emulant.systems.halos.normalisation import BATCH, Normalisation
from emulant.systems.halos.sight import CHANNELS, SHOWN, Sight, draw
from emulant.systems.halos.trained import Maps, Trained, read_trained, write_trained
from emulant.systems.halos.transfer import Transfer


class TransferScatter(Transfer):
    """`transfer` with draws: each species' mass off by a log-normal number, as wide as training residuals are."""

    name: ClassVar[str] = "transfer_scatter"

    def _fit(self, trained: Trained, train: Dataset) -> None:
        super()._fit(trained, train)
        residuals = []
        for batch in train.batches(BATCH, [*SHOWN, "target"]):
            masses = (
                np.asarray(maps, float).sum(axis=(2, 3)) for maps in (batch["target"], self.paint(batch, trained))
            )
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = np.log(np.divide(*masses))
            residuals.append(np.where(np.isfinite(logs), logs, np.nan))
        values = np.concatenate(residuals)
        known = np.maximum(np.sum(~np.isnan(values), axis=0), 1)
        mean = np.nansum(values, axis=0) / known
        self.scatter = np.sqrt(np.nansum((values - mean) ** 2, axis=0) / known)

    def predict(self, inputs: Any, *, samples: int = 1, seed: int = 0) -> dict[str, Array]:
        """`target` (C, S, 3, r, r); the draws of a case follow from its condition and the seed."""
        maps = super().predict(inputs)["target"]
        draws = np.stack(
            [draw(row, seed).standard_normal((samples, SPECIES_COUNT)) for row in inputs.fields["condition"]]
        )
        factors = np.exp(self.scatter * draws - 0.5 * self.scatter**2)
        return {"target": (maps * factors[..., None, None]).astype(np.float32)}

    def _arrays(self) -> dict[str, Array]:
        return {**super()._arrays(), "scatter": self.scatter}

    def _restore(self, folder: Path) -> None:
        super()._restore(folder)
        self.scatter = read_weights(folder / f"{self.name}.npz", {"scatter": 1})["scatter"]


class Untrained(Identity):
    """What a network puts out before its first step: zeros, so the mean of its training samples."""

    name: ClassVar[str] = "untrained"

    def _fit(self, trained: Trained, train: Dataset) -> None:
        self.sight = Sight.of(train)

    def paint(self, fields: Fields, trained: Trained) -> Maps:
        pixels = trained.geometry["resolution"]
        zeros = np.zeros((len(fields["condition"]), CHANNELS, pixels, pixels), np.float32)
        return self.sight.painted(zeros, fields, 0.0, np.ones(SPECIES_COUNT)).astype(float)

    def save(self, folder: Path) -> list[Path]:
        return [*super().save(folder), *self.sight.normalisation.save(folder)]

    def _arrays(self) -> dict[str, Array]:
        return self.sight.arrays()

    def _restore(self, folder: Path) -> None:
        arrays = read_weights(folder / f"{self.name}.npz", {"shift": 1, "spread": 1, "densest": 0})
        bounds, trained = (arrays["shift"], arrays["spread"], float(arrays["densest"])), self.known()
        self.sight = Sight(Normalisation.load(folder), trained.parameters, trained.geometry, *bounds)


class HydroReplace:
    """The truth itself, pasted as predictions are: what pasting lets a painter reach."""

    Config: ClassVar[type[Table]] = Table

    def __init__(self, config: Any | None = None) -> None:
        self.config = config or self.Config()
        self.background: Background | None = None

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Nothing is learned but what lies outside of patches."""
        self.background = Background.of(train, Trained.of(train))

    def predict_with_truth(self, inputs: Any, truth: Fields) -> dict[str, Array]:
        """`target` (C, 1, 3, r, r)."""
        return {"target": np.asarray(truth["target"])[:, None]}

    def save(self, folder: Path) -> list[Path]:
        if self.background is None:
            raise SurrogateError("hydro_replace: is not fitted.", "Call `fit` first.")
        return [*write_trained(folder, self.background.trained), *self.background.save(folder)]

    @classmethod
    def load(cls, folder: Path, config: Any | None = None) -> Self:
        made = cls(config)
        made.background = Background.load(folder, read_trained(folder))
        return made
