"""Explicit methods of fixed step in Nyström's form, so that one kernel runs them all.

For θ̇ = ω, ω̇ = a(θ, ω) a Runge-Kutta stage of the angles is a sum of velocities, which are sums of accelerations
themselves. Put in once and for all, only accelerations are left::

    θ_i = θ + c_i h ω + h² Σ_j P_ij a_j        ω_i = ω + h Σ_j V_ij a_j        a_i = a(θ_i, ω_i)

with V the stage matrix and P = V V; their last row is the step itself. The method is the same, at half the sums.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Tableau(NamedTuple):
    """A method of S stages. A plain tuple, so that compiled kernels take it."""

    nodes: Array
    """(S+1,) c, the last one 1."""
    position: Array
    """(S+1, S) P."""
    velocity: Array
    """(S+1, S) V."""


def nystrom(stages: Any, weights: Any) -> Tableau:
    """The form above of the Runge-Kutta method with the (S, S) stage matrix and the (S,) weights.

    The sums are exact and rounded once, so that no library for matrices has a say in the last bit.
    """
    velocity = [[Fraction(entry) for entry in row] for row in [*stages, weights]]
    size = len(velocity) - 1
    position = [[sum(row[k] * velocity[k][j] for k in range(size)) for j in range(size)] for row in velocity]
    return Tableau(*(np.array(table, float) for table in ([sum(row) for row in velocity], position, velocity)))


@cache
def rk8() -> Tableau:
    """Dormand and Prince's method of order 8, 12 stages (Hairer, Nørsett, Wanner, Solving ODEs I, §II.5)."""
    from scipy.integrate import DOP853

    return nystrom(DOP853.A, DOP853.B)


@cache
def rk4() -> Tableau:
    """Kutta's method of order 4."""
    half, sixth = Fraction(1, 2), Fraction(1, 6)
    return nystrom([[0, 0, 0, 0], [half, 0, 0, 0], [0, half, 0, 0], [0, 0, 1, 0]], [sixth, 2 * sixth, 2 * sixth, sixth])


@cache
def verlet() -> Tableau:
    """Velocity Verlet; the second acceleration is taken at the predicted velocity ω + h a.

    Order 2. It is symplectic for accelerations that do not depend on velocities. These do, so here it is not: it
    drifts, and is not reversible either.
    """
    position = np.array([[0.0, 0.0], [0.5, 0.0], [0.5, 0.0]])
    velocity = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    return Tableau(np.array([0.0, 1.0, 1.0]), position, velocity)
