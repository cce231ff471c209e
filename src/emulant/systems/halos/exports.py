"""Cutouts as the NPZ files of the source document, and older ones of these given their large scales."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from emulant.dataset.atomic import write_npz
from emulant.dataset.npz import names_in, read_arrays
from emulant.dataset.seams import Array
from emulant.dataset.tables import Table
from emulant.errors import DataError, UsageError
from emulant.systems.halos import boxes
from emulant.systems.halos.box import Particles
from emulant.systems.halos.camels import DARK, Snapshot
from emulant.systems.halos.config import HalosConfig, SystemTable
from emulant.systems.halos.extraction import extract
from emulant.systems.halos.options import ExportOptions
from emulant.systems.halos.plan import simulation_names
from emulant.systems.halos.shards import DOCUMENTED, SAMPLE, write_samples

_AGREE = 1e-3
"""How far a condition may be from the one that is extracted again, of its largest pixel."""
_BATCH = 64


def files(run: Any, splits: Sequence[str], target: Path, options: Table) -> list[Path]:
    """`SPLIT/sim_3/sim_3_halo_0_rot_0.npz`, with exactly the six keys of the source document."""
    names = [*DOCUMENTED, "simulation", "halo", "rotation_index"]
    written = []
    for split in splits:
        for batch in run.dataset(split).batches(_BATCH, names):
            written += write_samples(batch, target / split)
    return written


def document_of(root: Path) -> dict[str, Any] | None:
    """The study of a folder of such files, as far as they tell; None if it holds none. The box is that of CAMELS."""
    path = next((path for path in root.rglob("sim_*.npz") if SAMPLE.fullmatch(path.name)), None)
    if path is None:
        return None
    resolution = len(read_arrays(path, ["condition"])["condition"])
    system = SystemTable()
    npix = round(resolution * system.box_size / system.scales[0])
    return {"system": {"name": "halos", "resolution": resolution, "npix": npix}}


def large_scale(run: Any, _splits: Sequence[str], target: Path, options: ExportOptions) -> list[Path]:
    """The samples below a folder once more, with `large_scale` taken from the simulations of `--nbody` or the study.

    A sample needs the rotation that it was seen under, and must come out of its simulation again; what does not is
    refused, after all others are written.

    Raises:
        DataError: Samples were refused, or a simulation cannot be read.
        UsageError: There are no samples, or they would be overwritten.
    """
    root, config = run.folder.root, _of_simulations(run.study.config, options.nbody)
    found = [path for path in sorted(root.rglob("sim_*.npz")) if SAMPLE.fullmatch(path.name)]
    if not found:
        raise UsageError(f"{root}: holds no file of the form sim_0_halo_0_rot_0.npz.")
    if target.resolve() == root.resolve():
        raise UsageError(f"{target}: the samples that are there are not written over.", "Name another folder by -o.")
    written, refused = list[Path](), list[str]()
    for simulation, paths in groupby(found, key=_simulation):
        particles: Particles | None = None
        for path in paths:
            arrays = read_arrays(path, names_in(path))
            if missing := [name for name in ("rotation", "halo_center", "condition") if name not in arrays]:
                refused.append(f"{path} has no `{missing[0]}`")
                continue
            particles = particles or _dark_matter(simulation, config, root)
            seen = _extracted(particles, arrays["halo_center"], arrays["rotation"], config)
            if why := _differs(arrays["condition"], seen[0]):
                refused.append(f"{path}: {why}")
                continue
            written.append(write_npz(target / path.relative_to(root), {**arrays, "large_scale": seen[1:]}))
    if refused:
        raise DataError(
            f"{len(refused)} of {len(found)} samples were refused; the first: {refused[0]}.",
            f"The other {len(written)} are written.",
        )
    return written


def _of_simulations(config: HalosConfig, nbody: Path | None) -> HalosConfig:
    """The configuration with files of CAMELS as its source, if somebody says where they are."""
    if nbody is None:
        return config
    if not nbody.is_dir():
        raise UsageError(f"--nbody {nbody}: there is no such folder.")
    source = config.system.source.model_copy(update={"kind": "camels", "nbody": str(nbody), "hydro": "", "fof": ""})
    return config.model_copy(update={"system": config.system.model_copy(update={"source": source})})


def _simulation(path: Path) -> int:
    match = SAMPLE.fullmatch(path.name)
    return int(match[1]) if match else -1


def _dark_matter(simulation: int, config: HalosConfig, run: Path) -> Particles:
    source = config.system.source
    names = simulation_names(source) if source.kind == "camels" else {}
    folder = boxes.roots(config, run)["nbody"] / names.get(simulation, f"{boxes.SUITE}_{simulation}")
    return Snapshot.open(folder, source.snapshot).kind(DARK).load()


def _extracted(particles: Particles, center: Array, rotation: Array, config: HalosConfig) -> Array:
    system = config.system
    return extract(
        particles.positions,
        particles.masses,
        center,
        box_size=system.box_size,
        npix=system.npix,
        rotation=rotation,
        resolution=system.resolution,
        scales=system.scales,
    )


def _differs(stored: Array, seen: Array) -> str:
    if stored.shape != seen.shape:
        return f"`condition` is {stored.shape}, the study's resolution gives {seen.shape}"
    error = float(np.abs(stored - seen).max() / max(float(seen.max()), 1e-30))
    return (
        "" if error <= _AGREE else f"`condition` is not that of its simulation, centre and rotation ({error:.1%} off)"
    )
