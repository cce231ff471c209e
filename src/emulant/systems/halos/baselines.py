"""What a network has to beat: the cosmic share of baryons, and mean profiles. `transfer` is a third."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from emulant.dataset.atomic import write_npz
from emulant.dataset.seams import Array, Dataset, Fields
from emulant.dataset.tables import Table
from emulant.errors import SurrogateError
from emulant.surrogates import read_weights
from emulant.systems.halos.normalisation import BATCH
from emulant.systems.halos.radii import r200c
from emulant.systems.halos.scaling import baryon_fraction
from emulant.systems.halos.sight import PIVOT, SHOWN
from emulant.systems.halos.tables import OneHaloTable
from emulant.systems.halos.trained import Maps, Trained, read_trained, write_trained

SPECIES_COUNT = 3


def identity_maps(fields: Fields, names: Any) -> Maps:
    """(C, 3, r, r): dark matter and gas in their cosmic shares of the condition, no stars."""
    share = baryon_fraction(fields["params"], names)[:, None, None]
    condition = np.asarray(fields["condition"], np.float64)
    return np.stack([(1 - share) * condition, share * condition, np.zeros_like(condition)], axis=1)


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
