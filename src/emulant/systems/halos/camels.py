"""Snapshots of CAMELS: what is read is what the headers promise, and nothing is lost in silence.

Snapshots hold ckpc/h and 1e10 Msun/h; what comes out is Mpc/h in [0, box size) and Msun/h.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from emulant.dataset import hdf5
from emulant.dataset.seams import Array
from emulant.errors import DataError
from emulant.systems.halos.box import CRITICAL_DENSITY, Particles
from emulant.systems.halos.chunks import KINDS, LENGTH, MASS, MEND, SNAPSHOTS, Chunk, Chunks

GAS, DARK, STARS = 0, 1, 4
CLOSURE = 0.01
"""Relative; the mass in a box is Omega0 rho_c L³, and that of both runs is equal, to so much."""
_ROWS = 1 << 21
"""Particles that are read at once."""


@dataclass(frozen=True)
class Snapshot:
    """The particles of one run; every count is checked when it is opened, no coordinate is read."""

    files: Chunks

    @classmethod
    def open(cls, folder: Path, snapshot: int = 90) -> Snapshot:
        """The snapshot below a folder such as `SB35_0`, or one that is a single file.

        Raises:
            DataError: A file is missing, torn or short, or counts do not add up.
        """
        found = cls(Chunks.open(folder, SNAPSHOTS, snapshot, "NumFilesPerSnapshot"))
        total = np.zeros(KINDS, dtype=np.int64)
        for chunk in found.files.chunks:
            counts = chunk.counts("NumPart_ThisFile")
            _check_units(chunk)
            _check_lengths(chunk, counts)
            total += counts
        if (total != found.files.particles).any():
            kind = int(np.argmax(total != found.files.particles))
            raise DataError(
                f"{found.files.first.path}: NumPart_Total of PartType{kind} is {found.files.particles[kind]}, "
                f"its {len(found.files.chunks)} files hold {total[kind]}.",
                MEND,
            )
        return found

    @property
    def box_size(self) -> float:
        return self.files.first.box_size

    def kind(self, number: int, formed: Literal["star", "wind"] | None = None) -> Species:
        """The particles of one PartType; of stars only those that have formed, or only those that are wind."""
        return Species(self, number, formed)

    @cached_property
    def mass(self) -> float:
        """Of all particles, Msun/h, black holes included."""
        return sum(self.kind(number).mass for number in range(KINDS))

    @property
    def expected_mass(self) -> float:
        """Omega0 rho_c L³, Msun/h."""
        return self.files.first.number("Omega0", "Omega_m") * CRITICAL_DENSITY * self.box_size**3

    def check_closure(self) -> None:
        """
        Raises:
            DataError: The particles are more than a per cent heavier or lighter than the universe.
        """
        if not abs(self.mass / self.expected_mass - 1) < CLOSURE:
            raise DataError(
                f"{self.files.first.path}: its particles have {self.mass:.4g} Msun/h together, "
                f"Omega0 rho_c L³ is {self.expected_mass:.4g}.",
                "Particles are missing, or the units are not ckpc/h and 1e10 Msun/h.",
            )


@dataclass(frozen=True)
class Species:
    """Particles of one kind that lie in files; a `ParticleSource`."""

    snapshot: Snapshot
    kind: int
    formed: Literal["star", "wind"] | None = None

    def __len__(self) -> int:
        if self.formed is None:
            return int(self.snapshot.files.particles[self.kind])
        return sum(int(kept.sum()) for _, _, _, kept in self._pieces())

    def load(self) -> Particles:
        count = len(self)
        if not count:
            return Particles.none()
        masses, row = np.empty(count, dtype=np.float32), 0
        for piece in self.stream():
            if row == 0:
                positions, first = np.empty((count, 3), dtype=piece.positions.dtype), float(piece.mass_array[0])
            positions[row : row + len(piece)] = piece.positions
            masses[row : row + len(piece)] = piece.mass_array
            row += len(piece)
        return Particles(positions, first if masses.min() == masses.max() else masses)

    def stream(self) -> Iterator[Particles]:
        size = self.snapshot.box_size
        for chunk, file, rows, kept in self._pieces():
            found = hdf5.read(file, chunk.path, f"PartType{self.kind}/Coordinates", rows)[kept]
            masses = self._masses(chunk, file, rows)
            yield Particles(
                wrapped(found, size, chunk.path, f"PartType{self.kind}/Coordinates"),
                masses[kept] if isinstance(masses, np.ndarray) else masses,
            )

    @cached_property
    def mass(self) -> float:
        """Of all of them, Msun/h, without reading where they are."""
        total = 0.0
        for chunk, file, rows, kept in self._pieces():
            masses = self._masses(chunk, file, rows)
            total += float(masses[kept].sum()) if isinstance(masses, np.ndarray) else masses * int(kept.sum())
        return total

    def _pieces(self) -> Iterator[tuple[Chunk, h5py.File, slice, Array]]:
        """Slices of rows of every file, and which of the rows count."""

        for chunk in self.snapshot.files.chunks:
            count = int(chunk.counts("NumPart_ThisFile")[self.kind])
            if not count:
                continue
            with hdf5.opened(chunk.path) as file:
                for start in range(0, count, _ROWS):
                    rows = slice(start, min(start + _ROWS, count))
                    yield chunk, file, rows, self._kept(chunk, file, rows)

    def _kept(self, chunk: Chunk, file: h5py.File, rows: slice) -> Array:
        if self.formed is None:
            return np.ones(rows.stop - rows.start, dtype=bool)
        times = hdf5.read(file, chunk.path, f"PartType{self.kind}/GFM_StellarFormationTime", rows)
        return np.asarray(times > 0 if self.formed == "star" else times <= 0)

    def _masses(self, chunk: Chunk, file: h5py.File, rows: slice) -> Array | float:
        name = f"PartType{self.kind}/Masses"
        if name in file:
            masses = hdf5.read(file, chunk.path, name, rows).astype(np.float64) * MASS
            if not (np.isfinite(masses).all() and (masses >= 0).all()):
                raise DataError(f"{chunk.path}: `{name}` has values that are no masses.", MEND)
            return masses
        table = np.ravel(chunk.header.get("MassTable", np.zeros(KINDS)))
        if not table[self.kind] > 0:
            raise DataError(f"{chunk.path}: PartType{self.kind} has neither `Masses` nor an entry in MassTable.", MEND)
        return float(table[self.kind]) * MASS


@dataclass(frozen=True)
class Together:
    """Several sources as one; a `ParticleSource`."""

    parts: tuple[Species, ...]

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def load(self) -> Particles:
        loaded = [found for part in self.parts if len(found := part.load())]
        if not loaded:
            return Particles.none()
        return Particles(
            np.concatenate([found.positions for found in loaded]),
            np.concatenate([found.mass_array for found in loaded]),
        )

    def stream(self) -> Iterator[Particles]:
        for part in self.parts:
            yield from part.stream()


def wrapped(coordinates: Array, size: float, path: Path, name: str) -> Array:
    """ckpc/h -> Mpc/h in [0, size), in the precision of the file.

    Raises:
        DataError: One is not finite, or further from the box than its size.
    """
    if coordinates.ndim != 2 or coordinates.shape[1] != 3 or coordinates.dtype.kind != "f":
        raise DataError(f"{path}: `{name}` is {coordinates.dtype} {coordinates.shape}, not (N, 3) numbers.", MEND)
    found: Array = coordinates / coordinates.dtype.type(LENGTH)
    with np.errstate(invalid="ignore"):
        strange = ~((found >= -size) & (found < 2 * size)).all(axis=1)
    if strange.any():
        raise DataError(
            f"{path}: `{name}` has {int(strange.sum())} rows that are not finite or lie outside the box of "
            f"{size * LENGTH:g} ckpc/h (first: row {int(np.argmax(strange))}).",
            MEND,
        )
    found = np.mod(found, found.dtype.type(size))
    found[found >= size] = 0  # what rounding has put on the edge
    return found


def _check_lengths(chunk: Chunk, counts: Array) -> None:
    with hdf5.opened(chunk.path) as file:
        for kind in range(KINDS):
            group = file.get(f"PartType{kind}")
            if counts[kind] and not isinstance(group, h5py.Group):
                raise DataError(f"{chunk.path}: has no PartType{kind}, its header promises {counts[kind]}.", MEND)
            if counts[kind]:
                hdf5.dataset_of(file, chunk.path, f"PartType{kind}/Coordinates")
            for name, values in group.items() if isinstance(group, h5py.Group) else ():
                if isinstance(values, h5py.Dataset) and values.shape[0] != counts[kind]:
                    raise DataError(
                        f"{chunk.path}: `PartType{kind}/{name}` has {values.shape[0]} rows, "
                        f"NumPart_ThisFile is {counts[kind]}.",
                        MEND,
                    )


def _check_units(chunk: Chunk) -> None:
    known = {"UnitLength_in_cm": 3.0856776e21, "UnitMass_in_g": 1.989e43}
    for name, expected in known.items():
        if name in chunk.header and not abs(chunk.number(name) / expected - 1) < 1e-2:
            raise DataError(
                f"{chunk.path}: {name} is {chunk.number(name):g}, {expected:g} is expected.",
                "Coordinates must be in ckpc/h and masses in 1e10 Msun/h.",
            )
