"""Radii of halos."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.seams import Array
from emulant.systems.halos.box import CRITICAL_DENSITY


def r200c(mass: Array | float) -> NDArray[np.float64]:
    """Mpc/h, of M200c in Msun/h at z = 0."""
    return np.asarray(np.cbrt(3 * np.asarray(mass, float) / (800 * np.pi * CRITICAL_DENSITY)))
