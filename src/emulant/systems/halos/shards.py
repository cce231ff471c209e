"""Files of cutouts: one HDF5 file per simulation, a chunk per sample; by option the document's NPZ files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset import hdf5
from emulant.dataset.atomic import write_npz
from emulant.dataset.environment import environment
from emulant.dataset.npz import ArrayDataset, case_row, names_in, read_arrays
from emulant.dataset.seams import Array, CaseResult, Dataset, Field
from emulant.dataset.store import Store
from emulant.errors import DataError
from emulant.systems.halos.samples import BOX, Cutout

MAPS = "Msun/h per pixel of npix"
FIELDS: Mapping[str, Field] = {
    "condition": Field("<f4", ("x", "y"), MAPS),
    "target": Field("<f4", ("dm, gas, stars", "x", "y"), MAPS),
    "large_scale": Field("<f4", ("scale", "x", "y"), MAPS),
    "params": Field("<f8", ("parameter",)),
    "halo_mass": Field("<f8", (), "Msun/h"),
    "halo_center": Field("<f8", ("axis",), "Mpc/h"),
    "rotation": Field("<f8", ("x'", "axis")),
    "simulation": Field("<i4", ()),
    "halo": Field("<i4", ()),
    "rotation_index": Field("<i4", ()),
}
DOCUMENTED = ("condition", "target", "large_scale", "params", "halo_mass", "halo_center")
"""The keys of the source document's NPZ files."""
SAMPLE = re.compile(r"sim_(\d+)_halo_(\d+)_rot_(-?\d+)\.npz")


def write(result: CaseResult, folder: Path, layout: str) -> list[Path]:
    """Write the cutouts of one simulation: `sim_3.hdf5`; with the layout `files` also an NPZ per sample."""
    from hdf5plugin import Zstd

    options = dict(Zstd(clevel=3))
    maps = {"condition", "target", "large_scale"}
    datasets = {
        name: hdf5.Stored(
            np.asarray(result.arrays[name], dtype=kind.dtype),
            {"unit": kind.unit, **({"names": json.dumps(result.record["names"])} if name == "params" else {})},
            1 if name in maps else None,
            options if name in maps else {},
        )
        for name, kind in FIELDS.items()
    }
    if BOX in result.arrays:
        about = {"unit": MAPS, "maps": "dark matter only, dm, gas, stars; node i at i pixels"}
        datasets[BOX] = hdf5.Stored(np.asarray(result.arrays[BOX], dtype="<f4"), about, 1, options)
    attributes = {
        **result.record["geometry"],
        "group_key": result.record["group_key"],
        "sources": json.dumps(result.record["sources"], sort_keys=True),
        "zeros": json.dumps(result.record["zeros"], sort_keys=True),
        "emulant": environment()["emulant"],
    }
    path = hdf5.write(folder / f"sim_{result.case}.hdf5", datasets, attributes)
    return [path, *write_samples(result.arrays, folder)] if layout == "files" else [path]


def write_samples(arrays: Mapping[str, Array], folder: Path) -> list[Path]:
    """One NPZ per sample, with the keys of the source document."""
    written = []
    for row in range(len(arrays["halo"])):
        simulation, halo, turn = (int(arrays[name][row]) for name in ("simulation", "halo", "rotation_index"))
        path = folder / f"sim_{simulation}" / f"sim_{simulation}_halo_{halo}_rot_{turn}.npz"
        written.append(write_npz(path, {name: arrays[name][row] for name in DOCUMENTED}))
    return written


@dataclass(frozen=True)
class HalosDataset(ArrayDataset):
    """Cutouts of a split."""

    def read(self, fields: Sequence[str], cases: Sequence[int] | None = None) -> dict[str, Array]:
        wanted = self.cases["case"].to_list() if cases is None else list(cases)
        if not wanted:
            raise DataError(f"split `{self.split}` has no cutout to read.", "Lower system.mass_threshold.")
        by_file: dict[Path, list[int]] = {}
        for place, case in enumerate(wanted):
            by_file.setdefault(self.files[case][0], []).append(place)
        found: dict[str, Array] = {}
        for path, places in by_file.items():
            rows = [self.files[wanted[place]][1] for place in places]
            for name, array in _rows(path, fields, rows).items():
                if name not in found:
                    found[name] = np.empty((len(wanted), *array.shape[1:]), dtype=array.dtype)
                if array.shape[1:] != found[name].shape[1:]:
                    raise DataError(f"{path}: `{name}` has shape {array.shape[1:]}, others {found[name].shape[1:]}.")
                found[name][places] = array
        return found


