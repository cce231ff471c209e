"""Sums over all pairs closer than a reach: cell lists that miss no pair and count none twice.

Every step sorts the particles into cells anew, in the order of their numbers, so that each sum is a function of the
positions alone, to the bit. Nothing here runs in parallel: cases do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emulant.errors import DataError
from emulant.systems.swarm.config import Box

Vector = NDArray[np.float64]
Index = NDArray[np.intp]

FEW = 128
"""Particles up to which the direct sum is the faster one."""

inner = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""For what compiled code alone calls: without a door from Python, which would crash, the first run starts sooner."""


def require_inside(positions: Vector, box: Box) -> None:
    """Refuse what a compiled kernel would read past its arrays for.

    Args:
        positions: (..., 2).

    Raises:
        DataError: A position is not finite or not in [0, Lx) x [0, Ly).
    """
    if positions.size == 0 or (positions.min() >= 0 and (positions < (box.Lx, box.Ly)).all()):
        return
    bad = ~((positions >= 0) & (positions < (box.Lx, box.Ly))).all(axis=-1)
    raise DataError(
        f"{np.count_nonzero(bad)} of {bad.size} positions are not finite or lie outside the box "
        f"[0, {box.Lx:g}) x [0, {box.Ly:g}).",
        "Set system.Lx and system.Ly to the box of the data, or wrap the positions into it.",
    )


@njit  # type: ignore[untyped-decorator]
def fold(x: float, length: float, periodic: bool) -> tuple[float, float]:
    """A coordinate brought into [0, length), strictly, and the factor for the heading along that axis.

    A torus wraps and walls mirror (then the factor is -1), however far outside the coordinate lies.
    """
    if 0 <= x < length:
        return x, 1.0
    turns = math.floor(x / length)
    inside, flip = x - turns * length, 1.0
    if inside < 0:  # rounding: the quotient was just below a whole number
        inside += length
        turns -= 1
    if not periodic and turns % 2 != 0:
        inside, flip = length - inside, -1.0
    if inside >= length:  # rounding: the remainder of -1e-20 is the length itself
        inside = 0.0 if periodic else np.nextafter(length, 0.0)
    return inside, flip


class Cells(NamedTuple):
    """Work space of a cell list: `columns` x `rows` cells, or a single one on a torus for the direct sum."""

    columns: int
    rows: int
    cell: Index
    """(N,) the cell of each particle."""
    first: Index
    """(cells + 2,) cell c holds the sorted particles first[c] to first[c+1] - 1."""
    order: Index
    """(N,) where in the caller's arrays the k-th sorted particle stands."""
    x: Vector
    y: Vector
    a: Vector
    b: Vector
    p: Vector
    q: Vector
    """(N,) each, of the sorted particles: coordinates, the two values, the two sums."""
    moved_x: Vector
    moved_y: Vector
    """(N,) each, of which a group takes what it needs: its coordinates beside a run."""
    runs: Index
    """(9, 2) the neighbourhood of a group: first and last + 1 of each contiguous run of sorted particles."""
    shifts: Vector
    """(9, 2) how far a home particle has to move to lie beside that run."""


def cells_for(particles: int, reach: float, box: Box) -> Cells:
    """Work space for sums over pairs at most `reach` apart.

    A cell is never smaller than the reach (with a margin that keeps rounding from losing a pair at exactly that
    distance), and there are at most four cells to a particle. For few particles, or with fewer than three cells along a
    periodic axis (where a neighbour would be met twice), there is one cell: the direct sum.
    """
    size = max(reach * (1 + 1e-9), math.sqrt(box.Lx * box.Ly / (4 * particles)))
    columns, rows = max(1, int(box.Lx / size)), max(1, int(box.Ly / size))
    if particles <= FEW or (box.periodic and min(columns, rows) < 3):
        columns = rows = 1
    cell, order = np.zeros((2, particles), np.intp)
    first, runs = np.zeros(columns * rows + 2, np.intp), np.zeros((9, 2), np.intp)
    x, y, a, b, p, q, moved_x, moved_y = np.zeros((8, particles))
    return Cells(columns, rows, cell, first, order, x, y, a, b, p, q, moved_x, moved_y, runs, np.zeros((9, 2)))


