"""Cells as angular distributions, each on a grid of its own frame.

The closure is that of `flavor.closure` (tested to be), written for numpy and torch alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import pi
from typing import Any

import numpy as np

from emulant.systems.flavor.angles import product_grid
from emulant.systems.flavor.closure import LARGEST_FLUX_FACTOR
from emulant.systems.flavor.mixing.exponential import exponential, small

SERIES_BELOW = 0.1
NEWTON_STEPS = 4
"""From a start within 0.3 % this is more than enough: the error squares each time."""
NOISE = 1e-9
"""A vector shorter than this, over n_tot, has no direction."""


@dataclass(frozen=True)
class Distributions:
    """g_s(v) of all species of cells, n_tot = 1; S = 2 NF species, D directions."""

    amplitude: Any
    """(C, S): g(v) = amplitude · exp(drift·v - |drift|)."""
    drift: Any
    """(C, S, 3)."""
    directions: Any
    """(C, D, 3) unit vectors."""
    weights: Any
    """(D,) steradian, 4π in all."""
    values: Any
    """(C, S, D)."""


def distributions(flux: Any, density: Any, grid: tuple[int, int], xp: Any) -> Distributions:
    """Of fluxes (C, S, 3) and densities (C, S) with n_tot = 1, on `grid` = polar times azimuthal directions."""
    amplitude, drift = closure(flux, density, xp)
    points, weights = (xp.asarray(array) for array in _grid(*grid))
    directions = xp.matmul(points, frame(flux, xp))
    along = xp.matmul(drift, xp.swapaxes(directions, 1, 2))
    values = amplitude[..., None] * exponential(along - length(drift, xp), xp)
    return Distributions(amplitude, drift, directions, weights, values)


def closure(flux: Any, density: Any, xp: Any) -> tuple[Any, Any]:
    """Amplitude (C, S) and drift Z F̂ (C, S, 3) of the maximum-entropy distributions; an empty species has none."""
    occupied = density > 0.0
    size = length(flux, xp)[..., 0]
    factor = xp.where(occupied, size, 0.0) / xp.where(occupied, density, 1.0)
    z = concentration(xp.clip(factor, 0.0, LARGEST_FLUX_FACTOR), xp)
    unit = flux / xp.where(size > 0.0, size, 1.0)[..., None]
    return xp.where(occupied, density, 0.0) / (4.0 * pi) * peak(z, xp), z[..., None] * unit


def concentration(f: Any, xp: Any) -> Any:
    """Z of flux factors in [0, 0.98]: coth Z - 1/Z = f. Start: Kröger (2015)."""
    s = f * f
    z = f * (3.0 - s * (6.0 + s - 2.0 * s * s) / 5.0) / (1.0 - s)
    for _ in range(NEWTON_STEPS):
        value, slope = _langevin(z, xp)
        z = xp.clip(z - (value - f) / slope, 0.0, None)
    return z


def _langevin(z: Any, xp: Any) -> tuple[Any, Any]:
    """coth z - 1/z and its derivative; a series where the difference would lose digits."""
    small = z < SERIES_BELOW
    s = xp.where(small, z * z, 0.0)
    series = z * (1 / 3 - s * (1 / 45 - s * (2 / 945 - s * (1 / 4725 - s * (2 / 93555)))))
    series_slope = 1 / 3 - s * (1 / 15 - s * (2 / 189 - s * (1 / 675 - s * (2 / 10395))))
    large = xp.where(small, 1.0, z)
    decay = exponential(-2.0 * large, xp)
    value = (1.0 + decay) / (1.0 - decay) - 1.0 / large
    slope = 1.0 / (large * large) - 4.0 * decay / ((1.0 - decay) * (1.0 - decay))
    return xp.where(small, series, value), xp.where(small, series_slope, slope)


def peak(z: Any, xp: Any) -> Any:
    """z e^z / sinh z, the value at the peak in units of the mean; 1 + z + ... where that is 0/0."""
    small = z < SERIES_BELOW
    s = xp.where(small, z * z, 0.0)
    sinh_over_z = 1.0 + s * (1 / 6 + s * (1 / 120 + s * (1 / 5040 + s * (1 / 362880))))
    large = xp.where(small, 1.0, z)
    decay = exponential(-2.0 * large, xp)
    return xp.where(small, exponential(xp.where(small, z, 0.0), xp) / sinh_over_z, 2.0 * large / (1.0 - decay))


def frame(flux: Any, xp: Any) -> Any:
    """A frame that turns with the cell: rows x, y, z of (C, 3, 3), from fluxes (C, S, 3).

    z lies along the first, x along what the first leaves across z, of: the flux of the electron lepton number less
    that of the heavy ones, the total flux, and so on. Exchanging neutrinos and antineutrinos, or μ and τ, turns them
    about at most, and the grid does not notice. If all fluxes are collinear any x will do, and one is chosen.
    """
    flavors = flux.shape[1] // 2
    particles, antiparticles = flux[:, :flavors], flux[:, flavors:]
    lepton, number = particles - antiparticles, particles + antiparticles
    heavy = xp.mean(lepton[:, 1:], axis=1)
    candidates = [lepton[:, 0] - heavy, xp.sum(number, axis=1), number[:, 0], lepton[:, 0]]
    if flavors == 3:
        candidates += [number[:, 1] - number[:, 2], lepton[:, 1] - lepton[:, 2]]
    z = _first(candidates, xp.zeros_like(candidates[0]) + xp.asarray(np.array([0.0, 0.0, 1.0])), xp)
    across = [vector - _dot(vector, z, xp) * z for vector in candidates]
    x = _first(across, perpendicular(z, xp), xp)
    x = x - _dot(x, z, xp) * z
    x = x / length(x, xp)
    return xp.stack([x, cross(z, x, xp), z], 1)


def _first(candidates: list[Any], otherwise: Any, xp: Any) -> Any:
    """Unit vectors along the first candidate that is more than noise."""
    chosen = otherwise
    for vector in reversed(candidates):
        size = length(vector, xp)
        significant = size > small(NOISE, xp)
        chosen = xp.where(significant, vector / xp.where(significant, size, 1.0), chosen)
    return chosen


def perpendicular(z: Any, xp: Any) -> Any:
    """A unit vector across z."""
    a, b, c = z[:, 0], z[:, 1], z[:, 2]
    steep = xp.abs(c) > 0.7
    zero = 0.0 * a
    across = xp.where(steep[:, None], xp.stack([c, zero, -a], 1), xp.stack([-b, a, zero], 1))
    return across / length(across, xp)


def _dot(a: Any, b: Any, xp: Any) -> Any:
    return xp.sum(a * b, axis=-1, keepdims=True)


def length(vector: Any, xp: Any) -> Any:
    """(..., 3) -> (..., 1)"""
    return xp.sqrt(_dot(vector, vector, xp))


def cross(a: Any, b: Any, xp: Any) -> Any:
    """a times b, (..., 3)."""
    a0, a1, a2 = a[..., 0], a[..., 1], a[..., 2]
    b0, b1, b2 = b[..., 0], b[..., 1], b[..., 2]
    return xp.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], -1)


@cache
def _grid(polar: int, azimuthal: int) -> tuple[Any, Any]:
    points, weights = product_grid(polar, azimuthal)
    return points.copy(), weights.copy()  # writable: torch takes no other
