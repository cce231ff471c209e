"""A halos study that takes seconds, and CAMELS files written by hand."""

from __future__ import annotations

import h5py
import numpy as np

from emulant.systems.halos.box import CRITICAL_DENSITY

TINY = [
    "halos:smoke",
    "--set",
    "system.npix=64",
    "--set",
    "system.resolution=8",
    "--set",
    "system.mass_threshold=4e13",
    "--set",
    "system.simulation.particles=32",
    "--set",
    "system.simulation.steps=8",
]
"""Arguments of `emulant`: three boxes of 32³ particles, two simulations each."""

SIZE, OMEGA = 25.0, 0.3
TOTAL = OMEGA * CRITICAL_DENSITY * SIZE**3
SHARES = {0: 0.12, 1: 0.84, 4: 0.03, 5: 0.01}
"""Of the mass, by PartType: gas, dark matter, stars, black holes."""


def write_snapshot(paths, kinds, *, box=SIZE * 1000, dtype="f8", table=True, header=None, compression=None):
    """A snapshot of random particles in as many files as there are paths; kind -> positions (N, 3) in Mpc/h."""
    total = {kind: len(positions) for kind, positions in kinds.items()}
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            counts = np.zeros(6, "i4")
            masses = np.zeros(6)
            for kind, positions in kinds.items():
                rows = np.array_split(positions, len(paths))[number]
                counts[kind] = len(rows)
                if not len(rows):
                    continue
                each = TOTAL * (SHARES[kind] if len(kinds) > 1 else 1.0) / total[kind] / 1e10
                group = file.create_group(f"PartType{kind}")
                group.create_dataset("Coordinates", data=(rows * 1000).astype(dtype), **(compression or {}))
                if kind == 1 and table:
                    masses[1] = each
                else:
                    group["Masses"] = np.full(len(rows), each, "f4")
                if kind == 4:
                    group["GFM_StellarFormationTime"] = np.where(np.arange(len(rows)) % 4 == 0, -1.0, 0.5)
            attributes = {
                "BoxSize": box,
                "MassTable": masses,
                "NumPart_ThisFile": counts,
                "NumPart_Total": np.array([total.get(kind, 0) for kind in range(6)], "u4"),
                "NumPart_Total_HighWord": np.zeros(6, "u4"),
                "NumFilesPerSnapshot": len(paths),
                "Redshift": 0.0,
                "Time": 1.0,
                "Omega0": OMEGA,
                "OmegaBaryon": 0.049,
                "HubbleParam": 0.6711,
                **(header or {}),
            }
            described = file.create_group("Header")
            for name, value in attributes.items():
                described.attrs[name] = value


def write_groups(paths, centers, m200c, *, box=SIZE * 1000, total=None):
    """A catalogue in as many files as there are paths; centres in Mpc/h, masses in Msun/h."""
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        mine = np.array_split(np.arange(len(m200c)), len(paths))[number]
        with h5py.File(path, "w") as file:
            described = file.create_group("Header")
            for name, value in {
                "BoxSize": box,
                "Ngroups_ThisFile": len(mine),
                "Ngroups_Total": len(m200c) if total is None else total,
                "NumFiles": len(paths),
            }.items():
                described.attrs[name] = value
            file["Group/GroupPos"] = (np.asarray(centers)[mine] * 1000).astype("f4")
            for name, unit in (("Group_M_Crit200", 1e10), ("GroupMass", 1e10)):
                file[f"Group/{name}"] = (np.asarray(m200c)[mine] / unit).astype("f4")
            radius = (3 * np.asarray(m200c)[mine] / (800 * np.pi * CRITICAL_DENSITY)) ** (1 / 3) * 1000
            file["Group/Group_R_Crit200"] = radius.astype("f4")


def clustered(rng, count):
    """(count, 3) positions in [0, SIZE): half of them around five centres, over the edges too; and the centres."""
    centers = rng.uniform(0, SIZE, (5, 3))
    near = centers[rng.integers(0, 5, count // 2)] + rng.normal(0, 0.4, (count // 2, 3))
    return np.concatenate([near, rng.uniform(0, SIZE, (count - count // 2, 3))]) % SIZE, centers


def write_pair(root, simulation, rng, count=4000):
    """`DMO|Hydro|FOF/SB35_i` to the layout of the source document; the DMO positions."""
    positions, centers = clustered(rng, count)
    name = f"SB35_{simulation}"
    write_snapshot([root / "DMO" / name / "snap_090.hdf5"], {1: positions}, dtype="f4")
    kinds = {0: positions, 1: positions, 4: positions[: count // 5], 5: positions[:3]}
    paths = [root / "Hydro" / name / "snapdir_090" / f"snap_090.{number}.hdf5" for number in range(3)]
    write_snapshot(paths, kinds)
    masses = np.array([5e13, 4e13, 3e13, 2e13, 0.0])
    write_groups([root / "FOF" / name / "fof_subhalo_tab_090.hdf5"], centers, masses)
    return positions
