"""Particles on a grid: all periodic images, rotated, culled to a beam along z', cloud in cell. Compiled, one pass.

No particle is copied for good: what it costs beyond itself is its share of the grid, and 13 MB for all. Sums are
float64. Kernels hold no interpreter lock, so that threads can share the work; the parts of the work are fixed, and so
are the bytes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Vector = NDArray[np.float64]

STRIPS, DEPTH = 32, 16384
"""Strips of rows that a grid is filled by, and how many particles wait until one is visited: it then stays in the
processor's nearest memory, which the whole grid does not fit into."""

kernel = njit(nogil=True, cache=True)
inner = njit(nogil=True, cache=True, inline="always")


@inner  # type: ignore[untyped-decorator]
def _add(grid: Any, u: float, v: float, mass: float, width: int, wraps: bool) -> None:
    """Cloud in cell at (u, v), in pixels from node (0, 0) of the window; -1 <= u, v, and what is outside is lost."""
    i, j = int(u + 1.0) - 1, int(v + 1.0) - 1  # floor: u + 1 is not negative
    right, upper = u - i, v - j
    left, lower = (1.0 - right) * mass, 1.0 - upper
    right *= mass
    k, m = i + 1, j + 1
    if wraps:
        i, k = (0 if i == width else i), (0 if k == width else k - width if k > width else k)
        j, m = (0 if j == width else j), (0 if m == width else m - width if m > width else m)
        grid[i, j] += left * lower
        grid[i, m] += left * upper
        grid[k, j] += right * lower
        grid[k, m] += right * upper
        return
    if 0 <= i < width:
        if 0 <= j < width:
            grid[i, j] += left * lower
        if m < width:
            grid[i, m] += left * upper
    if k < width:
        if 0 <= j < width:
            grid[k, j] += right * lower
        if m < width:
            grid[k, m] += right * upper


@inner  # type: ignore[untyped-decorator]
def _nearest(x: float, box_size: float) -> float:
    """An offset in [-L/2, L/2), without a division for all that come from within the box."""
    if x >= 0.5 * box_size:
        x -= box_size
    elif x < -0.5 * box_size:
        x += box_size
    return x if -0.5 * box_size <= x < 0.5 * box_size else x - box_size * math.floor(x / box_size + 0.5)


@kernel  # type: ignore[untyped-decorator]
def _add_all(grid: Any, waiting: Any, count: int, wraps: bool) -> None:
    for row in range(count):
        _add(grid, waiting[row, 0], waiting[row, 1], waiting[row, 2], grid.shape[0], wraps)


@inner  # type: ignore[untyped-decorator]
def _queue(grid: Any, waiting: Any, filled: Any, u: float, v: float, mass: float, wraps: bool) -> None:
    """Let a particle wait for its strip, and visit the strip if enough of them do."""
    strip = min(int((u + 1.0) * STRIPS / (grid.shape[0] + 1.0)), STRIPS - 1)  # rounding may put u on the edge
    place = filled[strip]
    waiting[strip, place, 0], waiting[strip, place, 1], waiting[strip, place, 2] = u, v, mass
    filled[strip] = place + 1
    if place + 1 == DEPTH:
        _add_all(grid, waiting[strip], DEPTH, wraps)
        filled[strip] = 0


