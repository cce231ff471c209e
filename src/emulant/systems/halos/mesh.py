"""Compiled loops between particles and a periodic mesh, all by cloud in cell; node i sits at i * spacing."""

from __future__ import annotations

from numba import njit

from emulant.dataset.seams import Array

OFFSET = 0.25
"""Of the distance between particles: how far the lattice is shifted from the nodes."""


@njit(cache=True)  # type: ignore[untyped-decorator]
def deposit(positions: Array, mesh: Array, spacing: float) -> None:
    """Add every particle, as mass 1, to its eight nodes. Positions (N, 3) must be in [0, size)."""
    n = mesh.shape[0]
    for particle in range(positions.shape[0]):
        u, v, w = positions[particle, 0] / spacing, positions[particle, 1] / spacing, positions[particle, 2] / spacing
        i, j, k = int(u), int(v), int(w)
        x, y, z = u - i, v - j, w - k
        i, j, k = i % n, j % n, k % n
        i1, j1, k1 = (i + 1) % n, (j + 1) % n, (k + 1) % n
        mesh[i, j, k] += (1 - x) * (1 - y) * (1 - z)
        mesh[i, j, k1] += (1 - x) * (1 - y) * z
        mesh[i, j1, k] += (1 - x) * y * (1 - z)
        mesh[i, j1, k1] += (1 - x) * y * z
        mesh[i1, j, k] += x * (1 - y) * (1 - z)
        mesh[i1, j, k1] += x * (1 - y) * z
        mesh[i1, j1, k] += x * y * (1 - z)
        mesh[i1, j1, k1] += x * y * z


@njit(cache=True)  # type: ignore[untyped-decorator]
def downhill(potential: Array, spacing: float, forces: Array) -> None:
    """-grad of a potential (n, n, n) by four-point differences, into (n, n, n, 3)."""
    n = potential.shape[0]
    near, far = -8 / (12 * spacing), 1 / (12 * spacing)
    for i in range(n):
        a, b, c, d = (i + 1) % n, (i - 1) % n, (i + 2) % n, (i - 2) % n
        for j in range(n):
            e, f, g, h = (j + 1) % n, (j - 1) % n, (j + 2) % n, (j - 2) % n
            for k in range(n):
                p, q, r, s = (k + 1) % n, (k - 1) % n, (k + 2) % n, (k - 2) % n
                forces[i, j, k, 0] = near * (potential[a, j, k] - potential[b, j, k]) + far * (
                    potential[c, j, k] - potential[d, j, k]
                )
                forces[i, j, k, 1] = near * (potential[i, e, k] - potential[i, f, k]) + far * (
                    potential[i, g, k] - potential[i, h, k]
                )
                forces[i, j, k, 2] = near * (potential[i, j, p] - potential[i, j, q]) + far * (
                    potential[i, j, r] - potential[i, j, s]
                )


@njit(cache=True)  # type: ignore[untyped-decorator]
def kick(positions: Array, momenta: Array, forces: Array, spacing: float, factor: float) -> None:
    """momenta += factor * force at each particle."""
    n = forces.shape[0]
    for particle in range(positions.shape[0]):
        u, v, w = positions[particle, 0] / spacing, positions[particle, 1] / spacing, positions[particle, 2] / spacing
        i, j, k = int(u), int(v), int(w)
        x, y, z = u - i, v - j, w - k
        i, j, k = i % n, j % n, k % n
        i1, j1, k1 = (i + 1) % n, (j + 1) % n, (k + 1) % n
        for axis in range(3):
            lower = (1 - y) * ((1 - z) * forces[i, j, k, axis] + z * forces[i, j, k1, axis]) + y * (
                (1 - z) * forces[i, j1, k, axis] + z * forces[i, j1, k1, axis]
            )
            upper = (1 - y) * ((1 - z) * forces[i1, j, k, axis] + z * forces[i1, j, k1, axis]) + y * (
                (1 - z) * forces[i1, j1, k, axis] + z * forces[i1, j1, k1, axis]
            )
            momenta[particle, axis] += factor * ((1 - x) * lower + x * upper)


@njit(cache=True)  # type: ignore[untyped-decorator]
def drift(positions: Array, momenta: Array, factor: float, size: float) -> None:
    """positions += factor * momenta, wrapped into [0, size)."""
    for particle in range(positions.shape[0]):
        for axis in range(3):
            moved = positions[particle, axis] + factor * momenta[particle, axis]
            positions[particle, axis] = moved - size * (moved // size)
            if positions[particle, axis] >= size:  # what rounding has put on the edge
                positions[particle, axis] = 0.0


@njit(cache=True)  # type: ignore[untyped-decorator]
def refine(displacements: Array, factor: int, size: float, positions: Array) -> None:
    """Positions of a lattice `factor` times as fine per side, by interpolating displacements (n, n, n, 3) trilinearly.

    The children of a particle lie side by side in `positions` (n³ factor³, 3), around it in Lagrangian space.
    """
    n = displacements.shape[0]
    spacing = size / n
    row = 0
    for i in range(n):
        for j in range(n):
            for k in range(n):
                for child in range(factor**3):
                    x = (child // factor**2 + 0.5) / factor - 0.5
                    y = (child // factor % factor + 0.5) / factor - 0.5
                    z = (child % factor + 0.5) / factor - 0.5
                    i1 = (i + (1 if x > 0 else -1)) % n
                    j1 = (j + (1 if y > 0 else -1)) % n
                    k1 = (k + (1 if z > 0 else -1)) % n
                    x1, y1, z1 = abs(x), abs(y), abs(z)
                    for axis in range(3):
                        lower = (1 - y1) * (
                            (1 - z1) * displacements[i, j, k, axis] + z1 * displacements[i, j, k1, axis]
                        ) + y1 * ((1 - z1) * displacements[i, j1, k, axis] + z1 * displacements[i, j1, k1, axis])
                        upper = (1 - y1) * (
                            (1 - z1) * displacements[i1, j, k, axis] + z1 * displacements[i1, j, k1, axis]
                        ) + y1 * ((1 - z1) * displacements[i1, j1, k, axis] + z1 * displacements[i1, j1, k1, axis])
                        site = (i + x) if axis == 0 else ((j + y) if axis == 1 else (k + z))
                        moved = (site + OFFSET) * spacing + (1 - x1) * lower + x1 * upper
                        wrapped = moved - size * (moved // size)
                        positions[row, axis] = wrapped
                        if positions[row, axis] >= size:
                            positions[row, axis] = 0.0
                    row += 1
