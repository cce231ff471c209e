"""What a network is shown of a sample and what it is asked for: the one road into it, in training and in use.

It is asked for four channels: how far dark matter and gas lie from the baseline `identity` in log space, the log
density of stars, and whether a pixel has stars at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.seams import Array, Dataset, Fields
from emulant.dataset.seeds import stream
from emulant.errors import DataError
from emulant.systems.halos.normalisation import (
    BATCH,
    Normalisation,
    geometry_of,
    magnitude,
    names_of,
    require_geometry,
)
from emulant.systems.halos.scaling import ParameterScale, baryon_fraction

SHOWN = ("condition", "large_scale", "params", "halo_mass")
CHANNELS = 4
DENSITY, OCCUPANCY = 2, 3
LARGEST = 6.0
"""Standard deviations at which what a network puts out is cut off."""
PIVOT = 13.5
"""log10 of the halo mass that a network sees as 0."""


@dataclass(frozen=True)
class Sight:
    """How samples look to a network."""

    normalisation: Normalisation
    parameters: ParameterScale
    geometry: Mapping[str, Any]
    shift: NDArray[np.float64]
    """(2,) mean residual of dm and gas."""
    spread: NDArray[np.float64]
    """(2,) its standard deviation."""
    densest: float = LARGEST
    """The density of stars, normalised, that no pixel of the training samples exceeds, nor any that is painted."""

    @classmethod
    def of(cls, training: Dataset) -> Sight:
        """Fit to training samples."""
        normalisation, names = Normalisation.of(training), names_of(training.geometry)
        rows = training.read(["params"])["params"]
        unscaled = cls(
            normalisation, ParameterScale.of(names, rows), geometry_of(training.geometry), np.zeros(2), np.ones(2)
        )
        sums, densest = np.zeros((3, 2)), -LARGEST
        for batch in training.batches(BATCH, [*SHOWN, "target"]):
            asked = unscaled.asked(batch)
            residuals, densest = asked[:, :2].astype(np.float64), max(densest, float(asked[:, DENSITY].max()))
            sums += [
                np.full(2, residuals[:, 0].size),
                residuals.sum(axis=(0, 2, 3)),
                (residuals**2).sum(axis=(0, 2, 3)),
            ]
        mean = sums[1] / sums[0]
        spread = np.sqrt(np.maximum(sums[2] / sums[0] - mean**2, 1e-6))
        return cls(normalisation, unscaled.parameters, unscaled.geometry, mean, spread, densest)

    @property
    def images(self) -> int:
        """Channels of what is shown."""
        return 1 + len(self.normalisation.large_scale_mean)

    @property
    def vector(self) -> int:
        """Numbers that are shown beside the images."""
        return len(self.parameters.names) + 1

    def shown(self, fields: Fields) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Images (C, images, r, r) and vectors (C, vector)."""
        context = self.normalisation.context(fields["condition"], fields["large_scale"])
        mass = (np.log10(np.asarray(fields["halo_mass"], float)) - PIVOT) / 0.5
        parameters = (self.parameters(fields["params"]) - 0.5) * np.sqrt(12)  # of unit variance over their range
        return context, np.column_stack([parameters, mass]).astype(np.float32)

    def asked(self, fields: Fields) -> NDArray[np.float32]:
        """(C, 4, r, r) what should come out for samples with a `target`."""
        z, start = self.normalisation.species(fields["target"]), self._start(fields)
        stars = np.asarray(fields["target"])[:, 2] > 0
        wanted = np.empty((len(z), CHANNELS, *z.shape[2:]), np.float32)
        wanted[:, :2] = (z[:, :2] - start - _wide(self.shift)) / _wide(self.spread)
        wanted[:, DENSITY] = np.where(stars, z[:, 2], 0.0)
        wanted[:, OCCUPANCY] = np.where(stars, 1.0, -1.0)
        return np.clip(wanted, -LARGEST, LARGEST)

    def painted(self, channels: Array, fields: Fields, gate: float, factors: Array) -> NDArray[np.float32]:
        """Masses (C, 3, r, r) from what came out; a pixel without stars has exactly none."""
        held = np.clip(np.asarray(channels, np.float32), -LARGEST, LARGEST)
        z = np.empty((len(held), 3, *held.shape[2:]), np.float32)
        z[:, :2] = held[:, :2] * _wide(self.spread) + _wide(self.shift) + self._start(fields)
        z[:, 2] = np.minimum(held[:, DENSITY], self.densest)
        maps = self.normalisation.masses(z) * _wide(factors)
        maps[:, 2] = np.where(np.asarray(channels)[:, OCCUPANCY] > gate, maps[:, 2], 0.0)
        return maps.astype(np.float32)

    def require(self, geometry: Mapping[str, Any]) -> None:
        """See to it that data look as those that it was fitted to.

        Raises:
            SurrogateError: Their geometry is another.
            DataError: Their parameters are others.
        """
        require_geometry(self.geometry, geometry)
        self.parameters.require(names_of(geometry))

    def _start(self, fields: Fields) -> NDArray[np.float32]:
        """(C, 2, r, r) z of dm and gas as `identity` has them."""
        share = baryon_fraction(fields["params"], self.parameters.names)[:, None]
        shares = np.concatenate([1 - share, share], axis=1)[:, :, None, None]
        parts = magnitude(shares * np.asarray(fields["condition"])[:, None])
        mean, std = self.normalisation.mean[:2], self.normalisation.std[:2]
        return np.asarray((parts - _wide(mean)) / _wide(std), np.float32)

    # -- kept with the weights

    def about(self) -> dict[str, Any]:
        """What belongs in the header of the weights."""
        return {
            "geometry": dict(self.geometry),
            "parameters": self.parameters.about(),
            "normalisation": self.normalisation.digest,
        }

    def arrays(self) -> dict[str, Array]:
        return {"shift": self.shift, "spread": self.spread, "densest": np.array(self.densest)}

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Mapping[str, Array], normalisation: Normalisation) -> Sight:
        """Raises:
        DataError: The statistics are not those that the weights were trained with.
        """
        if about["normalisation"] != normalisation.digest:
            raise DataError(
                "the normalisation files are not those that the weights beside them were trained with.",
                "Put the model's own files back, or train it again.",
            )
        parameters = ParameterScale.restored(about["parameters"])
        bounds = arrays["shift"], arrays["spread"], float(arrays["densest"])
        return cls(normalisation, parameters, about["geometry"], *bounds)


# -- symmetries -----------------------------------------------------------------------------------------------------


def turned(images: Array, numbers: Array) -> Array:
    """Each image (C, channels, r, r) under one of the 8 symmetries of the square, 0 to 7 (C,); 0 leaves it as it is."""
    made = np.empty_like(images)
    for number in np.unique(numbers):
        chosen = numbers == number
        these = np.rot90(images[chosen], number % 4, axes=(2, 3))
        made[chosen] = these.swapaxes(2, 3) if number >= 4 else these
    return made


def pieces(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size`."""
    return (slice(start, start + size) for start in range(0, count, size))


def draw(shown: Array, seed: int, *numbers: int) -> np.random.Generator:
    """The random numbers of a sample: they follow from what is shown of it, whatever is painted beside it."""
    digest = hashlib.sha256(np.ascontiguousarray(shown).tobytes()).digest()
    return stream(seed, "rollout", *numbers, *(int.from_bytes(digest[start : start + 4], "big") for start in (0, 4, 8)))


def _wide(values: Array) -> Array:
    wide: Array = np.asarray(values)[:, None, None]
    return wide