@kernel  # type: ignore[untyped-decorator]
def deposit_all(
    grid: Any, positions: Any, masses: Vector, center: Vector, rotation: Any, box_size: float, npix: int
) -> int:
    """Add every image of every particle that lies in the rotated box and above the window.

    Args:
        grid: (width, width) float64, added to.
        positions: (N, 3), any period of the box.
        masses: (N,) or (1,) for all of them.
        center: (3,)
        rotation: (3, 3), x' = R d.
        box_size: L.
        npix: Pixels of the whole grid along one side.

    Returns:
        How many particles are not finite.
    """
    bad, width, each = 0, grid.shape[0], 1 if len(masses) > 1 else 0
    half, scale, wraps = 0.5 * box_size, npix / box_size, grid.shape[0] == npix
    low = -half if wraps else -(width // 2) / scale - 1.0 / scale
    high = half if wraps else (width // 2) / scale
    offset = float(width // 2)
    r00, r01, r02 = rotation[0, 0], rotation[0, 1], rotation[0, 2]
    r10, r11, r12 = rotation[1, 0], rotation[1, 1], rotation[1, 2]
    r20, r21, r22 = rotation[2, 0], rotation[2, 1], rotation[2, 2]
    reach = 0.75 * box_size * box_size * (1.0 + 1e-9)
    aligned = r00 == 1.0 and r11 == 1.0 and r22 == 1.0
    waiting, filled = np.empty((STRIPS, DEPTH, 3)), np.zeros(STRIPS, np.int64)
    for p in range(len(positions)):
        mass = masses[p * each]
        x = _nearest(np.float64(positions[p, 0]) - center[0], box_size)
        y = _nearest(np.float64(positions[p, 1]) - center[1], box_size)
        z = _nearest(np.float64(positions[p, 2]) - center[2], box_size)
        if not abs(x) + abs(y) + abs(z) + abs(mass) < np.inf:
            bad += 1
            continue
        if aligned:  # the nearest image is the one in the box
            if low <= x < high and low <= y < high:
                _queue(grid, waiting, filled, x * scale + offset, y * scale + offset, mass, wraps)
            continue
        # of a coordinate in [-L/2, L/2] only itself and the image across the nearer face can be in reach
        for a in range(2):
            xa = x if a == 0 else x - math.copysign(box_size, x)
            for b in range(2):
                yb = y if b == 0 else y - math.copysign(box_size, y)
                across = xa * xa + yb * yb
                if across > reach:
                    continue
                for c in range(2):
                    zc = z if c == 0 else z - math.copysign(box_size, z)
                    if across + zc * zc > reach:
                        continue
                    if not -half <= r20 * xa + r21 * yb + r22 * zc < half:
                        continue
                    u = r00 * xa + r01 * yb + r02 * zc
                    v = r10 * xa + r11 * yb + r12 * zc
                    if low <= u < high and low <= v < high:
                        _queue(grid, waiting, filled, u * scale + offset, v * scale + offset, mass, wraps)
    for strip in range(STRIPS):
        _add_all(grid, waiting[strip], filled[strip], wraps)
    return bad


@kernel  # type: ignore[untyped-decorator]
def deposit_listed(
    grid: Any,
    positions: Any,
    masses: Vector,
    starts: Any,
    cells: int,
    center: Vector,
    rotation: Any,
    box_size: float,
    npix: int,
) -> int:
    """The same for particles sorted into `cells`³ cells (`starts`: (cells³ + 1,)), of which it visits those in reach.

    A row of cells along z is a straight line in the rotated frame: where it runs through the beam is solved for.
    Returns how many particles it has looked at.
    """
    width, each, visited = grid.shape[0], 1 if len(masses) > 1 else 0, 0
    half, scale, wraps = 0.5 * box_size, npix / box_size, grid.shape[0] == npix
    low = -half if wraps else -(width // 2) / scale - 1.0 / scale
    high = half if wraps else (width // 2) / scale
    offset = float(width // 2)
    side = box_size / cells
    margin = 0.5 * math.sqrt(3.0) * side * (1.0 + 1e-9)
    walls = np.array([[low - margin, high + margin], [low - margin, high + margin], [-half - margin, half + margin]])
    for i in range(-cells, 2 * cells):
        x = (i + 0.5) * side - center[0]
        if abs(x) > half * math.sqrt(3.0) + side:
            continue
        for j in range(-cells, 2 * cells):
            y = (j + 0.5) * side - center[1]
            first, last = -cells, 2 * cells - 1
            for axis in range(3):
                base = rotation[axis, 0] * x + rotation[axis, 1] * y + rotation[axis, 2] * (0.5 * side - center[2])
                slope = rotation[axis, 2] * side
                if abs(slope) < 1e-9 * side:
                    if not walls[axis, 0] - side <= base <= walls[axis, 1] + side:
                        last = first - 1
                    continue
                one, two = (walls[axis, 0] - base) / slope, (walls[axis, 1] - base) / slope
                first = max(first, math.ceil(max(min(one, two), -cells - 1.0)))
                last = min(last, math.floor(min(max(one, two), 2.0 * cells)))
            for k in range(first, last + 1):
                cell = ((i % cells) * cells + j % cells) * cells + k % cells
                sx = center[0] - box_size * (i // cells)
                sy = center[1] - box_size * (j // cells)
                sz = center[2] - box_size * (k // cells)
                visited += starts[cell + 1] - starts[cell]
                for p in range(starts[cell], starts[cell + 1]):
                    dx, dy, dz = positions[p, 0] - sx, positions[p, 1] - sy, positions[p, 2] - sz
                    u = rotation[0, 0] * dx + rotation[0, 1] * dy + rotation[0, 2] * dz
                    v = rotation[1, 0] * dx + rotation[1, 1] * dy + rotation[1, 2] * dz
                    depth = rotation[2, 0] * dx + rotation[2, 1] * dy + rotation[2, 2] * dz
                    if -half <= depth < half and low <= u < high and low <= v < high:
                        _add(grid, u * scale + offset, v * scale + offset, masses[p * each], width, wraps)
    return visited


@kernel  # type: ignore[untyped-decorator]
def sort_into_cells(positions: Any, masses: Vector, cells: int, box_size: float, sorted_: Any, weights: Vector) -> Any:
    """Counting sort by cell, stable: fills `sorted_` (N, 3), in [0, L), and `weights`; returns `starts`, and 1 if a
    number is not finite."""
    count, each, scale = len(positions), 1 if len(masses) > 1 else 0, cells / box_size
    cell_of = np.empty(count, np.int32)
    starts = np.zeros(cells**3 + 1, np.int64)
    for p in range(count):
        cell = 0
        if not abs(positions[p, 0]) + abs(positions[p, 1]) + abs(positions[p, 2]) + abs(masses[p * each]) < np.inf:
            return starts, 1
        for axis in range(3):
            x = np.float64(positions[p, axis])
            cell = cell * cells + min(int((x - box_size * math.floor(x / box_size)) * scale), cells - 1)
        cell_of[p] = cell
        starts[cell + 1] += 1
    for cell in range(cells**3):
        starts[cell + 1] += starts[cell]
    place = starts[:-1].copy()
    for p in range(count):
        to = place[cell_of[p]]
        place[cell_of[p]] += 1
        for axis in range(3):
            x = np.float64(positions[p, axis])
            sorted_[to, axis] = x if 0.0 <= x < box_size else x - box_size * math.floor(x / box_size)
        if each:
            weights[to] = masses[p]
    return starts, 0
