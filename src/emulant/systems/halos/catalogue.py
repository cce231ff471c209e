"""Halos of a dark-matter box: friends of friends, their centres, profiles as sharp as they should be, and masses.

A particle mesh makes the cores of halos too soft. The radii of a group's particles are therefore mapped, in their
order, to those of a profile of Navarro, Frenk and White that ends at R200m; directions stay. Masses are measured after
that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from emulant.dataset.seams import Array
from emulant.dataset.seeds import stream
from emulant.systems.halos import profiles
from emulant.systems.halos.box import CRITICAL_DENSITY, Halos
from emulant.systems.halos.friends import groups

LINKING = 0.2
"""Of the mean distance between particles."""
SMALLEST = 32
"""Particles of a group, before they are refined."""
CONCENTRATION_SCATTER = 0.11
"""dex."""
SCATTER, CONCENTRATION = 1, 0
"""Numbers of random streams of a box: those of single halos, and the one of their concentrations."""


@dataclass(frozen=True)
class Catalogue:
    """The halos of a box, largest group first, with their particles."""

    halos: Halos
    members: list[Array]
    """Rows of the box's particles, ascending."""


def concentration(mass: float) -> float:
    """c200m of a halo of M200m = `mass` at z = 0: Duffy et al. (2008, MNRAS 390, L64), full sample."""
    return float(10.14 * (mass / 2e12) ** -0.081)


def find(
    coarse: Array, fine: Array, particle_mass: float, size: float, matter_density: float, seed: int, box: int
) -> Catalogue:
    """Find the halos of a box and sharpen `fine` in place.

    Args:
        coarse: (n³, 3) positions among which friends are sought.
        fine: (n³ f, 3) the same refined: the children of coarse particle i are rows i f to i f + f - 1.
        particle_mass: Of a fine particle, Msun/h.
        size: Side of the box, Mpc/h.
        matter_density: Msun/h per (Mpc/h)³.
        seed: The study's, for the scatter of concentrations.
        box: The box's number, likewise.
    """
    children = len(fine) // len(coarse)
    linking_length = LINKING * size / round(len(coarse) ** (1 / 3))
    members = [
        (rows[:, None] * children + np.arange(children)).ravel()
        for rows in groups(coarse, linking_length, size, SMALLEST)
    ]
    rows = []
    for halo, member in enumerate(members):
        mass = len(member) * particle_mass
        scatter = stream(seed, "simulation", box, SCATTER, halo, CONCENTRATION).normal(0, CONCENTRATION_SCATTER)
        rows.append(_sharpen(fine, member, mass, matter_density, concentration(mass) * 10**scatter, size))
    centers = np.array([center for center, _ in rows]).reshape(-1, 3)
    fof = np.array([len(member) * particle_mass for member in members])
    m200c = np.array([_mass_within(radii, particle_mass) for _, radii in rows])
    r200c = (3 * m200c / (4 * np.pi * 200 * CRITICAL_DENSITY)) ** (1 / 3)
    return Catalogue(Halos(np.arange(len(members)), centers, m200c, r200c, fof), members)


def _sharpen(
    positions: Array, member: Array, mass: float, matter_density: float, c: float, size: float
) -> tuple[Array, Array]:
    """Sharpen one group in place; its centre, and the radii of its particles in ascending order."""
    center = shrinking_center(positions, member, size)
    offsets, order, radii = around(positions, member, center, size)
    R200m = (3 * mass / (4 * np.pi * 200 * matter_density)) ** (1 / 3)
    ranks = (np.arange(len(member)) + 0.5) / len(member)
    mapped = R200m * profiles.radii_of(ranks, profiles.nfw(c))
    place(positions, member[order], center, offsets[order] / np.maximum(radii[order], 1e-9)[:, None], mapped, size)
    return center, mapped


def around(positions: Array, member: Array, center: Array, size: float) -> tuple[Array, Array, Array]:
    """Offsets of a group's particles from a centre (M, 3), their order by distance, and distances; float64."""
    offsets = positions[member].astype(np.float64) - center
    offsets -= size * np.rint(offsets / size)
    radii = np.sqrt((offsets**2).sum(axis=1))
    return offsets, np.argsort(radii, kind="stable"), radii


def place(positions: Array, rows: Array, center: Array, directions: Array, radii: Array, size: float) -> None:
    """Put particles at `radii` (M,) from a centre along unit `directions` (M, 3), wrapped into [0, size)."""
    wrapped = np.mod(center + directions * radii[:, None], size).astype(positions.dtype)
    wrapped[wrapped >= size] = 0
    positions[rows] = wrapped


def _mass_within(radii: Array, particle_mass: float) -> float:
    """M200c from ascending radii; 0 if not even the innermost particles are dense enough."""
    enclosed = particle_mass * np.arange(1, len(radii) + 1)
    dense = enclosed > 200 * CRITICAL_DENSITY * 4 / 3 * np.pi * radii**3
    return float(enclosed[dense].max(initial=0.0))


@njit(cache=True)  # type: ignore[untyped-decorator]
def shrinking_center(positions: Array, member: Array, size: float) -> Array:
    """Centre of the densest part: centres of mass in a sphere that shrinks to a tenth of the particles or 16."""
    center = np.empty(3)
    for axis in range(3):
        center[axis] = positions[member[0], axis]
    radius, fewest = size, max(len(member) // 10, 16)
    while True:
        sums, count, spread = np.zeros(3), 0, 0.0
        for row in member:
            distance = 0.0
            offset = np.empty(3)
            for axis in range(3):
                step = float(positions[row, axis]) - center[axis]
                offset[axis] = step - size * np.rint(step / size)
                distance += offset[axis] ** 2
            if distance <= radius * radius:
                sums += offset
                count += 1
                spread = max(spread, distance)
        if count < fewest:
            break
        center += sums / count
        radius = 0.8 * min(radius, np.sqrt(spread) + 1e-12)
    for axis in range(3):
        center[axis] -= size * (center[axis] // size)
    return center
