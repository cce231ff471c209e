"""What a pair of simulations is to everything that follows: particles, halos, parameters, and where they came from.

Lengths in Mpc/h (comoving), masses in Msun/h. Nothing here reads a file; `camels` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from emulant.dataset.seams import Array

CRITICAL_DENSITY = 2.77536627e11
"""Msun/h per (Mpc/h)³ at z = 0."""
SPECIES = ("dm", "gas", "stars")
"""The channels of a target, in order."""


class ParticleSource(Protocol):
    """Particles of one kind that may still lie in files."""

    def __len__(self) -> int: ...

    def load(self) -> Particles:
        """All of them at once."""

    def stream(self) -> Iterator[Particles]:
        """All of them in pieces, in the order of `load`: for those who need not hold them together."""


@dataclass(frozen=True)
class Particles:
    """Particles of one kind in memory; a `ParticleSource` themselves."""

    positions: Array
    """(N, 3) in [0, box size), float32 or float64."""
    masses: Array | float
    """(N,), or one number if all are equal."""

    @classmethod
    def none(cls) -> Particles:
        """A kind that a simulation does not have."""
        return cls(np.empty((0, 3), dtype="<f4"), 0.0)

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def mass_array(self) -> Array:
        """(N,), without a copy where all masses are equal."""
        return np.broadcast_to(np.asarray(self.masses), (len(self),))

    @property
    def total(self) -> float:
        """Their mass together, summed in float64."""
        return float(np.sum(self.mass_array, dtype=np.float64))

    def load(self) -> Particles:
        return self

    def stream(self) -> Iterator[Particles]:
        yield self


@dataclass(frozen=True)
class Halos:
    """Halos of the dark-matter-only run, in the order of its catalogue."""

    index: Array
    """(H,) place in the catalogue."""
    centers: Array
    """(H, 3) float64."""
    m200c: Array
    """(H,) mass in a sphere of 200 critical densities; 0 where the catalogue has none."""
    r200c: Array
    """(H,) its radius."""
    fof_mass: Array
    """(H,) mass of the friends-of-friends group."""

    def __len__(self) -> int:
        return len(self.index)

    def above(self, threshold: float) -> Halos:
        """Those with `m200c` strictly above `threshold`."""
        kept = self.m200c > threshold
        return Halos(self.index[kept], self.centers[kept], self.m200c[kept], self.r200c[kept], self.fof_mass[kept])


@dataclass(frozen=True)
class SourceFile:
    """A file that samples were made from."""

    path: str
    """Below the folder of its tree, such as `SB35_0/snap_090.hdf5`."""
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SimulationPair:
    """One dark-matter-only run and the run with baryons that began from the same initial conditions."""

    simulation: int
    box_size: float
    dmo: ParticleSource
    dm: ParticleSource
    gas: ParticleSource
    stars: ParticleSource
    halos: Halos
    """Of the dark-matter-only run; all of them, whatever their mass."""
    parameters: Mapping[str, float]
    """Name -> value, in the order of the parameter file."""
    files: tuple[SourceFile, ...]

    @property
    def species(self) -> Mapping[str, ParticleSource]:
        """dm, gas and stars of the run with baryons, in the order of a target's channels."""
        return {"dm": self.dm, "gas": self.gas, "stars": self.stars}
