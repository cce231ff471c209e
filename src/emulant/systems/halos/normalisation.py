"""z = (log10(x + 1) - mean) / std, fitted to training samples; kept in the three files of the source document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.atomic import write_npz
from emulant.dataset.hashing import hash_value
from emulant.dataset.seams import Array, Dataset
from emulant.errors import DataError, SurrogateError
from emulant.surrogates import read_weights

EPSILON = 1e-8
"""The least standard deviation."""
FILES = ("dark_matter_normalization_stats.npz", "gas_normalization_stats.npz", "stellar_normalization_stats.npz")
PREFIXES = ("dm_mag", "gas_mag", "star_mag")
BATCH = 64
GEOMETRY = ("box_size", "npix", "resolution", "scales")
MAPS = ("condition", "large_scale", "target")


def magnitude(maps: Array) -> NDArray[np.float32]:
    """log10(x + 1) of masses per pixel."""
    return np.asarray(np.log10(np.asarray(maps, np.float32) + np.float32(1)), np.float32)


def mass(magnitudes: Array) -> NDArray[np.float32]:
    """The way back; never negative."""
    powers = 10.0 ** np.clip(np.asarray(magnitudes, np.float64), 0, 30) - 1
    return np.asarray(powers, np.float32)


@dataclass(frozen=True)
class Normalisation:
    """Means and standard deviations of magnitudes. Stars: of occupied pixels only."""

    mean: NDArray[np.float64]
    """(3,) dm, gas, stars."""
    std: NDArray[np.float64]
    occupancy: float
    """The share of star pixels that are not empty."""
    condition_mean: float
    condition_std: float
    large_scale_mean: NDArray[np.float64]
    """(scales - 1,)"""
    large_scale_std: NDArray[np.float64]

    @classmethod
    def of(cls, training: Dataset) -> Normalisation:
        """Fit to all samples, batch by batch.

        Raises:
            DataError: A map is negative or not finite, or no pixel has stars.
        """
        species, condition, large = _Moments(), _Moments(), _Moments()
        for batch in training.batches(BATCH, MAPS):
            target = magnitude(_sound(batch["target"], "target"))
            stars = target[:, 2] > 0
            everywhere = np.ones_like(stars)
            species.add(target, np.stack([everywhere, everywhere, stars], axis=1))
            condition.add(magnitude(_sound(batch["condition"], "condition"))[:, None])
            large.add(magnitude(_sound(batch["large_scale"], "large_scale")))
        if species.count[2] == 0:
            raise DataError("no pixel of the training samples has stars: there is nothing to normalise them by.")
        return cls(
            species.mean,
            species.std,
            float(species.count[2] / species.count[0]),
            float(condition.mean[0]),
            float(condition.std[0]),
            large.mean,
            large.std,
        )

    def save(self, folder: Path) -> list[Path]:
        """The three documented files."""
        extra: list[dict[str, Any]] = [
            {
                "condition_mean": self.condition_mean,
                "condition_std": self.condition_std,
                "large_scale_mean": self.large_scale_mean,
                "large_scale_std": self.large_scale_std,
            },
            {},
            {"occupancy": self.occupancy},
        ]
        return [
            write_npz(
                folder / FILES[row],
                {f"{prefix}_mean": self.mean[row], f"{prefix}_std": self.std[row], "epsilon": EPSILON, **extra[row]},
            )
            for row, prefix in enumerate(PREFIXES)
        ]

    @classmethod
    def load(cls, folder: Path) -> Normalisation:
        """Read what `save` wrote.

        Raises:
            SurrogateError: A file is missing or damaged, or lacks a number.
        """
        dark, gas, stars = (
            read_weights(folder / FILES[row], {f"{prefix}_mean": 0, f"{prefix}_std": 0, "epsilon": 0, **further})
            for row, (prefix, further) in enumerate(zip(PREFIXES, _FURTHER, strict=True))
        )
        found = (dark, gas, stars)
        mean, std = (
            np.array([float(file[f"{prefix}_{what}"]) for file, prefix in zip(found, PREFIXES, strict=True)])
            for what in ("mean", "std")
        )
        return cls(
            mean,
            std,
            float(stars["occupancy"]),
            float(dark["condition_mean"]),
            float(dark["condition_std"]),
            dark["large_scale_mean"],
            dark["large_scale_std"],
        )

    @property
    def digest(self) -> str:
        """Tells one normalisation from another."""
        return hash_value({each.name: np.asarray(getattr(self, each.name)).tolist() for each in fields(self)})

    # -- maps as a network sees them

    def context(self, condition: Array, large_scale: Array) -> NDArray[np.float32]:
        """(C, r, r) and (C, scales - 1, r, r) -> (C, scales, r, r)"""
        near = (magnitude(condition)[:, None] - self.condition_mean) / self.condition_std
        far = (magnitude(large_scale) - _wide(self.large_scale_mean)) / _wide(self.large_scale_std)
        return np.concatenate([near, far], axis=1).astype(np.float32)

    def species(self, maps: Array) -> NDArray[np.float32]:
        """(C, 3, r, r) masses -> z."""
        return np.asarray((magnitude(maps) - _wide(self.mean)) / _wide(self.std), np.float32)

    def masses(self, z: Array) -> NDArray[np.float32]:
        """(..., 3, r, r) z -> masses."""
        return mass(np.asarray(z) * _wide(self.std) + _wide(self.mean))


_FURTHER: tuple[Mapping[str, int], ...] = (
    {"condition_mean": 0, "condition_std": 0, "large_scale_mean": 1, "large_scale_std": 1},
    {},
    {"occupancy": 0},
)


def geometry_of(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """What of a dataset's geometry a model belongs to, in JSON types."""
    return {key: list(geometry[key]) if key == "scales" else geometry[key] for key in GEOMETRY}


