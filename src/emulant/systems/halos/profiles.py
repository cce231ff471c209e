"""How mass lies within a halo: enclosed fractions on a grid of radii, and their inverse. Radii in units of R200."""

from __future__ import annotations

import numpy as np

from emulant.dataset.seams import Array

RADII = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 400), np.geomspace(1.0, 12.0, 100)[1:]])
"""Where enclosed fractions are tabulated; 1, where a profile may end, is among them."""


def nfw(concentration: float, radii: Array = RADII) -> Array:
    """Enclosed fraction of a profile of Navarro, Frenk and White (1997, ApJ 490, 493) that ends at 1."""

    def enclosed(x: Array) -> Array:
        return np.asarray(np.log1p(x) - x / (1 + x))

    inner = enclosed(concentration * np.minimum(radii, 1.0))
    return np.asarray(inner / enclosed(np.asarray(concentration)))


def exponential(scale: float, radii: Array = RADII) -> Array:
    """Stars of the central galaxy: 1 - exp(-r / scale)."""
    return np.asarray(-np.expm1(-radii / scale))


def cored(core: float, edge: float, radii: Array = RADII) -> Array:
    """Bound gas: density ~ (1 + r/core)^-1.5 (1 + (r/edge)²)^-2, after Schneider and Teyssier (2015, JCAP 12, 049)."""
    density = (1 + radii / core) ** -1.5 * (1 + (radii / edge) ** 2) ** -2
    return _integrated(density, radii)


def gaussian(width: float, radii: Array = RADII) -> Array:
    """Ejected gas: density ~ exp(-r² / 2 width²)."""
    return _integrated(np.exp(-0.5 * (radii / width) ** 2), radii)


def _integrated(density: Array, radii: Array) -> Array:
    """Enclosed fraction of a density that is linear between the radii."""
    low, high, inner, outer = density[:-1], density[1:], radii[:-1], radii[1:]
    slope = (high - low) / (outer - inner)
    shells = (low - slope * inner) * (outer**3 - inner**3) / 3 + slope * (outer**4 - inner**4) / 4
    total = np.concatenate([[0.0], np.cumsum(shells)])
    return np.asarray(total / total[-1])


def radii_of(ranks: Array, enclosed: Array) -> Array:
    """The radii within which the fractions `ranks` (in (0, 1)) lie."""
    end = int(np.searchsorted(enclosed, enclosed[-1] * (1 - 1e-12))) + 1  # where it is flat there is no inverse
    return np.asarray(np.interp(ranks, enclosed[:end], RADII[:end]))
