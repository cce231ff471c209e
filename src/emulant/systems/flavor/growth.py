"""Growth rates by linear stability analysis.

A perturbation S_v exp(i k·x - i ω t) of a homogeneous cell obeys, after the real shift of ω and k by the background,

    (ω - k·v) S_v = -G_v ∫ dΩ' (1 - v·v') S_v'

so that det Π = 0 with Π^{μν}(ω, k) = diag(1, -1, -1, -1) + ∫ dΩ G v^μ v^ν / (ω - k·v), v^μ = (1, v) (Izaguirre et al.
2017). The growth rate is the maximum over all real k, and over the pairs of flavors, of Im ω. All numbers here have
n_tot = 1 and are in units of K n_tot. In a frame with k along z only the azimuthal integrals of G enter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emulant.systems.flavor.angles import lebedev
from emulant.systems.flavor.crossings import Pair

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

COARSE, FINE, FINEST = 20, 96, 768
"""Polar nodes of the search, of the refinement, and at the most where a mode is nearly real."""
SLOWEST = 1e-3
"""Modes slower than this times σ are the grid's, not the cell's."""
SPAN = 2.0
"""Each line of the search goes from -2 I> to 2 I>."""
SPACING = 0.5
"""Of wave numbers on a line, in √(I+ I-): the bands in which shallow crossings grow are that narrow."""
FEWEST, MOST = 13, 401
"""Wave numbers on a line."""


@dataclass(frozen=True)
class Mode:
    """The fastest mode of a pair: growth Im ω, its wave vector (3,) and frequency ω."""

    growth: float
    wave_vector: Array
    frequency: complex


@dataclass(frozen=True)
class Fastest:
    """What linear analysis says of a pair, n_tot = 1."""

    mode: Mode
    on_dipole: float
    """The fastest growth found with k along the dipole, as the first search sees it."""
    dipole: Array
    """(3,) unit vector: the mean direction where G > 0 less that where G < 0."""


def fastest_mode(pair: Pair) -> Fastest | None:
    """The fastest mode of a pair that is crossed; None if no growing mode can be resolved.

    Eigenvalues of the discrete problem on the lines through the dipole and through the flux of G begin the search, the
    simplex of Nelder and Mead ends it over all k, on roots of det Π with as many polar nodes as the rate asks for.
    """
    dipole, flux = _axes(pair)
    for coarse in (COARSE, 3 * COARSE):  # narrow crossings hide from the first
        found = [_along(pair, axis, coarse) for axis in (dipole, flux)]
        modes = [mode for mode in found if mode is not None]
        if modes:
            on_dipole = found[0].growth if found[0] else 0.0
            start = max(modes, key=lambda mode: mode.growth)
            best = _refined(pair, _climbed(pair, start))
            if best is not None:
                return Fastest(best, on_dipole, dipole)
    return None


def _axes(pair: Pair) -> tuple[Array, Array]:
    directions, weights = lebedev(434)
    g = pair.at(directions)
    means = []
    for side in (np.maximum(g, 0.0), np.maximum(-g, 0.0)):
        integral = float(side @ weights)
        means.append((side * weights) @ directions / integral if integral > 0.0 else np.zeros(3))
    dipole = _unit(means[0] - means[1], np.array([0.0, 0.0, 1.0]))
    return dipole, _unit((g * weights) @ directions, np.array([1.0, 0.0, 0.0]))


def _unit(vector: Array, otherwise: Array) -> Array:
    length = float(np.sqrt(np.sum(vector**2)))
    return vector / length if length > 1e-12 else otherwise


def _along(pair: Pair, axis: Array, polar: int) -> Mode | None:
    """The fastest true mode with k along `axis`: eigenvalues on a coarse grid, checked against det Π on a fine one."""
    cosines, weights = _nodes(polar)
    tensors = _azimuthal(pair.coefficients, pair.drifts, axis, cosines)
    numbers = _wave_numbers(pair)
    eigenvalues = np.linalg.eigvals(_discrete(tensors, cosines, weights, numbers))
    modes = []
    for index in _peaks(eigenvalues.imag.max(axis=1))[:3]:
        values = eigenvalues[index]
        frequency = complex(values[np.argmax(values.imag)])
        if frequency.imag > 0.0:
            mode = _root(pair, numbers[index] * axis, frequency, FINE)
            modes += [mode] if mode is not None else []
    return max(modes, key=lambda mode: mode.growth, default=None)


def _wave_numbers(pair: Pair) -> Array:
    count = int(np.clip(np.ceil(2.0 * SPAN * pair.greater / (SPACING * pair.sigma)), FEWEST, MOST))
    return np.linspace(-SPAN * pair.greater, SPAN * pair.greater, count)


def _peaks(growth: Array) -> Array:
    """Indices of what is not lower than its neighbours, the highest first."""
    beside = np.concatenate([[-np.inf], growth, [-np.inf]])
    peaks = np.flatnonzero((growth >= beside[:-2]) & (growth >= beside[2:]))
    return np.asarray(peaks[np.argsort(-growth[peaks], kind="stable")])


def _discrete(tensors: Array, cosines: Array, weights: Array, numbers: Array) -> Array:
    """Matrices whose eigenvalues are the ω of every wave number: (numbers, 3 polar, 3 polar).

    At every polar node the three unknowns are the integrals of S over the azimuth with 1, v_x and v_y.
    """
    polar = len(cosines)
    across = tensors[:, :3, :3]
    kernel = np.zeros((polar, polar, 3))
    kernel[..., 0] = 1.0 - np.outer(cosines, cosines)
    kernel[..., 1:] = -1.0
    coupling = -np.einsum("iab,ijb,j->iajb", across, kernel, weights).reshape(3 * polar, 3 * polar)
    streaming = np.diag(np.repeat(cosines, 3))
    return np.asarray(coupling + numbers[:, None, None] * streaming)


def _climbed(pair: Pair, start: Mode) -> Mode:
    """The best mode over all wave vectors near that of `start`."""
    from scipy.optimize import minimize

    best = start

    def slowness(wave_vector: Array) -> float:
        nonlocal best
        mode = _root(pair, wave_vector, best.frequency, FINE)
        if mode is not None and mode.growth > best.growth:
            best = mode
        return -mode.growth if mode is not None else 0.0

    size = 0.1 * pair.greater
    simplex = np.vstack([start.wave_vector, start.wave_vector + size * np.eye(3)])
    minimize(
        slowness,
        start.wave_vector,
        method="Nelder-Mead",
        options={"maxfev": 80, "initial_simplex": simplex, "xatol": 1e-3 * size, "fatol": 1e-4 * start.growth},
    )
    return best


def _refined(pair: Pair, mode: Mode) -> Mode | None:
    """The root with so many polar nodes that its pole is resolved; None if it fades when looked at closely."""
    size = float(np.sqrt(np.sum(mode.wave_vector**2)))
    polar = FINE
    while polar < FINEST and polar * mode.growth < 8.0 * size:
        polar *= 2
    finer = _root(pair, mode.wave_vector, mode.frequency, polar)
    if finer is None or abs(finer.growth / mode.growth - 1.0) > 0.2:
        return None
    return finer


def _root(pair: Pair, wave_vector: Array, guess: complex, polar: int) -> Mode | None:
    """The growing root of det Π near `guess`, by Newton's method; None if there is none."""
    number = float(np.sqrt(np.sum(wave_vector**2)))
    axis = wave_vector / number if number > 0.0 else np.array([0.0, 0.0, 1.0])
    cosines, weights = _nodes(polar)
    tensors = _azimuthal(pair.coefficients, pair.drifts, axis, cosines)
    frequency, converged = _newton(tensors, cosines, weights, number, guess)
    if not converged or frequency.imag <= SLOWEST * pair.sigma:
        return None
    return Mode(float(frequency.imag), np.array(wave_vector), complex(frequency))