def _rows(path: Path, fields: Sequence[str], rows: Sequence[int | None]) -> dict[str, Array]:
    """The named fields of some samples of one file, in that order."""
    if path.suffix == ".npz":
        return {name: array[None] for name, array in read_arrays(path, fields).items()}
    numbers = np.array(rows, dtype=np.int64)
    low, high = int(numbers.min()), int(numbers.max()) + 1
    with hdf5.opened(path) as file:
        if high - low <= 2 * len(numbers):
            return {name: hdf5.read(file, path, name, slice(low, high))[numbers - low] for name in fields}
        return {
            name: np.concatenate([hdf5.read(file, path, name, slice(row, row + 1)) for row in numbers])
            for name in fields
        }


@dataclass
class _Found:
    """What the files of a split say, file by file."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    files: dict[int, tuple[Path, int | None]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    geometry: dict[str, Any] = field(default_factory=dict)


def open_split(folder: Path, simulations: Sequence[int] | None) -> Dataset:
    """The cutouts of a split: of the simulations that are done and asked for, or all of a tree made elsewhere.

    Raises:
        DataError: There is none, or the files do not belong together.
    """
    found = _Found()
    if Store(folder).is_ours:
        for path in _finished(folder, simulations):
            _look_into(path, folder.name, found)
        schema: Mapping[str, Field] = FIELDS
    else:
        for path in sorted(folder.glob("sim_*/*.npz")):
            _take(path, folder.name, found)
        schema = {name: FIELDS[name] for name in DOCUMENTED}
    if not found.rows:
        raise DataError(
            f"{folder}: holds no cutout.", "`emulant generate` makes them; is system.mass_threshold too high?"
        )
    known = {**found.geometry, "parameters": found.names, "step": 1.0}
    return HalosDataset(folder.name, pl.DataFrame(found.rows).sort("case"), schema, ("target",), known, found.files)


def _finished(folder: Path, simulations: Sequence[int] | None) -> Iterator[Path]:
    for sidecar in Store(folder).sidecars():
        if any(
            case.status != "ok" or (simulations is not None and case.case not in simulations) for case in sidecar.cases
        ):
            continue
        yield from (folder / file.path for file in sidecar.files if file.path.endswith(".hdf5"))


def _look_into(path: Path, split: str, found: _Found) -> None:
    """Take up the samples of one file, without their maps."""
    with hdf5.opened(path) as file:
        columns = {name: hdf5.read(file, path, name) for name in ("simulation", "halo", "rotation_index", "params")}
        names = tuple(json.loads(hdf5.dataset_of(file, path, "params").attrs["names"]))
        geometry = {name: file.attrs[name] for name in ("box_size", "npix", "resolution", "scales")}
        group_key = str(file.attrs["group_key"])
    plain = {name: np.asarray(value).tolist() for name, value in geometry.items()}
    if found.geometry and (plain != found.geometry or names != found.names):
        raise DataError(f"{path}: has another geometry or other parameters than the files before it.")
    found.geometry, found.names = plain, names
    for row in range(len(columns["halo"])):
        cutout = Cutout(*(int(columns[name][row]) for name in ("simulation", "halo", "rotation_index")))
        values = dict(zip(names, columns["params"][row].tolist(), strict=True))
        found.rows.append(case_row(split, cutout.case, {"group_key": group_key, "parameters": values}))
        found.files[cutout.case] = (path, row)


def _take(path: Path, split: str, found: _Found) -> None:
    """Take up one NPZ file that was made elsewhere; simulations that share a box cannot be told."""
    match = SAMPLE.fullmatch(path.name)
    if match is None:
        return
    missing = sorted(set(DOCUMENTED) - set(names_in(path)))
    if missing:
        raise DataError(f"{path}: has no array `{missing[0]}`.", "See `emulant export --format large-scale`.")
    cutout = Cutout(*(int(number) for number in match.groups()))
    params = read_arrays(path, ["params"])["params"]
    found.names = tuple(f"p{place}" for place in range(len(params)))
    values = dict(zip(found.names, params.astype(float).tolist(), strict=True))
    found.rows.append(case_row(split, cutout.case, {"group_key": f"sim {match[1]}", "parameters": values}))
    found.files[cutout.case] = (path, None)
