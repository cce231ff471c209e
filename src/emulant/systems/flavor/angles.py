"""Directions on the unit sphere: fixed grids, and grids in a frame of the cell itself.

A grid fixed in the laboratory breaks rotation symmetry; in a frame of the cell, turned cells give turned answers to
rounding. Weights sum to 4π.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEBEDEV_ORDERS: Mapping[int, int] = {
    50: 11,
    74: 13,
    86: 15,
    110: 17,
    146: 19,
    170: 21,
    194: 23,
    302: 29,
    434: 35,
    590: 41,
    770: 47,
    974: 53,
    1202: 59,
    5810: 131,
}
"""Number of directions -> order of the rule, as scipy has them."""


@cache
def lebedev(directions: int) -> tuple[Array, Array]:
    """The Lebedev rule of that many points: (N, 3) and (N,)."""
    from scipy.integrate import lebedev_rule

    points, weights = lebedev_rule(LEBEDEV_ORDERS[directions])
    return _frozen(np.ascontiguousarray(points.T)), _frozen(weights)


@cache
def product_grid(polar: int, azimuthal: int) -> tuple[Array, Array]:
    """Gauss-Legendre in the cosine about z times uniform in the azimuth, starting at x: (N, 3) and (N,)."""
    cosine, weight = np.polynomial.legendre.leggauss(polar)
    azimuth = np.arange(azimuthal) * (2.0 * np.pi / azimuthal)
    sine = np.sqrt(1.0 - cosine**2)
    columns = (np.outer(sine, np.cos(azimuth)), np.outer(sine, np.sin(azimuth)), np.outer(cosine, np.ones(azimuthal)))
    points = np.stack([column.ravel() for column in columns], axis=-1)
    return _frozen(points), _frozen(np.repeat(weight * (2.0 * np.pi / azimuthal), azimuthal))


def frames(f4: Array) -> Array:
    """A frame of every cell: rows x, y, z of (..., 3, 3), turning with the cell.

    z lies along the flux of the electron lepton number less that of the heavy ones (along the total flux if that
    vanishes), x along what of the total flux is left across z. Exchanging neutrinos and antineutrinos, or μ and τ,
    turns z about at most. If all fluxes are collinear any x will do, and one is chosen.
    """
    flux = f4[..., :3, :, :]
    lepton = flux[..., 0, :] - flux[..., 1, :]
    difference = lepton[..., 0] - np.mean(lepton[..., 1:], axis=-1)
    total = np.sum(flux, axis=(-2, -1))
    scale = np.sum(f4[..., 3, :, :], axis=(-2, -1))[..., None]
    z = _unit(difference, _unit(total, np.array([0.0, 0.0, 1.0]), scale), scale)
    across = total - np.sum(total * z, axis=-1, keepdims=True) * z
    x = _unit(across, _perpendicular(z), scale)
    x = x - np.sum(x * z, axis=-1, keepdims=True) * z
    x = x / np.sqrt(np.sum(x**2, axis=-1, keepdims=True))
    return np.stack([x, np.cross(z, x), z], axis=-2)


def in_frame(frame: Array, directions: Array) -> Array:
    """Directions (N, 3) given in a frame (..., 3, 3), as vectors of the laboratory (..., N, 3)."""
    turned: Array = directions @ frame
    return turned


def _unit(vector: Array, otherwise: Array, scale: Array) -> Array:
    """Unit vectors; `otherwise` where a vector is rounding noise beside `scale`."""
    length = np.sqrt(np.sum(vector**2, axis=-1, keepdims=True))
    significant = length > 1e-10 * scale
    return np.where(significant, vector / np.where(significant, length, 1.0), otherwise)


def _perpendicular(z: Array) -> Array:
    """A unit vector across z: from the axis of the laboratory that z is farthest from."""
    axis = np.eye(3)[np.argmin(np.abs(z), axis=-1)]
    across = axis - np.sum(axis * z, axis=-1, keepdims=True) * z
    perpendicular: Array = across / np.sqrt(np.sum(across**2, axis=-1, keepdims=True))
    return perpendicular


def _frozen(array: Array) -> Array:
    array.setflags(write=False)
    return array
