"""Friends of friends in a periodic box (Davis et al. 1985, ApJ 292, 371).

Cells are so small that all particles of a cell are friends of each other; only cells that can reach each other are then
compared, and two of them only until a first pair of friends is found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from emulant.dataset.seams import Array


def groups(positions: Array, linking_length: float, size: float, smallest: int) -> list[Array]:
    """Members of every group of at least `smallest` particles, largest group first, each in ascending order.

    Args:
        positions: (N, 3) in [0, size).
        linking_length: Friends are at most so far apart; at most a fifth of `size`.
        size: Side of the periodic box.
        smallest: Members that a group must have.
    """
    side = max(int(np.ceil(size * np.sqrt(3) / linking_length)), 5)
    cells = _cells(positions, side, size)
    order = np.argsort(cells, kind="stable")
    occupied, starts = np.unique(cells[order], return_index=True)
    table = _hashed(occupied)
    roots = _link(positions, order, occupied, np.append(starts, len(order)), table, side, linking_length, size)
    labels, counts = np.unique(roots, return_counts=True)
    kept = counts >= smallest
    by_group = np.argsort(roots, kind="stable")
    ends = np.cumsum(counts)
    found = [by_group[end - count : end] for end, count in zip(ends[kept], counts[kept], strict=True)]
    ranked = np.argsort(-counts[kept], kind="stable")
    return [found[index] for index in ranked] if len(labels) else []


@njit(cache=True)  # type: ignore[untyped-decorator]
def _cells(positions: Array, side: int, size: float) -> Array:
    cells = np.empty(positions.shape[0], dtype=np.int64)
    for particle in range(positions.shape[0]):
        i = min(int(positions[particle, 0] / size * side), side - 1)
        j = min(int(positions[particle, 1] / size * side), side - 1)
        k = min(int(positions[particle, 2] / size * side), side - 1)
        cells[particle] = (i * side + j) * side + k
    return cells


@njit(cache=True)  # type: ignore[untyped-decorator]
def _slot(cell: int, mask: int) -> Any:
    mixed = np.uint64(cell) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed >> np.uint64(20)) & np.uint64(mask))  # signed, or numba makes floats of sums with it


@njit(cache=True)  # type: ignore[untyped-decorator]
def _hashed(occupied: Array) -> Array:
    """Place of every occupied cell in a hash table with open addressing; -1 = empty."""
    length = 16
    while length < 2 * len(occupied):
        length *= 2
    table = np.full(length, -1, dtype=np.int64)
    for place in range(len(occupied)):
        slot = _slot(occupied[place], length - 1)
        while table[slot] >= 0:
            slot = (slot + 1) & (length - 1)
        table[slot] = place
    return table


@njit(cache=True)  # type: ignore[untyped-decorator]
def _find(cell: int, occupied: Array, table: Array) -> int:
    slot = _slot(cell, len(table) - 1)
    while table[slot] >= 0:
        if occupied[table[slot]] == cell:
            place: int = table[slot]
            return place
        slot = (slot + 1) & (len(table) - 1)
    return -1


@njit(cache=True)  # type: ignore[untyped-decorator]
def _root(parents: Array, node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@njit(cache=True)  # type: ignore[untyped-decorator]
def _touch(positions: Array, order: Array, starts: Array, here: int, there: int, reach: float, size: float) -> bool:
    """Whether a particle of one cell is a friend of one of the other."""
    for a in range(starts[here], starts[here + 1]):
        for b in range(starts[there], starts[there + 1]):
            distance = 0.0
            for axis in range(3):
                offset = float(positions[order[a], axis]) - float(positions[order[b], axis])
                offset -= size * np.rint(offset / size)
                distance += offset * offset
            if distance <= reach * reach:
                return True
    return False


@njit(cache=True)  # type: ignore[untyped-decorator]
def _link(
    positions: Array,
    order: Array,
    occupied: Array,
    starts: Array,
    table: Array,
    side: int,
    reach: float,
    size: float,
) -> Array:
    """The label of every particle's group."""
    parents = np.arange(len(occupied))
    for here in range(len(occupied)):
        cell = occupied[here]
        i, j, k = cell // (side * side), cell // side % side, cell % side
        for step in range(75):  # the 5³ cells around, of which half will do
            di, dj, dk = step // 25, step // 5 % 5 - 2, step % 5 - 2
            if di == 0 and (dj < 0 or (dj == 0 and dk <= 0)):
                continue
            neighbour = (((i + di) % side) * side + (j + dj) % side) * side + (k + dk) % side
            there = _find(neighbour, occupied, table)
            if there < 0:
                continue
            ours, theirs = _root(parents, here), _root(parents, there)
            if ours != theirs and _touch(positions, order, starts, here, there, reach, size):
                parents[max(ours, theirs)] = min(ours, theirs)
    roots = np.empty(len(order), dtype=np.int64)
    for here in range(len(occupied)):
        label = _root(parents, here)
        for particle in range(starts[here], starts[here + 1]):
            roots[order[particle]] = label
    return roots
