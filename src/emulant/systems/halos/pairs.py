"""A simulation in its three trees: dark matter only, with baryons, and the halos of the former; the public doors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from emulant.dataset import hdf5
from emulant.dataset.hashing import hash_file
from emulant.dataset.seams import Array
from emulant.errors import DataError
from emulant.systems.halos.box import Halos, SimulationPair, SourceFile
from emulant.systems.halos.camels import CLOSURE, DARK, GAS, STARS, Snapshot, Species, Together, wrapped
from emulant.systems.halos.chunks import CATALOGUES, LENGTH, MASS, MEND, Chunk, Chunks
from emulant.systems.halos.config import SourceTable
from emulant.systems.halos.plan import FOLDER, parameter_table

_ARRAYS = ("GroupPos", "Group_M_Crit200", "Group_R_Crit200", "GroupMass")
_NOBODY: dict[str, Array] = {name: np.empty((0, 3) if name == "GroupPos" else 0) for name in _ARRAYS}
_HEADER = {
    "Omega0": ("Omega0", "Omega_m"),
    "OmegaBaryon": ("OmegaBaryon", "Omega_b"),
    "HubbleParam": ("HubbleParam", "h"),
}
"""Parameter -> its spellings in a header, for simulations without a file of parameters."""


def read_halos(folder: Path, snapshot: int = 90) -> tuple[Halos, Chunks]:
    """All groups of a FOF catalogue, in its order.

    Raises:
        DataError: A file is missing or short, or an array is missing or not finite.
    """
    files = Chunks.open(folder, CATALOGUES, snapshot, "NumFiles")
    pieces = [groups for chunk in files.chunks if len((groups := _groups(chunk))["GroupMass"])]
    arrays = {name: np.concatenate([piece[name] for piece in pieces]) for name in _ARRAYS} if pieces else _NOBODY
    found, promised = len(arrays["GroupMass"]), int(files.first.number("Ngroups_Total"))
    if found != promised:
        raise DataError(f"{files.first.path}: Ngroups_Total is {promised}, its files hold {found}.", MEND)
    halos = Halos(
        np.arange(found),
        wrapped(arrays["GroupPos"], files.first.box_size, files.first.path, "Group/GroupPos"),
        arrays["Group_M_Crit200"] * MASS,
        arrays["Group_R_Crit200"] / LENGTH,
        arrays["GroupMass"] * MASS,
    )
    return halos, files


def _groups(chunk: Chunk) -> dict[str, Array]:
    """The arrays of one file, float64."""
    count = int(chunk.number("Ngroups_ThisFile"))
    if not count:
        return _NOBODY
    with hdf5.opened(chunk.path) as file:
        arrays = {name: hdf5.read(file, chunk.path, f"Group/{name}").astype(np.float64) for name in _ARRAYS}
    for name, values in arrays.items():
        if len(values) != count:
            raise DataError(f"{chunk.path}: `Group/{name}` has {len(values)} rows, Ngroups_ThisFile is {count}.", MEND)
        if not np.isfinite(values).all():
            raise DataError(f"{chunk.path}: `Group/{name}` has values that are not finite.", MEND)
    return arrays


# -- the doors ----------------------------------------------------------------------------------------------------


def load_dmo_particles(nbody_path: str | Path, snapshot: int = 90) -> tuple[Array, Array]:
    """Positions (N, 3) Mpc/h and masses (N,) Msun/h of a dark-matter-only run."""
    return _arrays(Snapshot.open(Path(nbody_path), snapshot).kind(DARK))


def load_hydro_particles(hydro_path: str | Path, snapshot: int = 90) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Positions and masses of dark matter, gas and stars of a run with baryons, in that order."""
    run = Snapshot.open(Path(hydro_path), snapshot)
    return (*_arrays(run.kind(DARK)), *_arrays(run.kind(GAS)), *_arrays(run.kind(STARS)))


def load_halos(fof_file: str | Path, mass_threshold: float = 1e13, snapshot: int = 90) -> tuple[Array, Array]:
    """Centres (H, 3) Mpc/h and M200c (H,) Msun/h of the halos strictly above a mass."""
    halos = read_halos(Path(fof_file), snapshot)[0].above(mass_threshold)
    return halos.centers, halos.m200c


def _arrays(species: Species) -> tuple[Array, Array]:
    loaded = species.load()
    return loaded.positions, np.array(loaded.mass_array, dtype=np.float64)


def open_pair(roots: Mapping[str, Path], name: str, source: SourceTable, box_size: float) -> SimulationPair:
    """One simulation in its three trees, with everything verified that can be before coordinates are read.

    Args:
        roots: Folders of the trees: `nbody`, `hydro`, `fof`.
        name: The simulation's folder, such as `SB35_0`.
        source: Which snapshot, where the parameters are, what wind counts as.
        box_size: What the study says, Mpc/h.

    Raises:
        DataError: A file is missing, torn or short, or the trees do not fit together.
    """
    dmo = Snapshot.open(roots["nbody"] / name, source.snapshot)
    hydro = Snapshot.open(roots["hydro"] / name, source.snapshot)
    halos, catalogue = read_halos(roots["fof"] / name, source.snapshot)
    for files in (dmo.files, hydro.files, catalogue):
        if not abs(files.first.box_size / box_size - 1) < 1e-6:
            raise DataError(
                f"{files.first.path}: BoxSize is {files.first.box_size * LENGTH:g} ckpc/h, "
                f"system.box_size says {box_size * LENGTH:g}."
            )
    dmo.check_closure()
    hydro.check_closure()
    if not abs(hydro.mass / dmo.mass - 1) < CLOSURE:
        raise DataError(f"{name}: the run with baryons has {hydro.mass / dmo.mass:.4f} times the mass of the other.")
    match = FOLDER.fullmatch(name)
    paths = {"nbody": dmo.files.paths, "hydro": hydro.files.paths, "fof": catalogue.paths}
    return SimulationPair(
        int(match["number"]) if match else 0,
        box_size,
        dmo.kind(DARK),
        hydro.kind(DARK),
        *_baryons(hydro, source.wind),
        halos,
        _parameters(hydro.files.first, name, source, roots),
        tuple(_source_file(path, roots[tree]) for tree, files in paths.items() for path in files),
    )


def _baryons(hydro: Snapshot, wind: str) -> tuple[Species | Together, Species]:
    if wind == "stars":
        return hydro.kind(GAS), hydro.kind(STARS)
    return Together((hydro.kind(GAS), hydro.kind(STARS, "wind"))), hydro.kind(STARS, "star")


def _parameters(first: Chunk, name: str, source: SourceTable, roots: Mapping[str, Path]) -> dict[str, float]:
    table = parameter_table(source.model_copy(update={tree: str(root) for tree, root in roots.items()}))
    if table is not None:
        return table.of(name)
    return {key: first.number(*names) for key, names in _HEADER.items()}


def _source_file(path: Path, root: Path) -> SourceFile:
    return SourceFile(path.relative_to(root).as_posix(), path.stat().st_size, hash_file(path))
