"""The only extraction: particles around a centre, rotated, projected and cut out at several scales.

Generation, training, evaluation and prediction all come here. Map values are Msun/h per fine pixel at every scale:
larger scales are block means of the fine map, so the unit stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.seams import Array
from emulant.dataset.seeds import stream
from emulant.errors import DataError, UsageError

SCALES = (6.25, 12.5, 25.0, 50.0)
PART = 2_000_000
"""Particles that are summed into one grid. The parts, not the threads, decide the bytes."""
PER_CELL = 125
"""Particles that a cell of a list holds on average."""
WHOLE = 1e-6
"""How far from a whole number a ratio of lengths may be."""


@dataclass(frozen=True)
class Geometry:
    """The box, the fine grid over it, and what is cut out of it.

    Raises:
        UsageError: The numbers do not fit each other.
    """

    box_size: float = 50.0
    """Mpc/h."""
    npix: int = 1024
    """Fine pixels along the box."""
    resolution: int = 128
    """Pixels of a cutout along one side."""
    scales: tuple[float, ...] = SCALES
    """Sides of the cutouts, Mpc/h; those of the first have fine pixels."""

    def __post_init__(self) -> None:
        if not self.scales or any(a >= b for a, b in pairwise(self.scales)):
            raise UsageError(f"scales = {list(self.scales)}: give at least one, in rising order.")
        if self.scales[-1] > self.box_size * (1 + WHOLE):
            raise UsageError(f"scales: {self.scales[-1]:g} is larger than the box, {self.box_size:g} Mpc/h.")
        for scale in self.scales:
            blocks = scale / self.box_size * self.npix / self.resolution
            if abs(blocks - round(blocks)) > WHOLE or round(blocks) < 1 or (self.npix - self.width(scale)) % 2:
                raise UsageError(
                    f"scale {scale:g}: its {scale / self.pixel:.6g} fine pixels are no whole multiple of "
                    f"resolution = {self.resolution} about the centre.",
                    "Choose npix and resolution so that scale / box_size * npix / resolution is whole.",
                )

    @property
    def pixel(self) -> float:
        """Side of a fine pixel, Mpc/h."""
        return self.box_size / self.npix

    def width(self, scale: float) -> int:
        """Fine pixels along one side of a cutout."""
        return round(scale / self.pixel)


def extract(
    positions: Array,
    masses: Array | float,
    center: Array,
    *,
    box_size: float,
    npix: int,
    rotation: Array | None = None,
    resolution: int = 128,
    scales: Sequence[float] = SCALES,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Cutouts of the projected mass around a centre.

    Args:
        positions: (N, 3) Mpc/h, wherever in the periodic lattice they lie.
        masses: (N,) Msun/h, or one number for all.
        center: (3,) Mpc/h; it comes to lie on pixel [resolution / 2, resolution / 2].
        box_size: Side of the box, Mpc/h, and depth of the projection.
        npix: Fine pixels along the box.
        rotation: (3, 3), x' = R d; None: none, which is the same to the bit as the unit matrix.
        resolution: Pixels of a cutout.
        scales: Sides of the cutouts, Mpc/h, rising.
        threads: How many share the work; the result does not depend on it.

    Returns:
        (scales, resolution, resolution) Msun/h per fine pixel; first axis x', second y'.

    Raises:
        DataError: Positions or masses are misshapen or not finite.
        UsageError: The geometry does not fit.
    """
    geometry = Geometry(box_size, npix, resolution, tuple(scales))
    return cutouts(project(positions, masses, center, geometry, rotation, threads), geometry)


def project(
    positions: Array,
    masses: Array | float,
    center: Array,
    geometry: Geometry,
    rotation: Array | None = None,
    threads: int = 1,
) -> NDArray[np.float64]:
    """(width, width) the fine map of the largest scale, in float64."""
    from emulant.systems.halos.projection import deposit_all

    positions, weights = _particles(positions, masses)
    width = geometry.width(geometry.scales[-1])
    box, turn, middle = float(geometry.box_size), _rotation(rotation), _center(center)

    def part(start: int) -> tuple[NDArray[np.float64], int]:
        grid, rows = np.zeros((width, width)), slice(start, start + PART)
        mine = weights if len(weights) == 1 else weights[rows]
        return grid, deposit_all(grid, positions[rows], mine, middle, turn, box, geometry.npix)

    total, bad = part(0)
    starts = range(PART, len(positions), PART)
    with ThreadPoolExecutor(threads) as pool:
        for grid, lost in pool.map(part, starts) if threads > 1 else map(part, starts):
            total += grid
            bad += lost
    if bad:
        raise DataError(f"{bad} of {len(positions)} particles have positions or masses that are not finite.")
    return total


