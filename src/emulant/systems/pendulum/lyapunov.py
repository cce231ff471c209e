"""The Lyapunov spectrum of the true pendulum, from its tangent dynamics.

State and four tangent vectors are integrated together, Q̇ = J(y) Q, and the vectors are made orthonormal by Gram and
Schmidt every 0.1 s; the exponents are the mean logarithms of their lengths (Benettin et al., Meccanica 15, 9 (1980)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emulant.errors import UsageError
from emulant.systems.pendulum.equations import Array, accelerate_tangent, compiled, reduced
from emulant.systems.pendulum.lanes import LANES, sincos

INTERVAL = 0.1
"""s between two orthonormalisations."""
STEPS = 50
"""Steps of RK4 in an interval, to begin with: 0.002 s each."""
HALVINGS = 6
VOLUME = 1e-4
"""How far the sum of all exponents times the duration may be from what it is known to be."""
BLOCKS = 20
"""Means over so many stretches of time give the standard error."""
ROWS = 20
"""Of a lane: the state, then the rows of Q."""
RK4 = np.array([[0.0, 1 / 6], [0.5, 1 / 3], [0.5, 1 / 3], [1.0, 1 / 6]])
"""Where a stage is taken, and its weight."""


@dataclass(frozen=True)
class Spectrum:
    """Lyapunov exponents of C cases."""

    exponents: Array
    """(C, 4) 1/s, falling."""
    standard_error: Array
    """(C,) 1/s, of the first one, from the scatter of its means over stretches of time; NaN for a single interval."""
    volume_error: Array
    """(C,) |T Σλ - ln(D(y(0)) / D(y(T)))| with D = m1 + m2 sin²(θ1 - θ2).

    The flow keeps the volume in canonical coordinates; in angles and velocities volumes go as 1 / det M, so as 1 / D.
    At most `VOLUME` if a case was integrated well."""
    steps: NDArray[np.int64]
    """(C,) steps of RK4 per interval."""
    time: float
    """s that were integrated."""


@compiled  # type: ignore[untyped-decorator]
def _rates(z: Array, table: Array, gradient: Array, rate: Array) -> None:
    """ẏ and J Q of all lanes; z and rate are (ROWS, LANES)."""
    for k in range(LANES):
        s1, c1 = sincos(z[0, k])
        s2, c2 = sincos(z[1, k])
        (a1, a2), first, second = accelerate_tangent(
            s1, c1, s2, c2, z[2, k], z[3, k], table[0, k], table[1, k], table[2, k], table[3, k]
        )
        rate[0, k], rate[1, k], rate[2, k], rate[3, k] = z[2, k], z[3, k], a1, a2
        gradient[0, k], gradient[1, k], gradient[2, k], gradient[3, k] = first
        gradient[4, k], gradient[5, k], gradient[6, k], gradient[7, k] = second
    for column in range(4, 8):
        for k in range(LANES):
            q1, q2, q3, q4 = z[column, k], z[column + 4, k], z[column + 8, k], z[column + 12, k]
            rate[column, k], rate[column + 4, k] = q3, q4
            rate[column + 8, k] = gradient[0, k] * q1 + gradient[1, k] * q2 + gradient[2, k] * q3 + gradient[3, k] * q4
            rate[column + 12, k] = gradient[4, k] * q1 + gradient[5, k] * q2 + gradient[6, k] * q3 + gradient[7, k] * q4


@compiled  # type: ignore[untyped-decorator]
def _step(z: Array, table: Array, h: float, gradient: Array, rate: Array, stage: Array, change: Array) -> None:
    """One step of RK4 in place."""
    change[:] = 0.0
    for i in range(len(RK4)):
        node, weight = h * RK4[i, 0], h * RK4[i, 1]
        for r in range(ROWS):
            for k in range(LANES):
                stage[r, k] = z[r, k] + node * rate[r, k]
        _rates(stage, table, gradient, rate)
        for r in range(ROWS):
            for k in range(LANES):
                change[r, k] += weight * rate[r, k]
    for r in range(ROWS):
        for k in range(LANES):
            z[r, k] += change[r, k]


@compiled  # type: ignore[untyped-decorator]
def _orthonormalise(q: Array, k: int, growth: Array) -> None:
    """Gram and Schmidt on the columns of lane k's Q, (16, LANES); the logarithms of their lengths."""
    for column in range(4):
        for before in range(column):
            overlap = 0.0
            for row in range(0, 16, 4):
                overlap += q[row + before, k] * q[row + column, k]
            for row in range(0, 16, 4):
                q[row + column, k] -= overlap * q[row + before, k]
        square = 0.0
        for row in range(0, 16, 4):
            square += q[row + column, k] ** 2
        length = np.sqrt(square)
        for row in range(0, 16, 4):
            q[row + column, k] /= length
        growth[column] = np.log(length)


