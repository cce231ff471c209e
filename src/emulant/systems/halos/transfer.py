"""The baseline that is hard to beat: power of each species over that of dark matter, by wave number."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from emulant.dataset.atomic import write_npz
from emulant.dataset.seams import Array, Dataset, Fields
from emulant.dataset.tables import Table
from emulant.surrogates import read_weights
from emulant.systems.halos.baselines import SPECIES_COUNT, Identity
from emulant.systems.halos.normalisation import BATCH
from emulant.systems.halos.sight import SHOWN
from emulant.systems.halos.spectra import contrast, log_edges, power, wave_numbers
from emulant.systems.halos.tables import TransferTable
from emulant.systems.halos.trained import Maps, Trained

NOTHING = -700.0
"""The logarithm of the share of a species that the training samples do not have."""


class Transfer(Identity):
    """T(k) = sqrt(P_species / P_condition), in logarithmic bands, applied to the fluctuations of the condition.

    How the logarithms of T and of the mean depend on parameters and halo mass is a ridge regression.
    """

    Config: ClassVar[type[Table]] = TransferTable
    name: ClassVar[str] = "transfer"

    def _fit(self, trained: Trained, train: Dataset) -> None:
        self.fit_to(trained, train)

    def fit_to(self, trained: Trained, train: Any) -> None:
        """Fit to the `batches` of samples."""
        self.edges = log_edges(trained.side, trained.geometry["resolution"], self.config.bands)
        measured = [self._measured(batch, trained) for batch in train.batches(BATCH, [*SHOWN, "target"])]
        features, theirs, ours, masses, dark = (np.concatenate(part) for part in zip(*measured, strict=True))
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = 0.5 * np.log(theirs / ours), np.log(masses / dark)
        self.transfer, self.means = (
            _ridge(features, np.where(np.isfinite(values), values, np.nan), self.config.ridge) for values in logs
        )
        # power and mass are right on average only after a shift: a mean of logarithms is not that of the numbers
        power_made = np.exp(2 * np.tensordot(features, self.transfer, 1)) * ours
        mass_made = np.exp(np.tensordot(features, self.means, 1)) * dark
        with np.errstate(divide="ignore", invalid="ignore"):
            shifts = 0.5 * np.log(theirs.sum(0) / power_made.sum(0)), np.log(masses.sum(0) / mass_made.sum(0))
        self.transfer[0] += np.where(np.isfinite(shifts[0]), shifts[0], 0.0)
        self.means[0] += np.where(np.isfinite(shifts[1]), shifts[1], NOTHING)

    def _measured(self, batch: Fields, trained: Trained) -> tuple[Maps, ...]:
        """Features (C, F), power of the species (C, 3, bands) and of the condition (C, 1, bands), and their masses
        (C, 3, 1) and (C, 1, 1)."""
        target, condition = (np.asarray(batch[name], float) for name in ("target", "condition"))
        theirs, ours = (power(contrast(maps), trained.side, self.edges) for maps in (target, condition))
        masses, dark = (maps.sum(axis=(-2, -1)) for maps in (target, condition))
        return trained.features(batch), theirs, ours[:, None], masses[..., None], dark[:, None, None]

    def paint(self, fields: Fields, trained: Trained) -> Maps:
        return self.applied(fields, trained, trained.side)

    def applied(self, fields: Fields, trained: Trained, side: float) -> Maps:
        """(C, 3, n, n) from a `condition` of any size, `side` Mpc/h along."""
        from scipy.fft import irfft2, rfft2

        features, condition = trained.features(fields), np.asarray(fields["condition"], float)
        pixels = condition.shape[-1]
        middles = np.log(np.sqrt(self.edges[1:] * self.edges[:-1]))
        waves = np.log(np.maximum(wave_numbers(pixels, side), self.edges[0]))
        mean = condition.mean(axis=(1, 2))[:, None] * np.exp(np.tensordot(features, self.means, 1)[..., 0])
        logs, modes = np.tensordot(features, self.transfer, 1), rfft2(contrast(condition))
        made = np.empty((len(condition), SPECIES_COUNT, pixels, pixels))
        for row, species in np.ndindex(made.shape[:2]):
            factor = np.exp(np.interp(waves, middles, logs[row, species]))
            made[row, species] = mean[row, species] * (1 + irfft2(factor * modes[row], s=(pixels, pixels)))
        return np.maximum(made, 0.0)

    def _arrays(self) -> dict[str, Array]:
        return {"edges": self.edges, "transfer": self.transfer, "means": self.means}

    def _restore(self, folder: Path) -> None:
        self.read(folder / f"{self.name}.npz")

    def write(self, path: Path) -> Path:
        """What was fitted, apart from what it was fitted to."""
        return write_npz(path, {"edges": self.edges, "transfer": self.transfer, "means": self.means})

    def read(self, path: Path) -> None:
        """Read what `write` wrote.

        Raises:
            SurrogateError: The file is missing or damaged.
        """
        arrays = read_weights(path, {"edges": 1, "transfer": 3, "means": 3})
        self.edges, self.transfer, self.means = arrays["edges"], arrays["transfer"], arrays["means"]


def _ridge(features: Maps, values: Maps, ridge: float) -> Maps:
    """(C, F) and (C, ...) -> coefficients (F, ...), each column from the cases where it is a number."""
    flat = values.reshape(len(values), -1)
    made = np.zeros((features.shape[1], flat.shape[1]))
    penalty = ridge * np.eye(features.shape[1])
    penalty[0, 0] = 0.0
    for column in range(flat.shape[1]):
        known = ~np.isnan(flat[:, column])
        if known.any():
            design = features[known]
            gram = design.T @ design / len(design) + penalty
            made[:, column] = np.linalg.lstsq(gram, design.T @ flat[known, column] / len(design), rcond=None)[0]
    return made.reshape(features.shape[1], *values.shape[1:])