@cache
def _nodes(polar: int) -> tuple[Array, Array]:
    cosines, weights = np.polynomial.legendre.leggauss(polar)
    return cosines, weights


@njit(cache=True)  # type: ignore[untyped-decorator]
def _azimuthal(coefficients: Array, drifts: Array, axis: Array, cosines: Array) -> Array:
    """∫ dφ G b b^T with b = (1, v_x, v_y, v_z) in a frame with `axis` along z: (polar, 4, 4).

    The trapezoidal rule in φ, with so many points that exp(drift·v) is integrated to 1e-7 or better.
    """
    other = np.zeros(3)
    other[np.argmin(np.abs(axis))] = 1.0
    x = np.cross(axis, other)
    x /= np.sqrt(np.sum(x * x))
    y = np.cross(axis, x)
    local, across = np.empty((4, 3)), 0.0
    for i in range(4):
        local[i, 0], local[i, 1], local[i, 2] = np.sum(drifts[i] * x), np.sum(drifts[i] * y), np.sum(drifts[i] * axis)
        across = max(across, np.sqrt(local[i, 0] ** 2 + local[i, 1] ** 2))
    points = 16 if across < 4.0 else 24 if across < 12.0 else 40
    cancel = coefficients[2] == -coefficients[3] and np.all(drifts[2] == drifts[3])
    terms = 2 if cancel else 4
    sizes = np.array([np.sqrt(np.sum(local[i] ** 2)) for i in range(4)])
    tensors = np.zeros((len(cosines), 4, 4))
    for m in range(len(cosines)):
        sine = np.sqrt(1.0 - cosines[m] ** 2)
        for p in range(points):
            angle = 2.0 * np.pi * p / points
            vx, vy = sine * np.cos(angle), sine * np.sin(angle)
            g = 0.0
            for i in range(terms):
                g += coefficients[i] * np.exp(local[i, 0] * vx + local[i, 1] * vy + local[i, 2] * cosines[m] - sizes[i])
            tensors[m, 0, 0] += g
            tensors[m, 0, 1] += g * vx
            tensors[m, 0, 2] += g * vy
            tensors[m, 1, 1] += g * vx * vx
            tensors[m, 1, 2] += g * vx * vy
            tensors[m, 2, 2] += g * vy * vy
        tensors[m] *= 2.0 * np.pi / points
        for a in range(3):
            tensors[m, a, 3] = cosines[m] * tensors[m, 0, a]
        tensors[m, 3, 3] = cosines[m] ** 2 * tensors[m, 0, 0]
        for a in range(4):
            for b in range(a):
                tensors[m, a, b] = tensors[m, b, a]
    return tensors