@njit(cache=True, error_model="numpy", nogil=True)  # type: ignore[untyped-decorator]
def _follow(starts: Array, tables: Array, steps: int, growth: Array, ends: Array) -> None:
    """Growth (C, intervals, 4) of the tangent vectors, and where the cases end, (C, 4)."""
    z, rate, stage, change = np.empty((4, ROWS, LANES))
    table, gradient, h = np.empty((4, LANES)), np.empty((8, LANES)), INTERVAL / steps
    for first in range(0, len(starts), LANES):
        z[:], rate[:] = 0.0, 0.0
        for k in range(LANES):
            case = min(first + k, len(starts) - 1)
            for r in range(4):
                z[r, k], table[r, k], z[4 + 5 * r, k] = starts[case, r], tables[case, r], 1.0
        for interval in range(growth.shape[1]):
            for _ in range(steps):
                _step(z, table, h, gradient, rate, stage, change)
            for k in range(min(LANES, len(starts) - first)):
                _orthonormalise(z[4:], k, growth[first + k, interval])
        for k in range(min(LANES, len(starts) - first)):
            for r in range(4):
                ends[first + k, r] = z[r, k]


def spectrum(states: Array, parameters: Array, time: float) -> Spectrum:
    """Lyapunov exponents of C cases over a time from their starts.

    The step is halved, at most six times, for cases whose volume error is above `VOLUME`.

    Args:
        states: (C, 4) starts, rad and rad/s.
        parameters: (C, 5).
        time: s; rounded to whole intervals of 0.1 s.

    Raises:
        UsageError: The time is shorter than an interval, or the shapes do not fit.
    """
    states, parameters = np.asarray(states, float), np.asarray(parameters, float)
    intervals = round(time / INTERVAL)
    if intervals < 1:
        raise UsageError(f"exponents over {time:g} s cannot be had.", f"The time must be at least {INTERVAL:g} s.")
    if states.ndim != 2 or states.shape[1:] != (4,) or parameters.shape != (len(states), 5):
        raise UsageError(
            f"states are {states.shape} and parameters {parameters.shape}.", "They must be (cases, 4) and (cases, 5)."
        )
    growth, error = np.empty((len(states), intervals, 4)), np.full(len(states), np.inf)
    steps, over, tables = np.full(len(states), STEPS), np.arange(len(states)), reduced(parameters)
    for halving in range(HALVINGS + 1):
        steps[over] = STEPS << halving
        part, ends = np.empty((len(over), intervals, 4)), np.empty((len(over), 4))
        _follow(states[over], tables[over], STEPS << halving, part, ends)
        growth[over], error[over] = part, _volume_error(part, states[over], ends, parameters[over])
        over = over[~(error[over] <= VOLUME)]
        if not over.size:
            break
    time = intervals * INTERVAL
    return Spectrum(growth.sum(axis=1) / time, _standard_error(growth[:, :, 0]), error, steps, time)


def _volume_error(growth: Array, starts: Array, ends: Array, parameters: Array) -> Array:
    before, after = (
        parameters[:, 2] + parameters[:, 3] * np.sin(state[:, 0] - state[:, 1]) ** 2 for state in (starts, ends)
    )
    error: Array = np.abs(growth.sum(axis=(1, 2)) - np.log(before / after))
    return error


def _standard_error(growth: Array) -> Array:
    """(C,) of the mean rate, from means over blocks of the (C, intervals) growths."""
    blocks = np.array_split(growth, min(BLOCKS, growth.shape[1]), axis=1)
    if len(blocks) < 2:
        return np.full(len(growth), np.nan)
    means = np.stack([block.mean(axis=1) / INTERVAL for block in blocks], axis=1)
    error: Array = means.std(axis=1, ddof=1) / np.sqrt(len(blocks))
    return error
