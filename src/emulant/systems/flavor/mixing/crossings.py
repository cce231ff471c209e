"""Where the lepton-number difference of two flavors, G_ab(v) = l_a - l_b, changes sign.

A homogeneous cell is unstable if and only if some G_ab does (Morinaga 2022). Grids miss thin crossings, so where a grid
sees one sign only, the extremum nearest to zero is sought on the sphere; a crossing found there becomes a direction of
its own, with the solid angle that its paraboloid has.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from emulant.systems.flavor.fields import ABSENT, pairs
from emulant.systems.flavor.mixing.cells import Distributions, cross, length, perpendicular
from emulant.systems.flavor.mixing.exponential import exponential, small

STEPS = 12
"""Of the search; each at most `REACH` rad."""
REACH = 0.5
RING = 1e-6
"""Ratio of curvatures below which a minimum is a ring."""


@dataclass(frozen=True)
class Crossings:
    """All pairs (a, b) of flavors of cells; D + 1 directions, the last one that of a thin crossing (else weight 0)."""

    differences: Any
    """(C, P, 2, D + 1): g_sa - g_sb of neutrinos and antineutrinos."""
    lepton: Any
    """(C, P, D + 1): G_ab, exactly the first less the second."""
    directions: Any
    """(C, P, D + 1, 3)."""
    weights: Any
    """(C, P, D + 1) steradian."""
    positive: Any
    """(C, P): I+ = ∫ max(G, 0) dΩ."""
    negative: Any
    """(C, P): I-."""
    present: Any
    """(C, P): whether there is a crossing."""


def crossings(cells: Distributions, flavors: int, xp: Any) -> Crossings:
    """Of every pair of flavors."""
    differences = _differences(cells.values, flavors, xp)
    lepton = differences[:, :, 0] - differences[:, :, 1]
    positive, negative = integrals(lepton, cells.weights, xp)
    least, most = xp.minimum(positive, negative), xp.maximum(positive, negative)
    absent = small(ABSENT, xp)
    hidden = _hidden(cells, lepton, (least <= absent) & (most > absent), positive > negative, flavors, xp)
    at, weight, found = hidden
    differences = xp.concatenate([differences, found[..., None]], axis=-1)
    lepton = differences[:, :, 0] - differences[:, :, 1]
    shape = lepton[..., :1]
    grid = cells.weights + xp.zeros_like(lepton[..., :-1])
    weights = xp.concatenate([grid, weight[..., None] + 0.0 * shape], axis=-1)
    same = cells.directions[:, None] + 0.0 * lepton[..., :-1, None]
    directions = xp.concatenate([same, at[:, :, None]], axis=2)
    positive, negative = integrals(lepton, weights, xp)
    present = xp.minimum(positive, negative) > absent
    return Crossings(differences, lepton, directions, weights, positive, negative, present)


def integrals(lepton: Any, weights: Any, xp: Any) -> tuple[Any, Any]:
    """I+ and I-, (C, P)."""
    positive = xp.sum(weights * xp.clip(lepton, 0.0, None), axis=-1)
    return positive, xp.sum(weights * xp.clip(-lepton, 0.0, None), axis=-1)


def _differences(values: Any, flavors: int, xp: Any) -> Any:
    """(C, S, ...) -> (C, P, 2, ...)."""
    both = [
        xp.stack([values[:, a] - values[:, b], values[:, flavors + a] - values[:, flavors + b]], 1)
        for a, b in pairs(flavors)
    ]
    return xp.stack(both, 1)


def _hidden(cells: Distributions, lepton: Any, asked: Any, upward: Any, flavors: int, xp: Any) -> tuple[Any, Any, Any]:
    """Thin crossings: mean direction (C, P, 3), solid angle (C, P), 0 if there is none, and differences (C, P, 2)."""
    rows = xp.stack([_species(cells.amplitude, pair, flavors, xp) for pair in pairs(flavors)], 1)
    drift = xp.stack([_species(cells.drift, pair, flavors, xp) for pair in pairs(flavors)], 1)
    signs = xp.asarray(np.array([1.0, -1.0, -1.0, 1.0]))
    turn = xp.where(upward, 1.0, -1.0)
    # everything below knows rows of h(v) = ±G_ab(v), the sign such that the grid has seen h >= 0
    coefficients = _rows(rows * signs * turn[..., None])
    drifts, nodes = _rows(drift), _rows(cells.directions[:, None] + 0.0 * lepton[..., None])
    seen, asked_rows = _rows(lepton * turn[..., None]), asked.reshape(-1)
    chosen = np.flatnonzero(asked_rows) if xp is np else slice(None)  # a traced graph has no rows to leave out
    at, mean, value, solid = _search(coefficients[chosen], drifts[chosen], nodes[chosen], seen[chosen], xp)
    solid = xp.where(asked_rows[chosen] & (value < 0.0), solid, 0.0)
    if xp is np:
        at, mean, solid = (_scattered(values, chosen, len(drifts)) for values in (at, mean, solid))
    at, mean, solid = at.reshape(*asked.shape, 3), mean.reshape(*asked.shape, 3), solid.reshape(asked.shape)
    there = exponential(xp.sum(drift * at[:, :, None], axis=-1) - length(drift, xp)[..., 0], xp) * rows
    found = xp.stack([there[..., 0] - there[..., 2], there[..., 1] - there[..., 3]], -1)
    return mean, solid, found


def _species(array: Any, pair: tuple[int, int], flavors: int, xp: Any) -> Any:
    """ν_a, ν̄_a, ν_b, ν̄_b of (C, S, ...): (C, 4, ...)."""
    a, b = pair
    return xp.stack([array[:, a], array[:, flavors + a], array[:, b], array[:, flavors + b]], 1)


def _rows(array: Any) -> Any:
    return array.reshape(-1, *array.shape[2:])


def _scattered(values: Any, chosen: Any, rows: int) -> Any:
    everywhere = np.zeros((rows, *values.shape[1:]))
    everywhere[chosen] = values
    return everywhere


# -- the search -----------------------------------------------------------------------------------------------------


def _search(c: Any, k: Any, nodes: Any, seen: Any, xp: Any) -> tuple[Any, Any, Any, Any]:
    """The lowest h(v) = Σ c exp(k·v - |k|) that is found.

    Direction (R, 3), mean direction of h < 0 about it, h (R,) and the solid angle of h < 0. From two starts: the
    lowest node of the grid, and the lowest of the beams' own directions, which are what a grid looks past.
    """
    size = length(k, xp)
    beams = k / xp.where(size > 0.0, size, 1.0) + xp.where(size > 0.0, 0.0, 1.0) * nodes[:, :1]
    along = xp.matmul(beams, xp.swapaxes(k, 1, 2)) - size[:, None, :, 0]
    at_beams = xp.sum(c[:, None] * exponential(along, xp), axis=-1)
    best, lowest = _descend(c, k, size[..., 0], _lowest(nodes, seen, xp), xp)
    other, level = _descend(c, k, size[..., 0], _lowest(beams, at_beams, xp), xp)
    at = xp.where((level < lowest)[:, None], other, best)
    value, _, _, curvature = _expansion(c, k, size[..., 0], at, xp)
    depth = xp.abs(value)
    # semi-axes √(2|h|/κ) of the ellipse where h < 0; a flat one (a ring about an axis) ends at 1 rad
    flat = 2.0 * depth + small(1e-300, xp)
    product = xp.maximum(curvature[0], flat) * xp.maximum(curvature[1], flat)
    # of a ring about the axis of collinear fluxes any point was found; the mean of all lies on the axis
    longest = k[xp.arange(k.shape[0]), xp.argmax(size[..., 0], axis=1)]
    axis = longest / (length(longest, xp) + small(1e-300, xp))
    ring = (curvature[0] < small(RING, xp) * curvature[1])[:, None]
    mean = xp.where(ring, xp.sum(at * axis, axis=-1, keepdims=True) * axis, at)
    return at, mean, value, pi * depth / xp.sqrt(product)


def _lowest(points: Any, values: Any, xp: Any) -> Any:
    rows = xp.arange(values.shape[0])
    return points[rows, xp.argmin(values, axis=1)]


def _descend(c: Any, k: Any, size: Any, v: Any, xp: Any) -> tuple[Any, Any]:
    """Newton's method on the sphere, made to descend: a step that does not is taken back and its reach cut."""
    reach = xp.zeros_like(v[:, 0]) + REACH
    value = xp.sum(c * exponential(xp.sum(k * v[:, None], axis=-1) - size, xp), axis=-1)
    for _ in range(STEPS):
        _, (first, second), (g1, g2, a, b, d), _ = _expansion(c, k, size, v, xp)
        mean, gap = 0.5 * (a + d), xp.sqrt(0.25 * (a - d) * (a - d) + b * b)
        # the Hessian, lifted until it is positive definite
        lift = xp.clip(1e-3 * (gap + xp.abs(mean)) + small(1e-300, xp) - (mean - gap), 0.0, None)
        a, d = a + lift, d + lift
        determinant = a * d - b * b
        determinant = xp.where(determinant > 0.0, determinant, 1.0)
        s1, s2 = (b * g2 - d * g1) / determinant, (b * g1 - a * g2) / determinant
        shrink = reach / xp.maximum(xp.sqrt(s1 * s1 + s2 * s2), reach)
        moved = v + (shrink * s1)[:, None] * first + (shrink * s2)[:, None] * second
        moved = moved / length(moved, xp)
        level = xp.sum(c * exponential(xp.sum(k * moved[:, None], axis=-1) - size, xp), axis=-1)
        lower = level < value
        v, value = xp.where(lower[:, None], moved, v), xp.where(lower, level, value)
        reach = xp.where(lower, reach, 0.25 * reach)
    return v, value


def _expansion(c: Any, k: Any, size: Any, v: Any, xp: Any) -> tuple[Any, Any, Any, Any]:
    """h, a tangent basis, gradient and Hessian in it, and the Hessian's eigenvalues."""
    terms = c * exponential(xp.sum(k * v[:, None], axis=-1) - size, xp)
    first = perpendicular(v, xp)
    second = cross(v, first, xp)
    p, q = xp.sum(k * first[:, None], axis=-1), xp.sum(k * second[:, None], axis=-1)
    radial = xp.sum(terms * xp.sum(k * v[:, None], axis=-1), axis=-1)
    a, b = xp.sum(terms * p * p, axis=-1) - radial, xp.sum(terms * p * q, axis=-1)
    d = xp.sum(terms * q * q, axis=-1) - radial
    mean, gap = 0.5 * (a + d), xp.sqrt(0.25 * (a - d) * (a - d) + b * b)
    local = (xp.sum(terms * p, axis=-1), xp.sum(terms * q, axis=-1), a, b, d)
    return xp.sum(terms, axis=-1), (first, second), local, (mean - gap, mean + gap)
