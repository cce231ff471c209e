"""The maximum-entropy closure: the angular distribution that a four-flux stands for (Minerbo 1978).

    g(v) = n / 4π · Z / sinh Z · exp(Z F̂·v),     coth Z - 1/Z = f = |F| / n

Arrays of four-fluxes are (..., 4, 2, NF) as in the files; distributions are (..., 2, NF, directions), in the unit of
the densities per steradian.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST_FLUX_FACTOR = 0.98
"""A beam cannot be put on a grid of directions: beyond this the distribution, never the moments, is that of 0.98."""
_SERIES_BELOW = 0.1
_NEWTON_STEPS = 8


def concentration(flux_factor: Array) -> Array:
    """Z of a flux factor f: the inverse of coth Z - 1/Z, to rounding.

    Newton from Z = f (3 - f²) / (1 - f²), which is within a few percent of it everywhere (Banerjee et al. 2005).
    """
    f = np.clip(np.nan_to_num(flux_factor), 0.0, LARGEST_FLUX_FACTOR)
    z = f * (3.0 - f * f) / (1.0 - f * f)
    for _ in range(_NEWTON_STEPS):
        value, slope = langevin(z)
        z = z - (value - f) / slope
    return np.where(f > 0.0, z, 0.0)


def langevin(z: Array) -> tuple[Array, Array]:
    """coth z - 1/z and its derivative, z >= 0; a series where the difference would lose digits."""
    s = np.minimum(z, _SERIES_BELOW) ** 2
    series = np.minimum(z, _SERIES_BELOW) * (1 / 3 - s * (1 / 45 - s * (2 / 945 - s * (1 / 4725 - s * 2 / 93555))))
    series_slope = 1 / 3 - s * (1 / 15 - s * (2 / 189 - s * (1 / 675 - s * 2 / 10395)))
    large = np.maximum(z, _SERIES_BELOW)
    decay = np.exp(-2.0 * large)
    value = (1.0 + decay) / (1.0 - decay) - 1.0 / large
    slope = 1.0 / large**2 - 4.0 * decay / (1.0 - decay) ** 2
    return np.where(z < _SERIES_BELOW, series, value), np.where(z < _SERIES_BELOW, series_slope, slope)


@dataclass(frozen=True)
class Closure:
    """Distributions in closed form: g(v) = amplitude · exp(drift·v - |drift|), which cannot overflow."""

    amplitude: Array
    """(..., 2, NF)."""
    drift: Array
    """(..., 3, 2, NF): Z F̂."""

    def at(self, directions: Array) -> Array:
        """g along `directions` (N, 3), the same for all cells, or (..., N, 3): (..., 2, NF, N)."""
        along = np.einsum("...nk,...ksa->...san", directions, self.drift)
        size = np.sqrt(np.sum(self.drift**2, axis=-3))[..., None]
        distribution: Array = self.amplitude[..., None] * np.exp(along - size)
        return distribution


def closure(f4: Array) -> Closure:
    """The distributions of four-fluxes (..., 4, 2, NF); an empty species has none, without 0/0."""
    flux, density = f4[..., :3, :, :], f4[..., 3, :, :]
    # scaled before squaring: fluxes of 1e-200 or 1e200 keep their direction
    largest = np.max(np.abs(flux), axis=-3, keepdims=True)
    scaled = flux / np.where(largest > 0.0, largest, 1.0)
    length = np.sqrt(np.sum(scaled**2, axis=-3, keepdims=True))
    unit = scaled / np.where(length > 0.0, length, 1.0)
    occupied = density > 0.0
    size = (largest * length)[..., 0, :, :]
    z = concentration(np.where(occupied, size / np.where(occupied, density, 1.0), 0.0))
    shape = np.where(z > 0.0, 2.0 * z / -np.expm1(-2.0 * np.where(z > 0.0, z, 1.0)), 1.0)
    return Closure(np.where(occupied, density, 0.0) / (4.0 * np.pi) * shape, z[..., None, :, :] * unit)


def total_density(f4: Array) -> Array:
    """n_tot: the sum of the densities of all species, (...,)."""
    total: Array = np.sum(f4[..., 3, :, :], axis=(-2, -1))
    return total


def lepton_numbers(distribution: Array) -> Array:
    """l_a(v) = g_νa - g_ν̄a of every flavor: (..., 2, NF, N) -> (..., NF, N)."""
    difference: Array = distribution[..., 0, :, :] - distribution[..., 1, :, :]
    return difference


def with_equal_heavies(f4: Array) -> Array:
    """The four-fluxes with μ and τ replaced by their mean; two flavors are returned as they are."""
    if f4.shape[-1] == 2:
        return f4
    heavy = np.mean(f4[..., 1:], axis=-1, keepdims=True)
    return np.concatenate([f4[..., :1], heavy, heavy], axis=-1)
