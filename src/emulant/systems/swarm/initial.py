"""Where a case begins: four families of positions, and headings all around."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emulant.errors import UsageError
from emulant.systems.swarm.config import FAMILIES, Box, SystemTable
from emulant.systems.swarm.neighbours import fold


@njit(cache=True)  # type: ignore[untyped-decorator]
def unit_vectors(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) the vectors (cos θ, sin θ) of (N,) angles. Compiled: no bits of numpy's vector functions."""
    vectors = np.empty((angles.size, 2))
    for i in range(angles.size):
        vectors[i, 0], vectors[i, 1] = math.cos(angles[i]), math.sin(angles[i])
    return vectors


@njit(cache=True)  # type: ignore[untyped-decorator]
def confined(points: NDArray[np.float64], box: Box) -> NDArray[np.float64]:
    """(N, 2) points brought into the box: wrapped around a torus, mirrored at walls."""
    inside = np.empty_like(points)
    for i in range(len(points)):
        inside[i, 0] = fold(points[i, 0], box.Lx, box.periodic)[0]
        inside[i, 1] = fold(points[i, 1], box.Ly, box.periodic)[0]
    return inside


def positions(family: str, system: SystemTable, rng: np.random.Generator) -> NDArray[np.float64]:
    """Initial positions about the centre C of the box, with L = min(Lx, Ly).

    ================  =========================================================================
    uniform           uniform in the box
    gaussian_cluster  Normal(C, L/6) per axis
    ring              radius |Normal(L/4, L/40)|, angle uniform, about C
    two_clusters      floor(N/2) about C - (Lx/6, 0), the rest about C + (Lx/6, 0), sd L/8
    ================  =========================================================================

    What falls outside is wrapped (periodic) or mirrored (reflecting).

    Returns:
        (N, 2) in [0, Lx) x [0, Ly).

    Raises:
        UsageError: There is no such family.
    """
    N, size = system.N, np.array([system.Lx, system.Ly])
    centre, L = size / 2, min(system.Lx, system.Ly)
    match family:
        case "uniform":
            points = rng.random((N, 2)) * size
        case "gaussian_cluster":
            points = rng.normal(centre, L / 6, (N, 2))
        case "ring":
            radii = np.abs(rng.normal(L / 4, L / 40, N))
            points = centre + radii[:, None] * unit_vectors(rng.uniform(0, 2 * np.pi, N))
        case "two_clusters":
            side = np.where(np.arange(N) < N // 2, -1.0, 1.0)
            points = rng.normal(0, L / 8, (N, 2)) + centre
            points[:, 0] += side * system.Lx / 6
        case _:
            raise UsageError(f"there is no family of initial conditions `{family}`.", f"It is one of {FAMILIES}.")
    inside: NDArray[np.float64] = confined(points, system.box)
    return inside
