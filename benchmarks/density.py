"""The density field of a swarm against kernel density estimators, and how far each is from the exact periodic sum."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from KDEpy import FFTKDE
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.table import Options, Row, Section
from benchmarks.timing import contest
from emulant.systems.swarm.config import Box, DensityTable, SystemTable
from emulant.systems.swarm.density import density
from emulant.systems.swarm.vicsek import simulate

Array = NDArray[np.float64]


def exact(points: Array, table: DensityTable, box: Box) -> Array:
    """The sum of all kernels and their periodic images, as it is written; (ny, nx)."""

    def along(x: Array, length: float, cells: int, width: float) -> Array:
        centres = (np.arange(cells) + 0.5) * length / cells
        images = [np.exp(-(((centres[:, None] - x + m * length) / width) ** 2) / 2) for m in range(-3, 4)]
        return np.sum(images, axis=0) / (width * np.sqrt(2 * np.pi))

    hx, hy = table.widths(box)
    return along(points[:, 1], box.Ly, table.ny, hy) @ along(points[:, 0], box.Lx, table.nx, hx).T


class KDEpyGrid:
    """KDEpy's FFTKDE on our cells. Its grid must enclose all points, so it has one more cell on every side."""

    def __init__(self, table: DensityTable, box: Box, *, images: bool) -> None:
        self.table, self.box, self.images = table, box, images
        self.pad = int(np.ceil(4 * table.widths_in_cells(box)[0])) if images else 1
        self.shape = (table.nx + 2 * self.pad, table.ny + 2 * self.pad)
        sides = ((np.arange(n) - self.pad + 0.5) for n in self.shape)
        x, y = (side * step for side, step in zip(sides, (box.Lx / table.nx, box.Ly / table.ny), strict=True))
        self.points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
        self.lower, self.upper = self.points[0], self.points[-1]

    def __call__(self, points: Array) -> Array:
        if self.images:  # what its users do by hand for a periodic box: copies around it, as far as kernels reach
            shifts = np.array([(i * self.box.Lx, k * self.box.Ly) for i in (-1, 0, 1) for k in (-1, 0, 1)])
            points = (points + shifts[:, None]).reshape(-1, 2)
            points = points[((points > self.lower) & (points < self.upper)).all(axis=1)]
        estimate = FFTKDE(kernel="gaussian", bw=self.table.widths(self.box)[0]).fit(points).evaluate(self.points)
        inside = slice(self.pad, -self.pad)
        return len(points) * estimate.reshape(self.shape)[inside, inside].T


def filtered(points: Array, table: DensityTable, box: Box) -> Array:
    """Counts per cell and scipy's gaussian_filter."""
    column = (points[:, 0] * (table.nx / box.Lx)).astype(int)
    row = (points[:, 1] * (table.ny / box.Ly)).astype(int)
    counts = np.bincount(row * table.nx + column, minlength=table.nx * table.ny).reshape(table.ny, table.nx)
    cell = box.Lx * box.Ly / (table.nx * table.ny)
    return gaussian_filter(counts / cell, table.widths_in_cells(box)[::-1], mode="wrap")


def frames_of(function, positions: Array) -> Array:
    return np.stack([function(frame) for frame in positions])


SETTINGS = (
    # N, L, cells, bandwidth, frames, least ratio, most seconds a frame, largest error
    (40, 15.0, 64, 2.0, 21, 8.0, 0.2e-3, 1e-10),
    (300, 15.0, 64, 5.0, 21, 8.0, None, 1e-10),
    (100_000, 100.0, 128, 2.0, 3, None, None, 1e-2),
)


def rows(options: Options, settings=SETTINGS) -> Iterator[Row]:
    for N, L, cells, bandwidth, frames, least_ratio, most_seconds, largest in settings:
        system = SystemTable(N=N, Lx=L, Ly=L, T=0.1 * max(1, frames - 1))
        table, box = DensityTable(nx=cells, ny=cells, bandwidth=bandwidth), system.box
        positions = simulate(system, "gaussian_cluster", np.random.default_rng(0)).positions[:frames]
        methods = {
            "ours": lambda x, table=table, box=box: density(x, table, box),
            "KDEpy": partial(frames_of, KDEpyGrid(table, box, images=False)),
            "KDEpy with images": partial(frames_of, KDEpyGrid(table, box, images=True)),
            "gaussian_filter": partial(frames_of, partial(filtered, table=table, box=box)),
        }
        truth = frames_of(partial(exact, table=table, box=box), positions)
        error = {name: np.linalg.norm(method(positions) - truth) / np.linalg.norm(truth)
                 for name, method in methods.items()}  # fmt: skip
        found = contest({name: partial(method, positions) for name, method in methods.items()}, seconds=options.seconds)
        what, share = f"N = {N:,}, {cells}², bandwidth {bandwidth:g} cells", 1 / len(positions)
        for name in list(methods)[1:]:
            aimed = least_ratio is not None and name == "KDEpy"
            ratio = found.ratio(name)
            yield Row(
                what,
                found.said("ours", share),
                f"{name} {found.said(name, share)}",
                ratio,
                f"≥ {least_ratio:g} x" if aimed else "",
                ratio >= least_ratio if aimed else None,
                f"{error['ours']:.1e} against {error[name]:.1e}",
            )
        yield Row(f"{what}: error", f"{error['ours']:.1e}", target=f"≤ {largest:g}", met=bool(error["ours"] <= largest))
        if most_seconds is not None:
            median = share * found.median("ours")
            yield Row(f"{what}: time", found.said("ours", share), target="≤ 0.2 ms", met=median <= most_seconds)


def run(options: Options) -> Section:
    return Section(
        "Density field",
        "Time a frame of a swarm that begins as one cluster. KDEpy: `FFTKDE(bw=h).fit(points).evaluate(grid)` as it "
        "is, which lets mass leave the periodic box, and with copies of the points around the box. Accuracy: relative "
        "L2 error to the exact periodic sum, ours against the peer's.",
        list(rows(options)),
    )
