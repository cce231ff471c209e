"""Is there a crossing, how deep is it, and so: is the cell stable? Exactly, not as far as a grid sees.

A homogeneous cell is fast-unstable if and only if G_ab = l_a - l_b changes sign over the sphere for some pair of
flavors (Morinaga 2022). Densities are divided by n_tot throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emulant.systems.flavor.angles import frames, in_frame, product_grid
from emulant.systems.flavor.closure import closure, total_density
from emulant.systems.flavor.fields import ABSENT, pairs

Array = NDArray[np.float64]

GRID = (64, 96)
"""Polar and azimuthal directions behind the integrals; thinner crossings are found by climbing."""
_SMALLEST_STEP = 1e-8
_FIRST_STEP = 0.2


@dataclass(frozen=True)
class Pair:
    """G of one pair of flavors: sum of four terms coefficient · exp(drift·v - |drift|), n_tot = 1."""

    coefficients: Array
    """(4,): ν_a, -ν̄_a, -ν_b, ν̄_b."""
    drifts: Array
    """(4, 3)."""
    positive: float
    """I+ = ∫ max(G, 0) dΩ."""
    negative: float
    """I- = ∫ max(-G, 0) dΩ."""

    @property
    def lesser(self) -> float:
        """I<."""
        return min(self.positive, self.negative)

    @property
    def greater(self) -> float:
        """I>."""
        return max(self.positive, self.negative)

    @property
    def crossed(self) -> bool:
        """Whether G changes sign by more than rounding."""
        return self.lesser > ABSENT

    @property
    def margin(self) -> float:
        """I< / (I< + I>): 0 without crossing, 1/2 at the most."""
        return self.lesser / (self.lesser + self.greater) if self.crossed else 0.0

    @property
    def sigma(self) -> float:
        """√(I+ I-): the quick estimate of the growth rate over K n_tot."""
        return float(np.sqrt(self.positive * self.negative)) if self.crossed else 0.0

    def at(self, directions: Array) -> Array:
        """G along directions (N, 3): (N,)."""
        return np.asarray(_values(self.coefficients, self.drifts, np.ascontiguousarray(directions)))


def find_pairs(f4: Array) -> tuple[Pair, ...]:
    """Every pair of flavors of one cell (4, 2, NF), its crossing decided exactly."""
    total = float(total_density(f4))
    if not total > 0.0:
        return ()
    scaled = f4 / total
    shapes, flavors = closure(scaled), f4.shape[-1]
    directions, weights = product_grid(*GRID)
    directions = np.ascontiguousarray(in_frame(frames(scaled), directions))
    found: list[Pair] = []
    alike = flavors == 3 and np.array_equal(scaled[..., 1], scaled[..., 2])
    for a, b in pairs(flavors)[: 1 if alike else None]:  # equal heavy flavors: the other pairs say nothing new
        # neutrino and antineutrino of a flavor side by side: equal ones cancel to the last bit
        coefficients = np.array([shapes.amplitude[matter, flavor] for flavor in (a, b) for matter in (0, 1)])
        coefficients *= (1.0, -1.0, -1.0, 1.0)
        drifts = np.array([shapes.drift[:, matter, flavor] for flavor in (a, b) for matter in (0, 1)])
        found.append(Pair(coefficients, drifts, *_sides(coefficients, drifts, directions, weights)))
    return tuple(found)


def deepest(found: tuple[Pair, ...]) -> Pair | None:
    """The pair with the largest margin; None for a cell without any neutrino."""
    return max(found, key=lambda pair: pair.margin, default=None)


def margin(f4: Array) -> float:
    """The largest margin over the pairs of one cell; 0: stable."""
    pair = deepest(find_pairs(f4))
    return pair.margin if pair else 0.0


@njit(cache=True)  # type: ignore[untyped-decorator]
def _value(coefficients: Array, drifts: Array, x: float, y: float, z: float) -> float:
    term = np.empty(4)
    for i in range(4):
        dx, dy, dz = drifts[i, 0], drifts[i, 1], drifts[i, 2]
        size = np.sqrt(dx * dx + dy * dy + dz * dz)
        term[i] = coefficients[i] * np.exp(dx * x + dy * y + dz * z - size) if coefficients[i] != 0.0 else 0.0
    return float((term[0] + term[1]) + (term[2] + term[3]))


@njit(cache=True)  # type: ignore[untyped-decorator]
def _values(coefficients: Array, drifts: Array, directions: Array) -> Array:
    values = np.empty(len(directions))
    for n in range(len(directions)):
        values[n] = _value(coefficients, drifts, directions[n, 0], directions[n, 1], directions[n, 2])
    return values


@njit(cache=True)  # type: ignore[untyped-decorator]
def _sides(coefficients: Array, drifts: Array, directions: Array, weights: Array) -> tuple[float, float]:
    """I+ and I-; a side that the grid does not see at all is looked for by climbing."""
    values = _values(coefficients, drifts, directions)
    integrals = np.zeros(2)
    for n in range(len(values)):
        integrals[0 if values[n] > 0.0 else 1] += weights[n] * abs(values[n])
    noise = 1e-15 * np.sum(np.abs(coefficients))
    for side in range(2):
        if integrals[side] > 0.0:
            continue
        sign = 1.0 - 2.0 * side
        height, curvature = _climb(sign * coefficients, drifts, directions, sign * values)
        if height > noise:  # a cap h - κ1 x²/2 - κ2 y²/2 holds π h² / √(κ1 κ2)
            integrals[side] = np.pi * height * height / curvature
    return integrals[0], integrals[1]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _climb(coefficients: Array, drifts: Array, directions: Array, values: Array) -> tuple[float, float]:
    """The height of G at its highest point, and √(κ1 κ2) there.

    Compass search on the sphere, from the best direction of the grid and from the peak of every species. It needs no
    derivative, so rings of equal height, which make Newton's matrix singular, do it no harm.
    """
    best, height = np.zeros(3), -np.inf
    for start in range(9):
        point = np.zeros(3)
        if start == 0:
            point[:] = directions[np.argmax(values)]
        else:
            drift = drifts[(start - 1) // 2]
            size = np.sqrt(np.sum(drift * drift))
            if size == 0.0:
                continue
            point[:] = drift / size * (1.0 if start % 2 else -1.0)
        top = _compass(coefficients, drifts, point)
        if top > height:
            best, height = point, top
    return height, _curvature(coefficients, drifts, best, height)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _tangents(point: Array) -> tuple[Array, Array]:
    axis = np.zeros(3)
    axis[np.argmin(np.abs(point))] = 1.0
    first = np.cross(point, axis)
    first /= np.sqrt(np.sum(first * first))
    return first, np.cross(point, first)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _compass(coefficients: Array, drifts: Array, point: Array) -> float:
    """Climb from `point`, which becomes the top; its height."""
    height = _value(coefficients, drifts, point[0], point[1], point[2])
    step = _FIRST_STEP
    while step > _SMALLEST_STEP:
        first, second = _tangents(point)
        moved = False
        for turn in range(8):
            angle = turn * np.pi / 4.0
            trial = point + step * (np.cos(angle) * first + np.sin(angle) * second)
            trial /= np.sqrt(np.sum(trial * trial))
            value = _value(coefficients, drifts, trial[0], trial[1], trial[2])
            if value > height:
                point[:], height, moved = trial, value, True
                break
        if not moved:
            step *= 0.5
    return float(height)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _curvature(coefficients: Array, drifts: Array, point: Array, height: float) -> float:
    """√(κ1 κ2) at a top, from second differences; a ring has κ2 = 0 and counts as if it were curved a little."""
    first, second = _tangents(point)
    h = 1e-3
    along = np.empty(4)
    for turn in range(4):
        angle = turn * np.pi / 4.0
        tangent = np.cos(angle) * first + np.sin(angle) * second
        sides = 0.0
        for sign in (-1.0, 1.0):
            trial = point + sign * h * tangent
            trial /= np.sqrt(np.sum(trial * trial))
            sides += _value(coefficients, drifts, trial[0], trial[1], trial[2])
        along[turn] = (2.0 * height - sides) / (h * h)
    largest = np.max(np.abs(along)) + 1e-300
    mixed = 0.5 * (along[1] - along[3])
    determinant = along[0] * along[2] - mixed * mixed
    return float(np.sqrt(max(determinant, 1e-4 * largest * largest)))
