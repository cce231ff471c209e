"""Boxes written as CAMELS keeps its simulations: `DMO|Hydro|FOF/SB35_i/`, ckpc/h and 1e10 Msun/h."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emulant.dataset import hdf5
from emulant.dataset.atomic import replacing
from emulant.dataset.seams import Array
from emulant.systems.halos.box import Halos
from emulant.systems.halos.chunks import LENGTH, MASS
from emulant.systems.halos.cosmology import Cosmology

SNAPSHOT, CATALOGUE = "snap_090.hdf5", "fof_subhalo_tab_090.hdf5"
DMO, HYDRO, FOF = "DMO", "Hydro", "FOF"
QUANTUM = 0.25
"""ckpc/h. Coordinates are whole multiples of it, so that they compress to about half."""
_ROWS = 1 << 16


def write_dmo(path: Path, positions: Array, particle_mass: float, size: float, cosmology: Cosmology) -> Path:
    """The snapshot of a dark-matter-only run."""
    return _write(path, {1: positions}, {1: particle_mass}, size, cosmology)


def write_hydro(
    path: Path, dm: Array, gas: Array, stars: Array, particle_mass: float, size: float, cosmology: Cosmology
) -> Path:
    """The snapshot of a baryonified run; `particle_mass` is that of a dark-matter-only particle."""
    baryons = cosmology.baryon_fraction
    masses = {0: particle_mass * baryons, 1: particle_mass * (1 - baryons), 4: particle_mass * baryons}
    return _write(path, {0: gas, 1: dm, 4: stars}, masses, size, cosmology)


def _write(
    path: Path, kinds: Mapping[int, Array], masses: Mapping[int, float], size: float, cosmology: Cosmology
) -> Path:
    from hdf5plugin import Blosc  # registers the filter

    counts = np.zeros(6, dtype="<i4")
    table = np.zeros(6, dtype="<f8")
    datasets: dict[str, hdf5.Stored] = {}
    options = dict(Blosc(cname="zstd", clevel=3, shuffle=Blosc.SHUFFLE))
    for kind, positions in kinds.items():
        counts[kind] = len(positions)
        if not len(positions):
            continue
        datasets[f"PartType{kind}/Coordinates"] = hdf5.Stored(_coordinates(positions, size), {}, _ROWS, options)
        if kind == 1:
            table[kind] = masses[kind] / MASS
        else:
            equal = np.full(len(positions), masses[kind] / MASS, dtype="<f4")
            datasets[f"PartType{kind}/Masses"] = hdf5.Stored(equal, {}, _ROWS, options)
    header = {**_universe(size, cosmology), "MassTable": table, "NumPart_ThisFile": counts}
    header |= {"NumPart_Total": counts.astype("<u4"), "NumPart_Total_HighWord": np.zeros(6, dtype="<u4")}
    return hdf5.write(path, datasets, groups={"Header": {**header, "NumFilesPerSnapshot": np.int32(1)}})


def _coordinates(positions: Array, size: float) -> Array:
    rounded = np.rint(positions.astype(np.float64) * (LENGTH / QUANTUM)) * QUANTUM
    rounded[rounded >= size * LENGTH] -= size * LENGTH
    return rounded.astype("<f4")


def _universe(size: float, cosmology: Cosmology) -> dict[str, Any]:
    return {
        "BoxSize": size * LENGTH,
        "Time": 1.0,
        "Redshift": 0.0,
        "Omega0": cosmology.Omega_m,
        "OmegaLambda": 1 - cosmology.Omega_m,
        "OmegaBaryon": cosmology.Omega_b,
        "HubbleParam": cosmology.h,
    }


def write_catalogue(path: Path, halos: Halos, lengths: Array, size: float, cosmology: Cosmology) -> Path:
    """The groups of a dark-matter-only run; `lengths` are their numbers of particles."""
    count = len(halos)
    header = {**_universe(size, cosmology), "NumFiles": np.int32(1)}
    header |= {name: np.int32(count) for name in ("Ngroups_ThisFile", "Ngroups_Total")}
    header |= {name: np.int32(0) for name in ("Nsubgroups_ThisFile", "Nsubgroups_Total")}
    by_type = np.zeros((count, 6))
    by_type[:, 1] = halos.fof_mass / MASS
    values = {
        "GroupPos": (halos.centers * LENGTH).astype("<f4"),
        "GroupMass": (halos.fof_mass / MASS).astype("<f4"),
        "GroupMassType": by_type.astype("<f4"),
        "GroupLen": lengths.astype("<i4"),
        "GroupFirstSub": np.full(count, -1, dtype="<i4"),
        "GroupNsubs": np.zeros(count, dtype="<i4"),
        "Group_M_Crit200": (halos.m200c / MASS).astype("<f4"),
        "Group_R_Crit200": (halos.r200c * LENGTH).astype("<f4"),
    }
    return hdf5.write(path, {f"Group/{name}": array for name, array in values.items()}, groups={"Header": header})


def share(original: Path, path: Path) -> Path:
    """The same file under a second name: a hard link, or a copy where there are none."""
    from shutil import copyfile

    with replacing(path) as partial:
        try:
            os.link(original, partial)
        except OSError:
            copyfile(original, partial)
    return path
