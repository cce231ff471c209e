"""The collective precession of neutrinos at one point, as a kernel that runs over points of the box abreast.

Direction j has the state ψ_j, a complex 3-vector in flavor space (e, and two heavy flavors), and

    i ∂_t ψ_j = H_j ψ_j,    H_j = Σ_i w_i G_i (1 - v_i·v_j) |ψ_i><ψ_i| = M^t - v_j·M,

with M^m = Σ_i w_i G_i v_i^m |ψ_i><ψ_i|. Points do not talk to each other here: that is the advection's part.
Single precision: its rounding, 1e-7, lies far below the seeds of the instability, 1e-3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

LANES = 16
"""Points of the box that are computed side by side."""
_F = np.float32


@njit(cache=True, fastmath={"contract"}, forceinline=True)  # type: ignore[untyped-decorator]
def _add_moments(moments: NDArray[Any], state: NDArray[Any], weight: np.float32, v: NDArray[Any]) -> None:
    """Add one direction to M (4, 9, LANES): 3 diagonal elements, then real and imaginary parts of eμ, eτ, μτ."""
    for lane in range(LANES):
        ar, ai, br, bi = state[0, lane], state[1, lane], state[2, lane], state[3, lane]
        cr, ci = state[4, lane], state[5, lane]
        element = (
            weight * (ar * ar + ai * ai),
            weight * (br * br + bi * bi),
            weight * (cr * cr + ci * ci),
            weight * (ar * br + ai * bi),
            weight * (ai * br - ar * bi),
            weight * (ar * cr + ai * ci),
            weight * (ai * cr - ar * ci),
            weight * (br * cr + bi * ci),
            weight * (bi * cr - br * ci),
        )
        for part in range(9):
            moments[3, part, lane] += element[part]
            moments[0, part, lane] += v[0] * element[part]
            moments[1, part, lane] += v[1] * element[part]
            moments[2, part, lane] += v[2] * element[part]


@njit(cache=True, fastmath={"contract"}, forceinline=True)  # type: ignore[untyped-decorator]
def _rate(rate: NDArray[Any], state: NDArray[Any], moments: NDArray[Any], v: NDArray[Any]) -> None:
    """-i H ψ of one direction, (6, LANES)."""
    for lane in range(LANES):
        aa = moments[3, 0, lane] - v[0] * moments[0, 0, lane] - v[1] * moments[1, 0, lane] - v[2] * moments[2, 0, lane]
        bb = moments[3, 1, lane] - v[0] * moments[0, 1, lane] - v[1] * moments[1, 1, lane] - v[2] * moments[2, 1, lane]
        cc = moments[3, 2, lane] - v[0] * moments[0, 2, lane] - v[1] * moments[1, 2, lane] - v[2] * moments[2, 2, lane]
        xr = moments[3, 3, lane] - v[0] * moments[0, 3, lane] - v[1] * moments[1, 3, lane] - v[2] * moments[2, 3, lane]
        xi = moments[3, 4, lane] - v[0] * moments[0, 4, lane] - v[1] * moments[1, 4, lane] - v[2] * moments[2, 4, lane]
        yr = moments[3, 5, lane] - v[0] * moments[0, 5, lane] - v[1] * moments[1, 5, lane] - v[2] * moments[2, 5, lane]
        yi = moments[3, 6, lane] - v[0] * moments[0, 6, lane] - v[1] * moments[1, 6, lane] - v[2] * moments[2, 6, lane]
        zr = moments[3, 7, lane] - v[0] * moments[0, 7, lane] - v[1] * moments[1, 7, lane] - v[2] * moments[2, 7, lane]
        zi = moments[3, 8, lane] - v[0] * moments[0, 8, lane] - v[1] * moments[1, 8, lane] - v[2] * moments[2, 8, lane]
        ar, ai, br, bi = state[0, lane], state[1, lane], state[2, lane], state[3, lane]
        cr, ci = state[4, lane], state[5, lane]
        rate[0, lane] = aa * ai + (xr * bi + xi * br) + (yr * ci + yi * cr)
        rate[1, lane] = -(aa * ar + (xr * br - xi * bi) + (yr * cr - yi * ci))
        rate[2, lane] = bb * bi + (xr * ai - xi * ar) + (zr * ci + zi * cr)
        rate[3, lane] = -(bb * br + (xr * ar + xi * ai) + (zr * cr - zi * ci))
        rate[4, lane] = cc * ci + (yr * ai - yi * ar) + (zr * bi - zi * br)
        rate[5, lane] = -(cc * cr + (yr * ar + yi * ai) + (zr * br + zi * bi))


@njit(cache=True, fastmath={"contract"}, forceinline=True)  # type: ignore[untyped-decorator]
def _load(state: NDArray[Any], psi: NDArray[Any], first: int) -> None:
    for flavor in range(3):
        for lane in range(LANES):
            state[2 * flavor, lane] = psi[flavor, first + lane].real
            state[2 * flavor + 1, lane] = psi[flavor, first + lane].imag


@njit(cache=True, fastmath={"contract"}, forceinline=True)  # type: ignore[untyped-decorator]
def _store(psi: NDArray[Any], state: NDArray[Any], first: int) -> float:
    """Put a state back, normalised; the sum of |ψ_e|²."""
    survival = 0.0
    for lane in range(LANES):
        squares = _F(0.0)
        for part in range(6):
            squares += state[part, lane] ** 2
        scale = _F(1.0) / np.sqrt(squares)
        for flavor in range(3):
            psi[flavor, first + lane] = complex(scale * state[2 * flavor, lane], scale * state[2 * flavor + 1, lane])
        survival += (state[0, lane] ** 2 + state[1, lane] ** 2) / squares
    return survival


@njit(cache=True, fastmath={"contract"})  # type: ignore[untyped-decorator]
def react(
    psi: NDArray[Any], weights: NDArray[Any], directions: NDArray[Any], dt: np.float32, survival: NDArray[Any]
) -> float:
    """One step dt of the precession, Runge-Kutta of order 4, in place; states are normalised after it.

    Args:
        psi: (J, 3, Z) complex64, Z a multiple of LANES.
        weights: (J,) float32: w_j G_j, with n_tot = 1.
        directions: (J, 3) float32.
        dt: In units of 1 / (K n_tot).
        survival: (J,) float64, set to the mean over z of |ψ_e|² after the step.

    Returns:
        The mean over z of |M^t_ex| before the step: how much has been mixed coherently.
    """
    count, points = psi.shape[0], psi.shape[2]
    start = np.empty((count, 6, LANES), np.float32)
    stage = np.empty((count, 6, LANES), np.float32)
    total = np.empty((count, 6, LANES), np.float32)
    rate = np.empty((6, LANES), np.float32)
    moments = np.empty((4, 9, LANES), np.float32)
    following = np.empty((4, 9, LANES), np.float32)
    share = (_F(1.0 / 6.0), _F(1.0 / 3.0), _F(1.0 / 3.0), _F(1.0 / 6.0))
    reach = (_F(0.5), _F(0.5), _F(1.0), _F(0.0))
    survival[:] = 0.0
    mixed = 0.0
    for first in range(0, points, LANES):
        moments[:] = _F(0.0)
        for j in range(count):
            _load(start[j], psi[j], first)
            stage[j] = start[j]
            total[j] = start[j]
            _add_moments(moments, start[j], weights[j], directions[j])
        for lane in range(LANES):
            squares = _F(0.0)
            for part in range(3, 7):
                squares += moments[3, part, lane] ** 2
            mixed += np.sqrt(squares)
        for order in range(4):
            following[:] = _F(0.0)
            for j in range(count):
                _rate(rate, stage[j], moments, directions[j])
                for part in range(6):
                    for lane in range(LANES):
                        total[j, part, lane] += share[order] * dt * rate[part, lane]
                        stage[j, part, lane] = start[j, part, lane] + reach[order] * dt * rate[part, lane]
                if order < 3:
                    _add_moments(following, stage[j], weights[j], directions[j])
            moments[:] = following
        for j in range(count):
            survival[j] += _store(psi[j], total[j], first)
    survival /= points
    return float(mixed / points)
