"""Many pendulums abreast: fixed steps whose inner loops run over cases, so that the compiler fills its vectors.

A lane knows nothing of its neighbours: the bytes of a case do not depend on what is computed beside it, nor where.
Sines and cosines are polynomials, for a library's would break the vectors and differ between machines.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emulant.systems.pendulum.equations import Array, accelerate, compiled, inertia, reduced, reduced_energy
from emulant.systems.pendulum.tableau import Tableau

Vector = NDArray[np.float64]

LANES = 16
"""Cases of a block."""
REACH = 1e6
"""rad. Up to here `sincos` is right to 2e-16; not far beyond it the reduction loses digits."""
ROUND = 6755399441055744.0
"""1.5 * 2^52: x + ROUND - ROUND is x rounded to a whole number."""


@compiled  # type: ignore[untyped-decorator]
def sincos(x: float) -> tuple[float, float]:
    """sin x and cos x for |x| <= REACH, without a branch.

    Reduction to [-π/4, π/4] with π/2 in three parts (Cody & Waite, 1980), then the minimax polynomials of fdlibm. The
    quarter turn n mod 4 is put in by multiplication.
    """
    n = (x * 0.6366197723675814 + ROUND) - ROUND
    r = ((x - n * 1.5707963267341256) - n * 6.077100506303966e-11) - n * 2.0222662487959506e-21
    z = r * r
    sine = 2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)
    sine = 8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04 + z * sine)
    sine = r + r * z * (-1.66666666666666324348e-01 + z * sine)
    cosine = -2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11)
    cosine = -1.38888888888741095749e-03 + z * (2.48015872894767294178e-05 + z * cosine)
    cosine = 1.0 - 0.5 * z + z * z * (4.16666666666666019037e-02 + z * cosine)
    q = n - 4.0 * ((n * 0.25 + ROUND) - ROUND)  # -2, -1, 0, 1, 2 quarter turns
    flip, quarter = 1.0 - abs(q), q * (2.0 - abs(q))
    return flip * sine + quarter * cosine, flip * cosine - quarter * sine


@compiled  # type: ignore[untyped-decorator]
def _step(
    theta: Vector, omega: Vector, table: Vector, rates: Vector, stage: tuple[Vector, Vector], h: float, method: Tableau
) -> None:
    """One step of all lanes in place; vectors are (2 LANES,), both angles one after the other."""
    angle, speed = stage
    nodes, position, velocity = method
    stages = len(nodes) - 1
    for i in range(stages + 1):
        for k in range(2 * LANES):
            angle[k], speed[k] = 0.0, 0.0
        for j in range(i):
            p, v = h * h * position[i, j], h * velocity[i, j]
            if p != 0.0 or v != 0.0:
                for k in range(2 * LANES):
                    angle[k] += p * rates[j, k]
                    speed[k] += v * rates[j, k]
        for k in range(2 * LANES):
            angle[k] = theta[k] + (nodes[i] * h * omega[k] + angle[k])
            speed[k] = omega[k] + speed[k]
        if i < stages:
            for k in range(LANES):
                s1, c1 = sincos(angle[k])
                s2, c2 = sincos(angle[LANES + k])
                rates[i, k], rates[i, LANES + k] = accelerate(
                    s1, c1, s2, c2, speed[k], speed[LANES + k], table[0, k], table[1, k], table[2, k], table[3, k]
                )
    for k in range(2 * LANES):
        theta[k], omega[k] = angle[k], speed[k]


@compiled  # type: ignore[untyped-decorator]
def _store(theta: Vector, omega: Vector, first: int, frame: int, paths: Array) -> None:
    for k in range(min(LANES, len(paths) - first)):
        paths[first + k, frame, 0], paths[first + k, frame, 1] = theta[k], theta[LANES + k]
        paths[first + k, frame, 2], paths[first + k, frame, 3] = omega[k], omega[LANES + k]


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _march(starts: Array, tables: Array, dt: float, substeps: int, method: Tableau, paths: Array) -> None:
    theta, omega = np.empty(2 * LANES), np.empty(2 * LANES)
    stage, table = (np.empty(2 * LANES), np.empty(2 * LANES)), np.empty((4, LANES))
    rates = np.empty((len(method.nodes) - 1, 2 * LANES))
    for first in range(0, len(starts), LANES):
        for k in range(LANES):
            case = min(first + k, len(starts) - 1)  # the last block is filled up with copies of the last case
            theta[k], theta[LANES + k] = starts[case, 0], starts[case, 1]
            omega[k], omega[LANES + k] = starts[case, 2], starts[case, 3]
            for r in range(4):
                table[r, k] = tables[case, r]
        _store(theta, omega, first, 0, paths)
        for frame in range(1, paths.shape[1]):
            for _ in range(substeps):
                _step(theta, omega, table, rates, stage, dt / substeps, method)
            _store(theta, omega, first, frame, paths)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _observe(paths: Array, tables: Array, inertia: Vector, accelerations: Array, energy: Array) -> None:
    samples, column = paths.shape[1], np.empty((7, LANES))  # LANES samples of a case at a time
    for case in range(len(paths)):
        mu, nu, rho, gamma = tables[case, 0], tables[case, 1], tables[case, 2], tables[case, 3]
        for first in range(0, samples, LANES):
            for k in range(LANES):
                t = min(first + k, samples - 1)
                for r in range(4):
                    column[r, k] = paths[case, t, r]
            for k in range(LANES):
                s1, c1 = sincos(column[0, k])
                s2, c2 = sincos(column[1, k])
                w1, w2 = column[2, k], column[3, k]
                column[4, k], column[5, k] = accelerate(s1, c1, s2, c2, w1, w2, mu, nu, rho, gamma)
                within = max(abs(column[0, k]), abs(column[1, k])) <= REACH
                weight = inertia[case] if within else np.nan
                column[6, k] = weight * reduced_energy(s1, c1, s2, c2, w1, w2, mu, nu, rho, gamma)
            for k in range(min(LANES, samples - first)):
                accelerations[case, first + k, 0], accelerations[case, first + k, 1] = column[4, k], column[5, k]
                energy[case, first + k] = column[6, k]


def advance(starts: Array, parameters: Array, dt: float, steps: int, substeps: int, method: Tableau) -> Array:
    """Integrate C cases with `substeps` equal steps per stored interval.

    Args:
        starts: (C, 4) rad, rad/s.
        parameters: (C, 5).
        dt: s between stored samples.
        steps: Intervals.
        substeps: Steps of the method in each of them.
        method: See `tableau`.

    Returns:
        (C, steps+1, 4), the start first. A case that leaves the numbers ends in NaN or inf; nothing is raised.
    """
    paths: Array = np.empty((len(starts), steps + 1, 4))
    starts, tables = np.ascontiguousarray(starts, float), np.ascontiguousarray(reduced(parameters), float)
    _march(starts, tables, float(dt), substeps, method, paths)
    return paths


def observe(paths: Array, parameters: Array) -> tuple[Array, Array]:
    """Accelerations (C, T, 2) in rad/s² and energies (C, T) in J of (C, T, 4) states, to the same bits everywhere.

    The energy is NaN where an angle is beyond `REACH`.
    """
    paths = np.ascontiguousarray(paths, float)
    accelerations, energy = np.empty((*paths.shape[:2], 2)), np.empty(paths.shape[:2])
    tables, weights = np.ascontiguousarray(reduced(parameters), float), np.ascontiguousarray(inertia(parameters), float)
    _observe(paths, tables, weights, accelerations, energy)
    return accelerations, energy
