"""The density field of a swarm against kernel density estimators, and how far each is from the exact periodic sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from KDEpy import FFTKDE
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.table import Options, Row, Section
from benchmarks.timing import contest, duration
from emulant.systems.swarm.config import Box, DensityTable, SystemTable
from emulant.systems.swarm.density import density
from emulant.systems.swarm.vicsek import simulate

Array = NDArray[np.float64]
Field = Callable[[Array], Array]


def exact(points: Array, table: DensityTable, box: Box) -> Array:
    """The sum of all kernels and their periodic images, as it is written; (ny, nx)."""

    def along(x: Array, length: float, cells: int, width: float) -> Array:
        centres = (np.arange(cells) + 0.5) * length / cells
        images = [np.exp(-(((centres[:, None] - x + m * length) / width) ** 2) / 2) for m in range(-3, 4)]
        return np.asarray(np.sum(images, axis=0) / (width * np.sqrt(2 * np.pi)))

    hx, hy = table.widths(box)
    return np.asarray(along(points[:, 1], box.Ly, table.ny, hy) @ along(points[:, 0], box.Lx, table.nx, hx).T)


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
        return np.asarray(len(points) * estimate.reshape(self.shape)[inside, inside].T)


def filtered(points: Array, table: DensityTable, box: Box) -> Array:
    """Counts per cell and scipy's gaussian_filter."""
    column = (points[:, 0] * (table.nx / box.Lx)).astype(int)
    row = (points[:, 1] * (table.ny / box.Ly)).astype(int)
    counts = np.bincount(row * table.nx + column, minlength=table.nx * table.ny).reshape(table.ny, table.nx)
    cell = box.Lx * box.Ly / (table.nx * table.ny)
    return np.asarray(gaussian_filter(counts / cell, table.widths_in_cells(box)[::-1], mode="wrap"))


def frames_of(field: Field, positions: Array) -> Array:
    return np.stack([field(frame) for frame in positions])


@dataclass(frozen=True)
class Setting:
    """A swarm in a box of 15 x 15, and its field."""

    N: int
    cells: int
    bandwidth: float
    frames: int
    largest_error: float
    least_ratio: float | None = None
    """To KDEpy as it is."""
    most_seconds: float | None = None
    """For a frame."""


SETTINGS = (
    Setting(40, 64, 2.0, 21, 1e-10, least_ratio=8.0, most_seconds=0.2e-3),
    Setting(300, 64, 5.0, 21, 1e-10, least_ratio=8.0),
    Setting(100_000, 128, 2.0, 3, 1e-2),
)


def compare(setting: Setting, seconds: float) -> Iterator[Row]:
    system = SystemTable(N=setting.N, T=0.1 * max(1, setting.frames - 1))
    table, box = DensityTable(nx=setting.cells, ny=setting.cells, bandwidth=setting.bandwidth), system.box
    positions = simulate(system, "gaussian_cluster", np.random.default_rng(0)).positions
    peers: dict[str, Field] = {
        "KDEpy": KDEpyGrid(table, box, images=False),
        "KDEpy with images": KDEpyGrid(table, box, images=True),
        "gaussian_filter": partial(filtered, table=table, box=box),
    }
    methods: dict[str, Field] = {"ours": partial(density, table=table, box=box)}
    methods |= {name: partial(frames_of, field) for name, field in peers.items()}
    truth = frames_of(partial(exact, table=table, box=box), positions)
    error = {
        name: np.linalg.norm(method(positions) - truth) / np.linalg.norm(truth) for name, method in methods.items()
    }
    found = contest({name: partial(method, positions) for name, method in methods.items()}, seconds=seconds)
    what, share = f"N = {setting.N:,}, {setting.cells}², bandwidth {setting.bandwidth:g} cells", 1 / len(positions)
    own = found.said("ours", share)
    for name in peers:
        ratio, least = found.ratio(name), setting.least_ratio if name == "KDEpy" else None
        target, met = (f"≥ {least:g} x", ratio >= least) if least else ("", None)
        accuracy = f"{error['ours']:.1e} against {error[name]:.1e}"
        yield Row(what, own, f"{name} {found.said(name, share)}", ratio, target, met, accuracy)
    met = bool(error["ours"] <= setting.largest_error)
    yield Row(f"{what}: error", f"{error['ours']:.1e}", target=f"≤ {setting.largest_error:g}", met=met)
    if most := setting.most_seconds:
        yield Row(f"{what}: time", own, target=f"≤ {duration(most)}", met=share * found.median("ours") <= most)


def rows(seconds: float, settings: Sequence[Setting] = SETTINGS) -> Iterator[Row]:
    for setting in settings:
        yield from compare(setting, seconds)


def run(options: Options) -> Section:
    return Section(
        "Density field",
        "Time a frame of a swarm that begins as one cluster. KDEpy: `FFTKDE(bw=h).fit(points).evaluate(grid)` as it "
        "is, which lets mass leave the periodic box, and with copies of the points around the box. Accuracy: relative "
        "L2 error to the exact periodic sum, ours against the peer's.",
        list(rows(options.seconds)),
    )