@inner  # type: ignore[untyped-decorator]
def _find_cells(x: Vector, y: Vector, box: Box, cells: Cells) -> None:
    """Counting sort: fill `cell`, `first` and `order`."""
    first, cell = cells.first, cells.cell
    per_x, per_y = cells.columns / box.Lx, cells.rows / box.Ly
    first[:] = 0
    for i in range(x.size):
        column = min(int(x[i] * per_x), cells.columns - 1)
        row = min(int(y[i] * per_y), cells.rows - 1)
        cell[i] = row * cells.columns + column
        first[cell[i] + 2] += 1
    for c in range(2, first.size):
        first[c] += first[c - 1]
    for i in range(x.size):
        k = first[cell[i] + 1]  # one place ahead: when this loop ends, each entry has moved to where it belongs
        first[cell[i] + 1] = k + 1
        cells.order[k] = i


@inner  # type: ignore[untyped-decorator]
def _order_within_cells(number: Index, cells: Cells) -> None:
    """Put the particles of each cell in the order of their numbers (insertion: they nearly are)."""
    order = cells.order
    if cells.columns * cells.rows == 1:
        for i in range(number.size):
            order[number[i]] = i
        return
    for c in range(cells.columns * cells.rows):
        for k in range(cells.first[c] + 1, cells.first[c + 1]):
            moving = order[k]
            place = k
            while place > cells.first[c] and number[order[place - 1]] > number[moving]:
                order[place] = order[place - 1]
                place -= 1
            order[place] = moving


@inner  # type: ignore[untyped-decorator]
def _runs(left: int, right: int, row: int, box: Box, cells: Cells) -> int:
    """Fill `runs` and `shifts` for the neighbourhood of the columns left to right of a row; how many runs."""
    first, runs, shifts = cells.first, cells.runs, cells.shifts
    count, last = 0, cells.columns - 1
    for neighbour in range(row - 1, row + 2):
        line, up = neighbour, 0.0
        if neighbour < 0 or neighbour >= cells.rows:
            if not box.periodic:
                continue
            line = cells.rows - 1 if neighbour < 0 else 0
            up = box.Ly if neighbour < 0 else -box.Ly
        start = line * cells.columns
        runs[count, 0], runs[count, 1] = first[start + max(left - 1, 0)], first[start + min(right + 1, last) + 1]
        shifts[count, 0], shifts[count, 1] = 0.0, up
        count += 1
        if box.periodic and left == 0:
            runs[count, 0], runs[count, 1] = first[start + last], first[start + last + 1]
            shifts[count, 0], shifts[count, 1] = box.Lx, up
            count += 1
        if box.periodic and right == last:
            runs[count, 0], runs[count, 1] = first[start], first[start + 1]
            shifts[count, 0], shifts[count, 1] = -box.Lx, up
            count += 1
    return count


@inner  # type: ignore[untyped-decorator]
def _shortest(d: float, length: float) -> float:
    """Minimum image of a difference of two coordinates in [0, length)."""
    if d > 0.5 * length:
        return d - length
    return d + length if d < -0.5 * length else d


