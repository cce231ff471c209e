"""Cutouts around halos against the recipe that is passed around for them, and cloud in cell against Pylians."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Options, Row, Section
from benchmarks.timing import Contest, contest, duration
from emulant.systems.halos.extraction import CellList, Geometry, extract, project, rotation_of

Array = NDArray[np.float64]
BOX, NPIX = 50.0, 1024
WHOLE = Geometry(BOX, NPIX, NPIX, (BOX,))


# -- the recipe ---------------------------------------------------------------------------------------------------


def recipe(positions: Array, masses: Array, center: Array, rotation: Array) -> Array:
    """Centre, copy all 27 images that can reach, rotate, cut the cube, bin by cloud in cell, cut out four scales."""
    centred = (positions - center + BOX / 2) % BOX - BOX / 2
    pieces, weights = [], []
    for shift in product((-1, 0, 1), repeat=3):
        images = centred + BOX * np.array(shift)
        near = (images**2).sum(axis=1) <= 0.75 * BOX**2
        pieces.append(images[near])
        weights.append(masses[near])
    turned, heavy = np.concatenate(pieces) @ rotation.T, np.concatenate(weights)
    inside = ((turned >= -BOX / 2) & (turned < BOX / 2)).all(axis=1)
    grid = cloud_in_cell(turned[inside, :2] + BOX / 2, heavy[inside], NPIX)
    made = []
    for blocks in (1, 2, 4, 8):
        first, width = NPIX // 2 - 64 * blocks, 128 * blocks
        cut = grid[first : first + width, first : first + width]
        made.append(cut.reshape(128, blocks, 128, blocks).mean(axis=(1, 3)))
    return np.stack(made)


def cloud_in_cell(positions: Array, masses: Array, npix: int) -> Array:
    """(npix, npix) by `numpy.bincount`."""
    u = positions / (BOX / npix)
    node = np.floor(u).astype(np.int64)
    share, grid = u - node, np.zeros(npix * npix)
    for a, b in product((0, 1), repeat=2):
        weight = masses * np.abs(1 - a - share[:, 0]) * np.abs(1 - b - share[:, 1])
        flat = ((node[:, 0] + a) % npix) * npix + (node[:, 1] + b) % npix
        grid += np.bincount(flat, weight, npix * npix)
    return grid.reshape(npix, npix)


# -- the comparison -----------------------------------------------------------------------------------------------


def particles(count: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.uniform(0, BOX, (count, 3)), rng.uniform(1, 2, count)


def run(options: Options) -> Section:
    """Everything on one thread, by CPU time."""
    rows = [*_cutouts(options), _indexed(options), *_pylians(options)]
    return Section("Halo cutouts", "50 Mpc/h, 1024² fine pixels, float64 sums; one thread.", rows)


def _cutouts(options: Options) -> list[Row]:
    positions, masses = particles(1_000_000)
    center, rotation = positions[0], rotation_of(0, 0, 0, 0)
    cells = CellList.of(positions, masses, BOX)
    ours = partial(cells.extract, center, npix=NPIX, rotation=rotation, scales=(6.25, 12.5, 25.0, 50.0))
    plain = partial(extract, positions, masses, center, box_size=BOX, npix=NPIX, rotation=rotation)
    theirs = partial(recipe, positions, masses, center, rotation)
    apart = float(np.abs(ours() - theirs()).max() / theirs().max())
    if apart > 1e-6:
        raise ArithmeticError(f"cutouts differ by {apart:g}")
    found = contest({"ours": ours, "plain": plain, "recipe": theirs}, seconds=options.seconds, rounds=(3, 20))
    targets = partial(cells.extract, center, npix=NPIX, rotation=rotation)
    small = contest({"ours": targets, "recipe": theirs}, seconds=options.seconds, rounds=(3, 20))
    return [
        _row("four scales, 10⁶ particles, cell list", found, "recipe", 15.0, f"apart {apart:.0e}"),
        _row("the same without a list", found, "recipe", None, "", ours="plain"),
        _row("6.25 Mpc/h of them", small, "recipe", 100.0, ""),
    ]


def _indexed(options: Options) -> Row:
    positions, _ = particles(8_000_000)
    cells = CellList.of(positions.astype(np.float32), 1.0, BOX)
    turn = partial(cells.extract, positions[0], npix=NPIX, rotation=rotation_of(0, 0, 0, 1))
    found = contest({"ours": turn}, seconds=options.seconds)
    return Row("6.25 Mpc/h of 8·10⁶ particles", found.said("ours"), target="<= 10 ms", met=found.median("ours") <= 0.01)


def _pylians(options: Options) -> list[Row]:
    if find_spec("MAS_library") is None:
        return []
    import MAS_library

    positions, _ = particles(2_000_000)
    single = positions.astype(np.float32)
    flat, grid = np.ascontiguousarray(single[:, :2]), np.zeros((NPIX, NPIX), np.float32)

    def theirs() -> None:
        grid[:] = 0
        MAS_library.MA(flat, grid, BOX, "CIC", verbose=False)

    ours = partial(project, single, 1.0, np.full(3, BOX / 2), WHOLE)
    found = contest({"ours": ours, "Pylians": theirs}, seconds=options.seconds)
    cells = CellList.of(single, 1.0, BOX)
    listed = partial(cells.extract, np.full(3, BOX / 2), npix=NPIX, resolution=NPIX, scales=(BOX,))
    sorted_ = contest({"ours": listed, "Pylians": theirs}, seconds=options.seconds)
    note = "ours: float64 grid, images and depth looked at; theirs: float32"
    return [
        _row("CIC of 2·10⁶ particles on 1024²", found, "Pylians", None, note),
        _row("the same, particles in a cell list", sorted_, "Pylians", 1.0, ""),
    ]


def _row(what: str, found: Contest, peer: str, target: float | None, note: str, ours: str = "ours") -> Row:
    ratio = found.ratio(peer, ours)
    met = None if target is None else ratio >= target
    aim = "" if target is None else f">= {target:g}x"
    return Row(what, duration(found.median(ours)), f"{peer} {duration(found.median(peer))}", ratio, aim, met, note)
