"""Morse pair forces: repulsion at short range, attraction at long range (D'Orsogna et al., PRL 96, 104302 (2006))."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emulant.systems.swarm.config import Box, MorseTable
from emulant.systems.swarm.neighbours import Cells, cells_for, pair_sums, require_inside

CLOSEST = 1e-6
"""Distances below it count as it, so that no force is infinite."""


class Morse(NamedTuple):
    """The law as compiled kernels take it: strengths Cr/lr and Ca/la, lengths, squared cut-off."""

    repulsion: float
    lr: float
    attraction: float
    la: float
    cutoff_squared: float


def law(table: MorseTable) -> Morse:
    """The table's law in the form that kernels take."""
    return Morse(table.Cr / table.lr, table.lr, table.Ca / table.la, table.la, table.cutoff**2)


@njit  # type: ignore[untyped-decorator]
def pair_force(dx: float, dy: float, a: float, b: float, law: Morse) -> tuple[float, float]:
    """The force on a particle at (dx, dy) from another: f(r) along (dx, dy)/r, zero on itself and past the cut-off."""
    squared = dx * dx + dy * dy
    if squared > law.cutoff_squared:
        return 0.0, 0.0
    r = max(math.sqrt(squared), CLOSEST)
    strength = law.repulsion * math.exp(-r / law.lr) - law.attraction * math.exp(-r / law.la)
    return strength * dx / r, strength * dy / r


sum_forces = pair_sums(pair_force, group=4)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _forces(
    positions: NDArray[np.float64], number: NDArray[np.intp], law: Morse, box: Box, cells: Cells
) -> NDArray[np.float64]:
    forces = np.empty_like(positions)
    x, y = positions[:, 0].copy(), positions[:, 1].copy()
    sum_forces(law, x, y, x, y, number, box, cells, forces[:, 0], forces[:, 1])
    return forces


def forces(positions: NDArray[np.float64], table: MorseTable, box: Box) -> NDArray[np.float64]:
    """The Morse force on every particle.

    F_i = Σ_j f(r_ij) r̂_ij with f(r) = (Cr/lr) exp(-r/lr) - (Ca/la) exp(-r/la), r̂ from j to i, zero beyond
    `table.cutoff`. On a torus each pair acts once, at its shortest distance.

    Args:
        positions: (N, 2) in the box.

    Returns:
        (N, 2).

    Raises:
        DataError: A position is not in the box.
    """
    require_inside(positions, box)
    x = np.ascontiguousarray(positions, np.float64)
    number, cells = np.arange(len(x)), cells_for(len(x), table.cutoff, box)
    force: NDArray[np.float64] = _forces(x, number, law(table), box, cells)
    return force
