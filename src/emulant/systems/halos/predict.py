"""`emulant predict RUN SNAPSHOT -o OUT`: a dark-matter-only snapshot in, painted maps out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from emulant.errors import DataError
from emulant.systems.halos import parameters
from emulant.systems.halos.box import CRITICAL_DENSITY, Halos
from emulant.systems.halos.camels import DARK, Snapshot
from emulant.systems.halos.catalogue import LINKING, SMALLEST, around, shrinking_center
from emulant.systems.halos.config import HalosConfig
from emulant.systems.halos.extraction import CellList, Geometry
from emulant.systems.halos.friends import groups
from emulant.systems.halos.options import PredictOptions
from emulant.systems.halos.painting import DarkBox, also, paint, source_hash
from emulant.systems.halos.pairs import _HEADER as HEADER
from emulant.systems.halos.pairs import read_halos


def paint_snapshot(model: Any, source: Path, target: Path, options: PredictOptions, config: HalosConfig) -> None:
    """Paint a snapshot.

    Args:
        model: A fitted emulator.
        source: Folder of a dark-matter-only simulation, such as `DMO/SB35_0`.
        target: Folder to write `maps.npz` and `painted.json` to.

    Raises:
        DataError: The snapshot or its catalogue is damaged, or of another box; it has parameters that the model lacks.
        SurrogateError: The model was trained on another geometry.
    """
    table = config.system
    snapshot = Snapshot.open(source, table.source.snapshot)
    if not abs(snapshot.box_size / table.box_size - 1) < 1e-6:
        raise DataError(
            f"{source}: its box is {snapshot.box_size:g} Mpc/h, the model was trained on {table.box_size:g}.",
            "Paint boxes of the study's size.",
        )
    _require_dark_matter_only(snapshot)
    loaded = snapshot.kind(DARK).load()
    particles = CellList.of(loaded.positions, loaded.masses, snapshot.box_size)
    halos = _halos(source, options, table.source.snapshot, particles).above(table.mass_threshold)
    values = _parameters(source, options, snapshot)
    box = DarkBox(particles, halos, values, source_hash(particles, halos, values))
    geometry = Geometry(table.box_size, table.npix, table.resolution, tuple(table.scales))
    asked = {"samples": options.samples, "seed": options.seed, "batch": options.batch}
    also(target, paint(model, box, geometry, target, **asked), options.format, table.box_size)


def _require_dark_matter_only(snapshot: Snapshot) -> None:
    """Raises:
    DataError: The snapshot has gas or stars, which would be left out and painted anew, or not all of its matter.
    """
    others = [kind for kind, count in enumerate(snapshot.files.particles) if count and kind != DARK]
    if others:
        raise DataError(
            f"{snapshot.files.first.path}: holds PartType{others[0]}, so it is no dark-matter-only run.",
            "Give the simulation's folder in the tree of runs without baryons, such as DMO/SB35_0.",
        )
    snapshot.check_closure()


def _halos(source: Path, options: PredictOptions, snapshot: int, particles: CellList) -> Halos:
    """From the catalogue that is named or lies where catalogues lie, else our own."""
    if options.fof is not None:
        return read_halos(options.fof, snapshot)[0]
    for folder in (source, source.parent.parent / "FOF" / source.name):
        if _has_catalogue(folder, snapshot):
            return read_halos(folder, snapshot)[0]
    return found_halos(particles)


def _has_catalogue(folder: Path, snapshot: int) -> bool:
    """Whether a catalogue is there, in one file or many; whether it is whole is its reader's business."""
    return any((folder / f"{name}_{snapshot:03d}{ending}").exists() for name, ending in _CATALOGUES)


_CATALOGUES = (("fof_subhalo_tab", ".hdf5"), ("groups", ".hdf5"), ("groups", ""))


def found_halos(particles: CellList) -> Halos:
    """Friends of friends, M200c of their members by sorted radii, largest group first.

    Raises:
        DataError: The particles are not of one mass, so that their mean distance says nothing.
    """
    if len(particles.masses) > 1 and np.ptp(particles.masses) > 1e-3 * particles.masses.mean():
        raise DataError("halos cannot be sought among particles of several masses.", "Give a catalogue by --fof.")
    size, mass = particles.box_size, float(particles.masses.mean())
    linking = LINKING * size / len(particles.positions) ** (1 / 3)
    members = groups(particles.positions, linking, size, SMALLEST)
    centers = np.array([shrinking_center(particles.positions, rows, size) for rows in members]).reshape(-1, 3)
    m200c = np.zeros(len(members))
    for halo, rows in enumerate(members):
        radii = np.sort(around(particles.positions, rows, centers[halo], size)[2])
        inside = mass * np.arange(1, len(radii) + 1)
        dense = inside >= 800 / 3 * np.pi * CRITICAL_DENSITY * np.maximum(radii, 1e-9) ** 3
        m200c[halo] = inside[dense][-1] if dense.any() else 0.0
    r200c = np.cbrt(3 * m200c / (800 * np.pi * CRITICAL_DENSITY))
    fof = mass * np.array([len(rows) for rows in members], float)
    return Halos(np.arange(len(members)), centers, m200c, r200c, fof)


def _parameters(source: Path, options: PredictOptions, snapshot: Snapshot) -> dict[str, float]:
    """From the file that is named, one beside the simulation, or the header."""
    beside = sorted(source.parent.glob("CosmoAstroSeed_*.txt"))
    if options.params is None and len(beside) > 1:
        raise DataError(f"{source.parent}: holds {len(beside)} files of parameters.", "Choose one by --params.")
    path = options.params or next(iter(beside), None)
    if path is not None:
        return parameters.read(path).of(source.name)
    return {key: snapshot.files.first.number(*names) for key, names in HEADER.items()}
