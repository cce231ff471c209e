"""Gas and stars painted into a dark-matter box by moving particles of halos: "baryonified" (after Schneider and
Teyssier 2015, JCAP 12, 049). Mass is conserved exactly.

Every particle carries 1 - f_b of dark matter and f_b of gas, f_b = Omega_b / Omega_m. In a halo a share of the gas
turns into stars, a share stays bound, the rest is ejected; each of the three takes up its own profile in the order of
the radii that its particles had, and the dark matter relaxes to the new mass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emulant.dataset.seams import Array
from emulant.dataset.seeds import sequence, stream
from emulant.systems.halos import profiles
from emulant.systems.halos.catalogue import SCATTER, Catalogue, around, place

GAS_SCATTER, STAR_SCATTER = 0.04, 0.15
"""dex, of a halo's bound gas and of its stars."""
PIVOT, EDGE = 1e13, 1.1
"""Msun/h and R200c: halos below this mass lose most of their gas, and to this distance, at the fiducial point. Tuned so
that the power of all matter is suppressed as in hydrodynamical simulations: about .95 at k = 2 h/Mpc, .85 at 6."""
LEAST_MASS = 1e11
"""Msun/h; smaller halos keep their gas where it is."""
_BARYONS = 1
"""Number of the random stream of a halo's scatter, beside that of its concentration."""


@dataclass(frozen=True)
class Astrophysics:
    """How feedback acts; 1 is the fiducial strength."""

    A_SN1: float = 1.0
    A_AGN1: float = 1.0
    A_SN2: float = 1.0
    A_AGN2: float = 1.0

    @classmethod
    def of(cls, parameters: Mapping[str, float]) -> Astrophysics:
        """From parameters as CAMELS spells and scales them."""
        return cls(
            A_SN1=parameters["WindEnergyIn1e51erg"] / 3.6,
            A_AGN1=parameters["RadioFeedbackFactor"],
            A_SN2=parameters["VariableWindVelFactor"] / 7.4,
            A_AGN2=parameters["RadioFeedbackReorientationFactor"] / 20,
        )

    def shares(self, mass: float, baryons: float) -> tuple[float, float]:
        """Stars and bound gas, as shares of the mass of a halo of M200c = `mass` Msun/h, without scatter."""
        stars = min(0.9 * baryons, 0.04 * (mass / 2.5e11) ** -0.32 * self.A_SN1**-0.7)
        bound = (baryons - stars) / (1 + (PIVOT * self.A_AGN1 / mass) ** 0.6)
        return stars, bound / (1 + 0.2 * self.A_SN2 * (1e12 / mass) ** 0.5)

    def enclosed(self) -> tuple[Array, Array, Array]:
        """Enclosed fractions of stars, bound and ejected gas at `profiles.RADII`.

        The edge goes with the root of A_AGN2: with A_AGN2 itself, weak feedback would gather gas more than dark matter
        is gathered (1.11 times the power at k = 2.5 h/Mpc for A_AGN2 = .5).
        """
        edge = EDGE * self.A_AGN2**0.5
        return (
            profiles.exponential(0.05),
            profiles.cored(0.1 * self.A_SN2**0.5, edge),
            profiles.gaussian(edge),
        )


@dataclass(frozen=True)
class Baryonified:
    """Where the three kinds of a box's matter are."""

    dm: Array
    """(N, 3): the particles' dark matter."""
    gas: Array
    """(N, 3): their gas, those that have become stars included."""
    is_star: Array
    """(N,) bool."""


def baryonify(
    positions: Array, catalogue: Catalogue, size: float, baryons: float, physics: Astrophysics, seed: int, box: int
) -> Baryonified:
    """Move gas, stars and dark matter of all halos.

    Args:
        positions: (N, 3) of the dark-matter-only box.
        catalogue: Its halos.
        size: Side of the box.
        baryons: f_b.
        physics: Strength of feedback.
        seed: The study's, for the scatter of halos.
        box: The box's number: boxes that share it share the scatter, whatever their physics.
    """
    dm, gas = positions.copy(), positions.copy()
    is_star = np.zeros(len(positions), dtype=bool)
    lot = _lots(len(positions), seed, box)
    enclosed = physics.enclosed()
    halos = catalogue.halos
    for halo, member in enumerate(catalogue.members):
        if halos.m200c[halo] < LEAST_MASS:
            continue
        stars, bound = scattered(physics.shares(halos.m200c[halo], baryons), baryons, seed, box, halo)
        center, radius = halos.centers[halo], halos.r200c[halo]
        offsets, order, radii = around(positions, member, center, size)
        rows, directions = member[order], offsets[order] / np.maximum(radii[order], 1e-9)[:, None]
        kind = _kinds(lot[rows], stars / baryons, bound / baryons)
        moved = np.empty(len(rows))
        for number, profile in enumerate(enclosed):
            chosen = kind == number
            count = int(chosen.sum())
            moved[chosen] = radius * profiles.radii_of((np.arange(count) + 0.5) / max(count, 1), profile)
        place(gas, rows, center, directions, moved, size)
        is_star[rows[kind == 0]] = True
        relaxed = _relaxed(radii[order], np.sort(moved), baryons)
        place(dm, rows, center, directions, relaxed, size)
    return Baryonified(dm, gas, is_star)


def scattered(shares: tuple[float, float], baryons: float, seed: int, box: int, halo: int) -> tuple[float, float]:
    """Shares of stars and bound gas with the halo's own log-normal scatter; together at most the baryons."""
    draws = stream(seed, "simulation", box, SCATTER, halo, _BARYONS).normal(size=2)
    stars = min(shares[0] * 10 ** (STAR_SCATTER * draws[0]), 0.95 * baryons)
    return stars, min(shares[1] * 10 ** (GAS_SCATTER * draws[1]), baryons - stars)


def _lots(count: int, seed: int, box: int) -> Array:
    """A number per particle that decides which of a halo's particles become stars: a hash of place and box."""
    key = sequence(seed, "simulation", box, SCATTER).generate_state(1, np.uint64)[0]
    with np.errstate(over="ignore"):  # splitmix64, Steele et al. (2014)
        mixed = (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + key
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _kinds(lots: Array, stars: float, bound: float) -> Array:
    """0 = star, 1 = bound, 2 = ejected, for shares that sum to at most 1; exact to one particle."""
    ranks = np.empty(len(lots))
    ranks[np.argsort(lots, kind="stable")] = (np.arange(len(lots)) + 0.5) / len(lots)
    return np.where(ranks < stars, 0, np.where(ranks < stars + bound, 1, 2))


def _relaxed(radii: Array, gas: Array, baryons: float) -> Array:
    """New radii of a halo's dark matter, given the ascending radii of its gas and stars.

    r' / r = 1 + .3 [(M_before / M_after)² - 1], the adiabatic response of Abadi et al. (2010, MNRAS 407, 435).
    """
    before = np.arange(1, len(radii) + 1, dtype=float)
    ratio = np.ones(len(radii))
    for _ in range(8):
        after = (1 - baryons) * before + baryons * np.searchsorted(gas, ratio * radii, side="right")
        ratio = np.clip(1 + 0.3 * ((before / np.maximum(after, 1e-9)) ** 2 - 1), 0.7, 1.5)
    return np.asarray(ratio * radii)
