"""The density field of a swarm: a Gaussian kernel around every particle, on a grid, mass conserved.

The kernel is a product of one Gaussian per axis. What leaves the box comes back: around the torus, or off the walls as
from mirror images. Both are maps of the grid's own cells, because cell centres lie at half-integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft

from emulant.systems.swarm.config import CARRIED, Box, DensityTable
from emulant.systems.swarm.neighbours import require_inside

Array = NDArray[np.float64]

REACH = 8.6
"""Standard deviations after which a kernel is less than 1e-16 of its height."""
MANY = 1000
"""Particles from which `auto` spreads them on the grid."""


@dataclass(frozen=True)
class Grid:
    """The cells of a density field."""

    x_edges: Array
    """(nx + 1,)."""
    y_edges: Array
    """(ny + 1,)."""
    extent: Array
    """(4,) xmin, xmax, ymin, ymax."""


def grid(table: DensityTable, box: Box) -> Grid:
    """The grid on which `density` puts the field."""
    x_edges = np.arange(table.nx + 1) * box.Lx / table.nx
    y_edges = np.arange(table.ny + 1) * box.Ly / table.ny
    return Grid(x_edges, y_edges, np.array([0.0, box.Lx, 0.0, box.Ly]))


def density(positions: Array, table: DensityTable, box: Box) -> Array:
    """Particles per area at the cell centres ((i + 1/2) dx, (k + 1/2) dy).

    `exact` sums the kernels with all their images (relative error about 1e-15). `fft` spreads each particle on its
    four nearest cells and filters, corrected for the spreading; at most 1 % off, and never negative. A kernel of
    less than 1.2 cells is under-resolved (`table.rescaled`): then each frame is rescaled to N particles.

    Args:
        positions: (T, N, 2) in the box.

    Returns:
        (T, ny, nx): the row is y. dx dy Σ rho = N in each frame.

    Raises:
        DataError: A position is not in the box.
    """
    positions = np.ascontiguousarray(positions, np.float64)
    require_inside(positions, box)
    particles = positions.shape[1]
    field = _spread(positions, table, box) if _spreads(particles, table, box) else _summed(positions, table, box)
    if table.rescaled(box):
        _rescale(field, particles, table, box)
    return field


def _spreads(particles: int, table: DensityTable, box: Box) -> bool:
    if table.method == "auto":
        return particles > MANY and min(table.widths_in_cells(box)) >= CARRIED
    return table.method == "fft"


def _rescale(field: Array, particles: int, table: DensityTable, box: Box) -> None:
    cell = box.Lx * box.Ly / (table.nx * table.ny)
    field *= (particles / cell / field.sum(axis=(1, 2)))[:, None, None]


# -- the sum of kernels -----------------------------------------------------------------------------------------


@njit  # type: ignore[untyped-decorator]
def _home(cell: int, cells: int, periodic: bool) -> int:
    """The cell of the grid that a cell of the endless lattice is an image of."""
    if periodic:
        return cell % cells
    folded = cell % (2 * cells)
    return folded if folded < cells else 2 * cells - 1 - folded


@njit  # type: ignore[untyped-decorator]
def _gaussians(x: Array, length: float, width: float, periodic: bool, values: Array) -> None:
    """Fill `values` (N, n) with the Gaussian of each particle along one axis, images included.

    With δ the way from the particle to its nearest cell centre, the Gaussian k cells farther on is
    exp(-δ²/2h²) · exp(-k δ dx/h²) · exp(-k² dx²/2h²): two exponentials for a particle, a power, and a fixed table.
    """
    particles, cells = values.shape
    dx = length / cells
    reach = math.ceil(REACH * width / dx)
    fixed, home = np.empty(reach + 1), np.empty(cells + 2 * reach, np.intp)
    for k in range(reach + 1):
        fixed[k] = math.exp(-0.5 * (k * dx / width) ** 2) / (width * math.sqrt(2 * math.pi))
    for k in range(home.size):
        home[k] = _home(k - reach, cells, periodic)
    values[:] = 0.0
    for j in range(particles):
        nearest = min(int(x[j] / dx), cells - 1)
        δ = (nearest + 0.5) * dx - x[j]
        peak, step = math.exp(-0.5 * (δ / width) ** 2), math.exp(-δ * dx / width**2)
        middle = nearest + reach
        values[j, home[middle]] += peak * fixed[0]
        back, right, left = 1 / step, peak, peak
        for k in range(1, reach + 1):
            right *= step
            left *= back
            values[j, home[middle + k]] += right * fixed[k]
            values[j, home[middle - k]] += left * fixed[k]


@njit  # type: ignore[untyped-decorator]
def _product(along_x: Array, along_y: Array, field: Array) -> None:
    """field[k, i] = Σ_j along_y[j, k] along_x[j, i], two particles at a time; no BLAS, so the bits are our own."""
    (rows, columns), particles = field.shape, len(along_x)
    field[:] = 0.0
    for j in range(0, particles - 1, 2):
        for k in range(rows):
            near, far = along_y[j, k], along_y[j + 1, k]
            if near != 0.0 or far != 0.0:
                for i in range(columns):
                    field[k, i] += near * along_x[j, i] + far * along_x[j + 1, i]
    if particles % 2:
        for k in range(rows):
            for i in range(columns):
                field[k, i] += along_y[-1, k] * along_x[-1, i]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _sum_kernels(positions: Array, hx: float, hy: float, box: Box, field: Array) -> None:
    frames, rows, columns = field.shape
    particles = positions.shape[1]
    along_x, along_y = np.empty((particles, columns)), np.empty((particles, rows))
    for t in range(frames):
        _gaussians(positions[t, :, 0], box.Lx, hx, box.periodic, along_x)
        _gaussians(positions[t, :, 1], box.Ly, hy, box.periodic, along_y)
        _product(along_x, along_y, field[t])


def _summed(positions: Array, table: DensityTable, box: Box) -> Array:
    field = np.empty((len(positions), table.ny, table.nx))
    _sum_kernels(positions, *table.widths(box), box, field)
    return field


# -- the sum on the grid ----------------------------------------------------------------------------------------


@njit(cache=True)  # type: ignore[untyped-decorator]
def _deposit(points: Array, box: Box, field: Array) -> None:
    """Cloud in cell: share each particle among the four nearest cell centres."""
    rows, columns = field.shape
    field[:] = 0.0
    for j in range(len(points)):
        x, y = points[j, 0] * columns / box.Lx - 0.5, points[j, 1] * rows / box.Ly - 0.5
        column, row = math.floor(x), math.floor(y)
        right, up = x - column, y - row
        west, east = _home(column, columns, box.periodic), _home(column + 1, columns, box.periodic)
        south, north = _home(row, rows, box.periodic), _home(row + 1, rows, box.periodic)
        field[south, west] += (1 - right) * (1 - up)
        field[south, east] += right * (1 - up)
        field[north, west] += (1 - right) * up
        field[north, east] += right * up


def _filter(wavenumbers: Array, dx: float, width: float) -> Array:
    """Gaussian over the Fourier transform of the cloud, a triangle: exp(-h²k²/2) / sinc²(k dx/2)."""
    return np.exp(-0.5 * (width * wavenumbers) ** 2) / np.sinc(wavenumbers * dx / (2 * np.pi)) ** 2


def _spread(positions: Array, table: DensityTable, box: Box) -> Array:
    """Cloud in cell, then the Gaussian as a filter: Fourier on the torus, cosines (mirror images) between walls."""
    dx, dy = box.Lx / table.nx, box.Ly / table.ny
    hx, hy = table.widths(box)
    if box.periodic:
        kx, ky = 2 * np.pi * fft.rfftfreq(table.nx, dx), 2 * np.pi * fft.fftfreq(table.ny, dy)
    else:
        kx, ky = np.pi * np.arange(table.nx) / box.Lx, np.pi * np.arange(table.ny) / box.Ly
    transfer = _filter(ky, dy, hy)[:, None] * _filter(kx, dx, hx) / (dx * dy)
    field = np.empty((len(positions), table.ny, table.nx))
    for points, frame in zip(positions, field, strict=True):
        _deposit(points, box, frame)
        if box.periodic:
            frame[:] = fft.irfft2(transfer * fft.rfft2(frame), s=frame.shape)
        else:
            frame[:] = fft.idctn(transfer * fft.dctn(frame))
    np.maximum(field, 0.0, out=field)  # aliasing leaves ripples of about 1e-3 where there is no one
    _rescale(field, positions.shape[1], table, box)
    return field