def cutouts(fine: NDArray[np.float64], geometry: Geometry) -> NDArray[np.float32]:
    """(scales, r, r): the middle of a fine map at each scale, by block means."""
    made = np.empty((len(geometry.scales), geometry.resolution, geometry.resolution), np.float32)
    for row, scale in enumerate(geometry.scales):
        width = geometry.width(scale)
        first, blocks = (len(fine) - width) // 2, width // geometry.resolution
        cut = fine[first : first + width, first : first + width]
        shape = (geometry.resolution, blocks, geometry.resolution, blocks)
        made[row] = cut.reshape(shape).mean(axis=(1, 3))
    return made


@dataclass(frozen=True)
class CellList:
    """Particles sorted into cubes, for cutouts that a small part of the box falls on.

    It agrees with `extract` to rounding. Extra memory: a copy of positions and masses, and 4 bytes a particle on the
    way.
    """

    positions: Array
    masses: NDArray[np.float64]
    starts: NDArray[np.int64]
    cells: int
    box_size: float

    @classmethod
    def of(cls, positions: Array, masses: Array | float, box_size: float) -> CellList:
        """Sort particles once.

        Raises:
            DataError: As `extract`.
        """
        from emulant.systems.halos.projection import sort_into_cells

        positions, weights = _particles(positions, masses)
        cells = int(np.clip(round((len(positions) / PER_CELL) ** (1 / 3)), 4, 128))
        ordered, heavy = np.empty_like(positions), np.empty(len(weights))
        heavy[:] = weights if len(weights) == 1 else 0.0
        starts, bad = sort_into_cells(positions, weights, cells, float(box_size), ordered, heavy)
        if bad:
            raise DataError(f"{bad} of {len(positions)} particles have positions or masses that are not finite.")
        return cls(ordered, heavy, starts, cells, float(box_size))

    def extract(
        self,
        center: Array,
        *,
        npix: int,
        rotation: Array | None = None,
        resolution: int = 128,
        scales: Sequence[float] = SCALES[:1],
    ) -> NDArray[np.float32]:
        """As the function `extract`."""
        from emulant.systems.halos.projection import deposit_listed

        geometry = Geometry(self.box_size, npix, resolution, tuple(scales))
        width = geometry.width(geometry.scales[-1])
        fine = np.zeros((width, width))
        where = (_center(center), _rotation(rotation), self.box_size, npix)
        deposit_listed(fine, self.positions, self.masses, self.starts, self.cells, *where)
        return cutouts(fine, geometry)


# -- rotations ----------------------------------------------------------------------------------------------------


def rotation_of(seed: int, simulation: int, halo: int, number: int) -> NDArray[np.float64]:
    """(3, 3) uniform on SO(3), from a seed that no other (simulation, halo, number) has."""
    return _uniform(stream(seed, "rotation", simulation, halo, number))


def _uniform(rng: np.random.Generator) -> NDArray[np.float64]:
    """A normalised quaternion of four normal numbers (Shoemake 1992), as a matrix."""
    w, x, y, z = (q := rng.standard_normal(4)) / np.sqrt(np.sum(q * q))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


# -- the calls of the source document ---------------------------------------------------------------------------


def process_halo_with_full_periodic_tiling(
    positions: Array, masses: Array | float, center: Array, box_size: float = 50.0, npix: int = 1024, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The fine map (npix, npix) of the whole box about a centre under a random rotation, and the rotation (3, 3)."""
    rotation = _uniform(np.random.default_rng(seed))
    fine = project(positions, masses, center, Geometry(box_size, npix, npix, (box_size,)), rotation)
    return fine.astype(np.float32), rotation


def extract_multiscale_cutouts(
    mass_map: Array, box_size: float = 50.0, target_resolution: int = 128, scales: Sequence[float] = SCALES
) -> NDArray[np.float32]:
    """(scales, r, r) cutouts of such a map."""
    geometry = Geometry(box_size, len(mass_map), target_resolution, tuple(scales))
    return cutouts(np.asarray(mass_map, np.float64), geometry)


# -- what kernels may be given ------------------------------------------------------------------------------------


def _particles(positions: Array, masses: Array | float) -> tuple[Array, NDArray[np.float64]]:
    positions = np.asarray(positions)
    if positions.dtype not in (np.float32, np.float64):
        positions = positions.astype(np.float64)
    weights = np.atleast_1d(np.asarray(masses, np.float64))
    if positions.ndim != 2 or positions.shape[1] != 3 or weights.shape not in ((1,), (len(positions),)):
        raise DataError(
            f"positions {positions.shape} and masses {weights.shape} are not (N, 3) and (N,) or one number."
        )
    return np.ascontiguousarray(positions), np.ascontiguousarray(weights)


def _rotation(rotation: Array | None) -> Any:
    return np.eye(3) if rotation is None else np.ascontiguousarray(rotation, np.float64)


def _center(center: Array) -> NDArray[np.float64]:
    return np.ascontiguousarray(center, np.float64)
