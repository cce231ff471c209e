"""What a network has to beat: the cosmic share of baryons, a transfer function, mean profiles; and the truth itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.atomic import write_json, write_npz
from emulant.dataset.seams import Array, Dataset, Fields
from emulant.dataset.tables import Table
from emulant.errors import SurrogateError
from emulant.surrogates import read_weights
from emulant.systems.halos.normalisation import BATCH, geometry_of, names_of, require_geometry
from emulant.systems.halos.radii import r200c
from emulant.systems.halos.scaling import ParameterScale, baryon_fraction
from emulant.systems.halos.sight import PIVOT, SHOWN
from emulant.systems.halos.spectra import contrast, log_edges, power, wave_numbers
from emulant.systems.halos.tables import OneHaloTable, TransferTable

Maps = NDArray[np.float64]
ABOUT = "about.json"
SPECIES_COUNT = 3
NOTHING = -700.0
"""The logarithm of the share of a species that the training samples do not have."""


def identity_maps(fields: Fields, names: Any) -> Maps:
    """(C, 3, r, r): dark matter and gas in their cosmic shares of the condition, no stars."""
    share = baryon_fraction(fields["params"], names)[:, None, None]
    condition = np.asarray(fields["condition"], np.float64)
    return np.stack([(1 - share) * condition, share * condition, np.zeros_like(condition)], axis=1)


@dataclass(frozen=True)
class Trained:
    """What a baseline's training samples were like."""

    geometry: Mapping[str, Any]
    parameters: ParameterScale

    @classmethod
    def of(cls, training: Dataset) -> Trained:
        rows = training.read(["params"])["params"]
        return cls(geometry_of(training.geometry), ParameterScale.of(names_of(training.geometry), rows))

    def require(self, geometry: Mapping[str, Any]) -> None:
        """Raises:
        SurrogateError: Data of this geometry are not such samples.
        """
        require_geometry(self.geometry, geometry)
        self.parameters.require(names_of(geometry))

    @property
    def side(self) -> float:
        """Mpc/h along a cutout."""
        return float(self.geometry["scales"][0])

    def features(self, fields: Fields) -> Maps:
        """(C, 2 + P): 1, the parameters about the middle of their ranges, log halo mass about `PIVOT`."""
        mass = np.log10(np.asarray(fields["halo_mass"], float)) - PIVOT
        return np.column_stack([np.ones(len(mass)), self.parameters(fields["params"]) - 0.5, mass])


def write_trained(folder: Path, trained: Trained) -> list[Path]:
    """`about.json`"""
    about = {"geometry": dict(trained.geometry), "parameters": trained.parameters.about()}
    return [write_json(folder / ABOUT, about)]


def read_trained(folder: Path) -> Trained:
    """Read what `write_trained` wrote.

    Raises:
        SurrogateError: It is missing or damaged.
    """
    import orjson

    try:
        about = orjson.loads((folder / ABOUT).read_bytes())
        return Trained(about["geometry"], ParameterScale.restored(about["parameters"]))
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise SurrogateError(f"{folder / ABOUT}: is missing or damaged: {error}.", "Fit it again.") from error