def pair_sums(pair: Callable[..., tuple[float, float]], group: int) -> Callable[..., None]:
    """A compiled function that sums over the pairs of each particle.

    Args:
        pair: Compiled pair(dx, dy, a, b, law) to two numbers, where (dx, dy) is the vector from the other particle
            to this one and a, b are the other's values. Zero beyond the reach that the cells are made for.
        group: How many particles of a row of cells are taken abreast, at the least; for the speed alone. A pair that
            vectorises likes 8; one that does not likes fewer, for a wide group meets many that are beyond its reach.

    Returns:
        sums(law, x, y, a, b, number, box, cells, p, q), which writes to p and q the two sums of pair over all
        particles, each itself included. The (N,) arrays stand in any order; `number` says who is who, and the
        order of each sum follows from the numbers and the positions alone.
    """

    @inner  # type: ignore[untyped-decorator]
    def abreast(law: Any, begin: int, end: int, runs: int, cells: Cells) -> None:
        home_x, home_y, p, q = cells.x[begin:end], cells.y[begin:end], cells.p[begin:end], cells.q[begin:end]
        x, y = cells.moved_x[: p.size], cells.moved_y[: p.size]
        for k in range(p.size):
            p[k], q[k] = 0.0, 0.0
        for r in range(runs):
            right, up = cells.shifts[r, 0], cells.shifts[r, 1]
            for k in range(x.size):
                x[k], y[k] = home_x[k] + right, home_y[k] + up
            start, stop = cells.runs[r, 0], cells.runs[r, 1]
            others_x, others_y = cells.x[start:stop], cells.y[start:stop]
            others_a, others_b = cells.a[start:stop], cells.b[start:stop]
            for j in range(others_x.size):
                x_j, y_j, a_j, b_j = others_x[j], others_y[j], others_a[j], others_b[j]
                for k in range(x.size):  # a length the compiler does not know, or it would not vectorise the loop
                    more_p, more_q = pair(x[k] - x_j, y[k] - y_j, a_j, b_j, law)
                    p[k] += more_p
                    q[k] += more_q

    @inner  # type: ignore[untyped-decorator]
    def by_cells(law: Any, box: Box, cells: Cells) -> None:
        first, cell, order = cells.first, cells.cell, cells.order
        for row in range(cells.rows):
            start = row * cells.columns
            begin, end = first[start], first[start + cells.columns]
            at = begin
            while at < end:
                at = max(begin, min(at, end - group))  # the last group reaches back: no short one, and equal sums again
                left = cell[order[at]]
                after = min(end, max(at + group, first[left + 1]))  # the rest of a full cell at once
                right = cell[order[after - 1]]
                runs = _runs(left - start, right - start, row, box, cells)
                abreast(law, at, after, runs, cells)
                at = after

    @inner  # type: ignore[untyped-decorator]
    def directly(law: Any, box: Box, cells: Cells) -> None:
        x, y, a, b, p, q = cells.x, cells.y, cells.a, cells.b, cells.p, cells.q
        for k in range(p.size):
            p[k], q[k] = 0.0, 0.0
        for j in range(x.size):
            x_j, y_j, a_j, b_j = x[j], y[j], a[j], b[j]
            for k in range(x.size):
                dx, dy = _shortest(x[k] - x_j, box.Lx), _shortest(y[k] - y_j, box.Ly)
                more_p, more_q = pair(dx, dy, a_j, b_j, law)
                p[k] += more_p
                q[k] += more_q

    @njit  # type: ignore[untyped-decorator]
    def sums(
        law: Any,
        x: Vector,
        y: Vector,
        a: Vector,
        b: Vector,
        number: Index,
        box: Box,
        cells: Cells,
        p: Vector,
        q: Vector,
    ) -> None:
        _find_cells(x, y, box, cells)
        _order_within_cells(number, cells)
        for k in range(x.size):
            i = cells.order[k]
            cells.x[k], cells.y[k], cells.a[k], cells.b[k] = x[i], y[i], a[i], b[i]
        if box.periodic and cells.columns == 1:
            directly(law, box, cells)
        else:
            by_cells(law, box, cells)
        for k in range(x.size):
            p[cells.order[k]], q[cells.order[k]] = cells.p[k], cells.q[k]

    compiled: Callable[..., None] = sums
    return compiled


@njit  # type: ignore[untyped-decorator]
def within(dx: float, dy: float, a: float, b: float, radius: float) -> tuple[float, float]:
    """The other's values, up to the radius, inclusive. Compiles to a select without a branch."""
    weight = 1.0 if dx * dx + dy * dy <= radius * radius else 0.0
    return weight * a, weight * b


sum_within = pair_sums(within, group=8)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _neighbour_sums(positions: Vector, values: Vector, number: Index, radius: float, box: Box, cells: Cells) -> Vector:
    sums = np.empty_like(values)
    x, y = positions[:, 0].copy(), positions[:, 1].copy()
    a, b = values[:, 0].copy(), values[:, 1].copy()
    sum_within(radius, x, y, a, b, number, box, cells, sums[:, 0], sums[:, 1])
    return sums


def neighbour_sums(positions: Vector, values: Vector, radius: float, box: Box) -> Vector:
    """For every particle the sum of `values` over all particles within `radius`, itself included.

    Args:
        positions: (N, 2) in the box.
        values: (N, 2), such as the heading vectors.
        radius: Inclusive. On a torus every particle counts once, at its shortest distance, also for radius > L/2.

    Returns:
        (N, 2).

    Raises:
        DataError: A position is not in the box.
    """
    require_inside(positions, box)
    x = np.ascontiguousarray(positions, np.float64)
    number, cells = np.arange(len(x)), cells_for(len(x), radius, box)
    sums: Vector = _neighbour_sums(x, np.ascontiguousarray(values, np.float64), number, float(radius), box, cells)
    return sums
