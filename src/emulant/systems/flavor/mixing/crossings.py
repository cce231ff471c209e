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

from emulant.systems.flavor.fields import ABSENT
from emulant.systems.flavor.mixing.cells import Distributions, cross, length, perpendicular
from emulant.systems.flavor.mixing.exponential import exponential, small
from emulant.systems.flavor.mixing.selection import chosen, spread

STEPS = 12
"""Of the search; each at most `REACH` rad."""
REACH = 0.5
RING = 1e-6
"""Ratio of curvatures below which a minimum is a ring."""


@dataclass(frozen=True)
class Crossings:
    """Pairs (a, b) of flavors, rows R of them; D + 1 directions, the last one that of a thin crossing (else weight 0).

    Where cells are learned from, the same with cells and pairs (C, P) in place of R.
    """

    differences: Any
    """(R, 2, D + 1): g_sa - g_sb of neutrinos and antineutrinos."""
    lepton: Any
    """(R, D + 1): G_ab, exactly the first less the second."""
    directions: Any
    """(R, D + 1, 3)."""
    weights: Any
    """(R, D + 1) steradian."""
    positive: Any
    """(R,): I+ = ∫ max(G, 0) dΩ."""
    negative: Any
    """(R,): I-."""
    present: Any
    """(R,): whether there is a crossing."""


def crossings(of: Distributions, xp: Any) -> Crossings:
    """Of rows of four species ν_a, ν_b, ν̄_a, ν̄_b."""
    values = of.values
    differences = xp.stack([values[:, 0] - values[:, 1], values[:, 2] - values[:, 3]], 1)
    lepton = differences[:, 0] - differences[:, 1]
    positive, negative = integrals(lepton, of.weights, xp)
    least, most = xp.minimum(positive, negative), xp.maximum(positive, negative)
    absent = small(ABSENT, xp)
    at, weight, found = _hidden(of, lepton, (least <= absent) & (most > absent), positive > negative, xp)
    differences = xp.concatenate([differences, found[..., None]], -1)
    lepton = differences[:, 0] - differences[:, 1]
    weights = xp.concatenate([of.weights + xp.zeros_like(lepton[:, :-1]), weight[:, None]], -1)
    directions = xp.concatenate([of.directions, at[:, None]], 1)
    positive, negative = integrals(lepton, weights, xp)
    present = xp.minimum(positive, negative) > absent
    return Crossings(differences, lepton, directions, weights, positive, negative, present)


def integrals(lepton: Any, weights: Any, xp: Any) -> tuple[Any, Any]:
    """I+ and I-, (R,)."""
    positive = xp.sum(weights * xp.clip(lepton, 0.0, None), axis=-1)
    return positive, xp.sum(weights * xp.clip(-lepton, 0.0, None), axis=-1)


def _hidden(of: Distributions, lepton: Any, asked: Any, upward: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Thin crossings: mean direction (R, 3), solid angle (R,), 0 if there is none, and differences (R, 2)."""
    rows, place = chosen(asked, xp)
    turn = xp.where(upward, 1.0, -1.0)[rows][:, None]
    amplitude, drift = of.amplitude[rows], of.drift[rows]
    # the search knows rows of h(v) = ±G_ab(v), the sign such that the grid has seen h >= 0
    coefficients = amplitude * xp.asarray(np.array([1.0, -1.0, -1.0, 1.0])) * turn
    at, mean, value, solid = _search(coefficients, drift, of.directions[rows], lepton[rows] * turn, xp)
    there = exponential(xp.sum(drift * at[:, None], axis=-1) - length(drift, xp)[..., 0], xp) * amplitude
    found = xp.stack([there[:, 0] - there[:, 1], there[:, 2] - there[:, 3]], -1)
    solid = xp.where(value < 0.0, solid, 0.0)
    return spread(mean, place, xp), spread(solid, place, xp), spread(found, place, xp)


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
    starts = xp.concatenate([_lowest(nodes, seen, xp), _lowest(beams, at_beams, xp)], 0)
    both_c, both_k, sizes = (xp.concatenate([array, array], 0) for array in (c, k, size[..., 0]))
    ends, levels = _descend(both_c, both_k, sizes, starts, xp)
    (best, other), (lowest, level) = ends.reshape(2, -1, 3), levels.reshape(2, -1)
    at = xp.where((level < lowest)[:, None], other, best)
    value, _, _, curvature = _expansion(c, k, size[..., 0], at, xp)
    depth = xp.abs(value)
    # semi-axes √(2|h|/κ) of the ellipse where h < 0; a flat one (a ring about an axis) ends at 1 rad
    flat = 2.0 * depth + small(1e-300, xp)
    product = xp.maximum(curvature[0], flat) * xp.maximum(curvature[1], flat)
    # of a ring about the axis of collinear fluxes any point was found; the mean of all lies on the axis
    longest = _lowest(k, -size[..., 0], xp)
    axis = longest / (length(longest, xp) + small(1e-300, xp))
    ring = (curvature[0] < small(RING, xp) * curvature[1])[:, None]
    mean = xp.where(ring, xp.sum(at * axis, axis=-1, keepdims=True) * axis, at)
    return at, mean, value, pi * depth / xp.sqrt(product)


def _lowest(points: Any, values: Any, xp: Any) -> Any:
    """Of points (R, N, 3) that with the smallest of the values (R, N), (R, 3)."""
    lowest = xp.argmin(values, axis=1)
    first = (xp.cumsum(0 * lowest + 1, 0) - 1) * int(values.shape[1])  # counted, as a trace knows no number of rows
    return points.reshape(-1, 3)[first + lowest]


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