def require_geometry(trained: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """See to it that data have the geometry that a model was trained on.

    Raises:
        SurrogateError: They have another.
    """
    found = geometry_of(given)
    for key in GEOMETRY:
        if not _same(trained[key], found[key]):
            raise SurrogateError(
                f"the data have {key} = {found[key]}; the model was trained on {trained[key]}.",
                "Extract them with the study's own geometry, or train a model on theirs.",
            )


def _same(one: Any, other: Any) -> bool:
    a, b = np.ravel(one).astype(float), np.ravel(other).astype(float)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-9))


class _Moments:
    """Count, mean and variance of every channel, added up batch by batch (Chan et al. 1983)."""

    def __init__(self) -> None:
        self.count: Any = 0.0
        self.mean: Any = 0.0
        self.squares: Any = 0.0

    def add(self, maps: Array, where: Array | None = None) -> None:
        """(C, channels, r, r), those pixels that `where` says."""
        values = maps.astype(np.float64)
        seen = np.ones(values.shape, bool) if where is None else where
        count = seen.sum(axis=(0, 2, 3)).astype(float)
        mean = np.sum(values, axis=(0, 2, 3), where=seen) / np.maximum(count, 1)
        squares = np.sum((values - _wide(mean)) ** 2, axis=(0, 2, 3), where=seen)
        total = self.count + count
        apart = mean - self.mean
        self.squares = self.squares + squares + apart**2 * self.count * count / np.maximum(total, 1)
        self.mean = self.mean + apart * count / np.maximum(total, 1)
        self.count = total

    @property
    def std(self) -> NDArray[np.float64]:
        deviation: NDArray[np.float64] = np.maximum(np.sqrt(self.squares / np.maximum(self.count, 1)), EPSILON)
        return deviation


def _wide(values: Array) -> Array:
    """(channels,) -> (channels, 1, 1)"""
    wide: Array = np.asarray(values)[:, None, None]
    return wide


def _sound(maps: Array, name: str) -> Array:
    if not np.isfinite(maps).all() or maps.min() < 0:
        raise DataError(f"`{name}` has pixels that are negative or not finite.", "`emulant validate` names the shard.")
    return maps


def names_of(geometry: Mapping[str, Any]) -> Sequence[str]:
    """The parameters that the columns of `params` hold."""
    return tuple(geometry.get("parameters", ()))