@njit(cache=True)  # type: ignore[untyped-decorator]
def _newton(tensors: Array, cosines: Array, weights: Array, number: float, guess: complex) -> tuple[complex, bool]:
    """ω - 1 / tr(Π⁻¹ Π'), until it stays."""
    frequency = guess
    for _ in range(40):
        matrix = np.diag(np.array([1.0 + 0.0j, -1.0, -1.0, -1.0]))
        slope = np.zeros((4, 4), np.complex128)
        for m in range(len(cosines)):
            factor = weights[m] / (frequency - number * cosines[m])
            square = -factor / (frequency - number * cosines[m])
            for a in range(4):
                for b in range(a + 1):
                    matrix[a, b] += factor * tensors[m, a, b]
                    slope[a, b] += square * tensors[m, a, b]
        for a in range(4):
            for b in range(a):
                matrix[b, a], slope[b, a] = matrix[a, b], slope[a, b]
        if abs(np.linalg.det(matrix)) < 1e-15 * np.max(np.abs(matrix)) ** 4:  # on the root: nothing to solve
            return frequency, True
        trace = np.trace(np.linalg.solve(matrix, slope))
        if trace == 0.0 or not np.isfinite(trace.real):
            return frequency, False
        step = 1.0 / trace
        limit = 0.5 * abs(frequency)
        if abs(step) > limit:  # far away Newton's step may throw the root away
            step *= limit / abs(step)
        frequency -= step
        if frequency.imag <= 0.0:
            return frequency, False
        if abs(step) < 1e-10 * abs(frequency):
            return frequency, True
    return frequency, False