class Identity:
    """dm = (1 - f_b) condition, gas = f_b condition, stars = 0."""

    Config: ClassVar[type[Table]] = Table
    name: ClassVar[str] = "identity"

    def __init__(self, config: Any | None = None) -> None:
        self.config: Any = config or self.Config()
        self.trained: Trained | None = None
        self.background: Any = None
        """What lies where nothing is painted: `background.Background`, the same for all painters."""

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Remember what samples look like."""
        from emulant.systems.halos.background import Background

        self.trained = Trained.of(train)
        self._fit(self.trained, train)
        self.background = Background.of(train, self.trained)

    def predict(self, inputs: Any, *, samples: int = 1, seed: int = 0) -> dict[str, Array]:
        """`target` (C, 1, 3, r, r) Msun/h per pixel.

        Raises:
            SurrogateError: It is not fitted, or to samples of another geometry.
            DataError: The parameters are others.
        """
        trained = self.known()
        trained.require(inputs.geometry)
        return {"target": self.paint(inputs.fields, trained)[:, None].astype(np.float32)}

    def paint(self, fields: Fields, trained: Trained) -> Maps:
        """(C, 3, r, r)"""
        return identity_maps(fields, trained.parameters.names)

    def save(self, folder: Path) -> list[Path]:
        """`about.json`, and `NAME.npz` if anything was fitted."""
        arrays, written = self._arrays(), [*write_trained(folder, self.known()), *self.background.save(folder)]
        return [*written, write_npz(folder / f"{self.name}.npz", arrays)] if arrays else written

    @classmethod
    def load(cls, folder: Path, config: Any | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            SurrogateError: A file is missing or damaged.
        """
        from emulant.systems.halos.background import Background

        made = cls(config)
        made.trained = read_trained(folder)
        made.background = Background.load(folder, made.trained)
        made._restore(folder)
        return made

    # -- what a baseline that fits something adds

    def _fit(self, trained: Trained, train: Dataset) -> None: ...

    def _arrays(self) -> dict[str, Array]:
        return {}

    def _restore(self, folder: Path) -> None: ...

    def known(self) -> Trained:
        """What it was fitted to.

        Raises:
            SurrogateError: Nothing yet.
        """
        if self.trained is None:
            raise SurrogateError(f"{self.name}: is not fitted.", "Call `fit` or `load` first.")
        return self.trained


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
        rows = [self._logarithms(batch, trained) for batch in train.batches(BATCH, [*SHOWN, "target"])]
        features = np.concatenate([row[0] for row in rows])
        self.transfer = _ridge(features, np.concatenate([row[1] for row in rows]), self.config.ridge)
        self.means = _ridge(features, np.concatenate([row[2] for row in rows]), self.config.ridge)
        self._centre(trained, train)

    def _logarithms(self, batch: Fields, trained: Trained) -> tuple[Maps, Maps, Maps]:
        """Features (C, F), log T (C, 3, bands) and log mean ratio (C, 3, 1); NaN where there is nothing."""
        target, condition = np.asarray(batch["target"], float), np.asarray(batch["condition"], float)
        theirs = power(contrast(target), trained.side, self.edges)
        ours = power(contrast(condition), trained.side, self.edges)[:, None]
        means = target.mean(axis=(2, 3)) / condition.mean(axis=(1, 2))[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = 0.5 * np.log(theirs / ours), np.log(means)[..., None]
        transfer, ratio = (np.where(np.isfinite(values), values, np.nan) for values in logs)
        return trained.features(batch), transfer, ratio

    def _centre(self, trained: Trained, train: Any) -> None:
        """Shift log T and log mean so that power and mass are right on average: a mean of logarithms is not."""
        sums = [np.zeros((2, *part.shape[1:])) for part in (self.transfer, self.means)]
        for batch in train.batches(BATCH, [*SHOWN, "target"]):
            features, target = trained.features(batch), np.asarray(batch["target"], float)
            condition = np.asarray(batch["condition"], float)
            fluctuations = power(contrast(condition), trained.side, self.edges)[:, None]
            made = np.exp(2 * np.tensordot(features, self.transfer, 1)) * fluctuations
            sums[0] += [power(contrast(target), trained.side, self.edges).sum(axis=0), made.sum(axis=0)]
            masses = np.exp(np.tensordot(features, self.means, 1)[..., 0]) * condition.sum(axis=(1, 2))[:, None]
            sums[1] += np.stack([target.sum(axis=(0, 2, 3)), masses.sum(axis=0)])[..., None]
        with np.errstate(divide="ignore", invalid="ignore"):
            shifts = 0.5 * np.log(sums[0][0] / sums[0][1]), np.log(sums[1][0] / sums[1][1])
        self.transfer[0] += np.where(np.isfinite(shifts[0]), shifts[0], 0.0)
        self.means[0] += np.where(np.isfinite(shifts[1]), shifts[1], NOTHING)

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


class OneHalo(Identity):
    """`identity`, and on every halo what each species has more or less than that at its radius, by bin of halo mass.

    The mean excess is in units of M200c / R200c², and the radius in those of R200c.
    """

    Config: ClassVar[type[Table]] = OneHaloTable
    name: ClassVar[str] = "one_halo"

    def _fit(self, trained: Trained, train: Dataset) -> None:
        masses = np.log10(train.read(["halo_mass"])["halo_mass"])
        self.bins = np.quantile(masses, np.linspace(0, 1, self.config.masses + 1)[1:-1])
        sums = np.zeros((2, SPECIES_COUNT, self.config.masses, self.config.radii))
        for batch in train.batches(BATCH, [*SHOWN, "target"]):
            excess = np.asarray(batch["target"], float) - identity_maps(batch, trained.parameters.names)
            rows, rings, unit = self._where(batch, trained)
            for case, row in enumerate(rows):
                inside = rings[case] < self.config.radii
                ring = rings[case][inside]
                for species in range(SPECIES_COUNT):
                    values = excess[case, species][inside] / unit[case]
                    sums[0, species, row] += np.bincount(ring, values, self.config.radii)
                    sums[1, species, row] += np.bincount(ring, minlength=self.config.radii)
        self.excess = sums[0] / np.maximum(sums[1], 1)

    def _where(self, fields: Fields, trained: Trained) -> tuple[Array, Array, Array]:
        """Mass bin (C,), ring of every pixel (C, r, r), and mass per pixel of M200c / R200c² (C,)."""
        mass = np.asarray(fields["halo_mass"], float)
        pixels, r200 = trained.geometry["resolution"], r200c(mass)
        pixel = trained.side / pixels
        radius = pixel * np.hypot(*(np.indices((pixels, pixels)) - pixels // 2))
        widest = trained.side / 2 / r200c(10 ** self._lightest(trained))
        rings = (radius / r200[:, None, None] / widest * self.config.radii).astype(int)
        return np.digitize(np.log10(mass), self.bins), rings, mass * (pixel / r200) ** 2

    def _lightest(self, trained: Trained) -> float:
        """log10 of the mass whose R200c the rings are spread by: the upper edge of the least bin, if there is one."""
        return float(self.bins[0]) if len(self.bins) else PIVOT

    def paint(self, fields: Fields, trained: Trained) -> Maps:
        made = identity_maps(fields, trained.parameters.names)
        rows, rings, unit = self._where(fields, trained)
        padded = np.concatenate([self.excess, np.zeros_like(self.excess[..., :1])], axis=-1)
        for case, row in enumerate(rows):
            made[case] += padded[:, row][:, np.minimum(rings[case], self.config.radii)] * unit[case]
        return np.maximum(made, 0.0)

    def _arrays(self) -> dict[str, Array]:
        return {"bins": self.bins, "excess": self.excess}

    def _restore(self, folder: Path) -> None:
        arrays = read_weights(folder / f"{self.name}.npz", {"bins": 1, "excess": 3})
        self.bins, self.excess = arrays["bins"], arrays["excess"]


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
