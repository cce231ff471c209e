"""The swarm's files: one folder per case, with the keys of the source document, written and read.

`train_000/{traj,density}.npz, metadata.json`, in test splits `order_params.npz` as well. All arrays are little-endian
and open with `allow_pickle=False`; `config` is a JSON text. Trees made elsewhere to the same document open, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset.atomic import write_json, write_npz
from emulant.dataset.npz import ArrayDataset, case_row, names_in, read_arrays
from emulant.dataset.seams import Array, CaseResult, Field, Product
from emulant.dataset.store import Store
from emulant.errors import DataError

TRAJECTORY, DENSITY, ORDER, METADATA = "traj.npz", "density.npz", "order_params.npz", "metadata.json"

FIELDS: Mapping[str, Field] = {
    "positions": Field("<f8", ("time", "particle", "xy"), "length"),
    "headings": Field("<f8", ("time", "particle"), "rad"),
    "rho": Field("<f8", ("time", "y", "x"), "particles per area"),
    "times": Field("<f8", ("time",), "s"),
    "x_edges": Field("<f8", ("x edge",), "length"),
    "y_edges": Field("<f8", ("y edge",), "length"),
    "extent": Field("<f8", ("xmin, xmax, ymin, ymax",), "length"),
    "polarization": Field("<f8", ("time",)),
    "mean_speed": Field("<f8", ("time",), "length/s"),
    "nematic": Field("<f8", ("time",)),
}
_FILE_OF = {
    **dict.fromkeys(("positions", "headings", "times"), TRAJECTORY),
    **dict.fromkeys(("rho", "x_edges", "y_edges", "extent"), DENSITY),
    **dict.fromkeys(("polarization", "mean_speed", "nematic"), ORDER),
}
_REQUIRED = ("positions", "times", "rho")

_PREFIX = {"training": "train"}
_CASE_FOLDER = re.compile(r"[a-z_]+_(\d+)")


def case_folder(split: str, case: int) -> str:
    """`train_000` for case 0 of `training`, `test_000`, `test_long_000`."""
    return f"{_PREFIX.get(split, split)}_{case:03d}"


def write_case(split: str, result: CaseResult, folder: Path) -> list[Path]:
    """Write one case below its split's folder; the files written."""
    target = folder / case_folder(split, result.case)
    if target.is_symlink():  # never write through a link to somewhere else
        target.unlink()
    record = dict(result.record)
    config = np.array(json.dumps(record["config"], sort_keys=True))
    names = [name for name in FIELDS if name in result.arrays and (_FILE_OF[name] != ORDER or split != "training")]
    written = []
    for file in dict.fromkeys(_FILE_OF[name] for name in names):
        arrays: dict[str, Any] = {name: result.arrays[name] for name in names if _FILE_OF[name] == file}
        if file == TRAJECTORY:
            arrays["config"] = config
        else:
            arrays["times"] = result.arrays["times"]
        written.append(write_npz(target / file, arrays))
    return [*written, write_json(target / METADATA, record)]


def write_cases(split: str, product: Product, folder: Path) -> list[Path]:
    return [path for result in product for path in write_case(split, result, folder)]


@dataclass(frozen=True)
class SwarmDataset(ArrayDataset):
    """A split of swarm cases; the fields of one case lie in up to three files."""

    def load(self, path: Path, fields: Sequence[str]) -> dict[str, Array]:
        arrays: dict[str, Array] = {}
        for file in dict.fromkeys(_FILE_OF[name] for name in fields):
            arrays |= read_arrays(path / file, [name for name in fields if _FILE_OF[name] == file])
        for name, array in arrays.items():
            self._check(path / _FILE_OF[name], name, array)
        return arrays

    def _check(self, path: Path, name: str, array: Array) -> None:
        dims = FIELDS[name].dims
        if array.dtype.kind not in "fiu" or array.ndim != len(dims):
            raise DataError(f"{path}: `{name}` is {array.dtype} {array.shape}, not numbers along {', '.join(dims)}.")
        if name == "rho" and array.shape[1:] != (self.geometry["ny"], self.geometry["nx"]):
            raise DataError(
                f"{path}: `rho` has a grid of {array.shape[1:]}, the study says "
                f"({self.geometry['ny']}, {self.geometry['nx']}).",
                "Give the study that the data were made with.",
            )
        if not np.isfinite(array).all():
            raise DataError(f"{path}: `{name}` has {int((~np.isfinite(array)).sum())} numbers that are not finite.")


def open_split(folder: Path, geometry: Mapping[str, Any]) -> SwarmDataset:
    """The cases of a split: those that are done, or in a tree made elsewhere all that are there.

    Raises:
        DataError: There is no case, or a file does not hold what the document says.
    """
    folders = _finished(folder) if Store(folder).is_ours else _found(folder)
    if not folders:
        raise DataError(f"{folder}: holds no finished case.", "`emulant generate` makes them.")
    rows = [_row(folder.name, case, path) for case, path in folders.items()]
    # Our own cases have all arrays; in a tree made elsewhere only those count that every case has.
    looked_at = list(folders.values())[:1] if Store(folder).is_ours else list(folders.values())
    present = set.intersection(*(_present(path) for path in looked_at))
    missing = [name for name in _REQUIRED if name not in present]
    if missing:
        raise DataError(f"{folder}: not every case has an array `{missing[0]}` in {_FILE_OF[missing[0]]}.")
    schema = {name: field for name, field in FIELDS.items() if name in present}
    files: dict[int, tuple[Path, int | None]] = {case: (path, None) for case, path in folders.items()}
    return SwarmDataset(folder.name, pl.DataFrame(rows), schema, ("rho",), geometry, files)


def _finished(folder: Path) -> dict[int, Path]:
    cases = (case for sidecar in Store(folder).sidecars() for case in sidecar.cases if case.status == "ok")
    return {case.case: folder / case_folder(folder.name, case.case) for case in sorted(cases, key=lambda c: c.case)}


def _found(folder: Path) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        match = _CASE_FOLDER.fullmatch(path.name)
        if match and path.is_dir():
            if int(match[1]) in found:
                raise DataError(f"{path}: is case {int(match[1])}, and so is {found[int(match[1])].name}.")
            found[int(match[1])] = path
    return found


def _present(path: Path) -> set[str]:
    return {name for file in set(_FILE_OF.values()) if (path / file).is_file() for name in names_in(path / file)}


def _row(split: str, case: int, path: Path) -> dict[str, Any]:
    return case_row(split, case, {"family": str(read_metadata(path).get("ic_type", "unknown"))})


def read_metadata(path: Path) -> dict[str, Any]:
    """`metadata.json` of a case folder; empty if there is none.

    Raises:
        DataError: It is damaged.
    """
    try:
        value = json.loads((path / METADATA).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (json.JSONDecodeError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path / METADATA}: is not JSON: {error}.", "`emulant generate` writes it anew.") from error
    if not isinstance(value, dict):
        raise DataError(f"{path / METADATA}: is not a JSON object.", "`emulant generate` writes it anew.")
    return value


def document_of(root: Path) -> dict[str, Any] | None:
    """The study of a tree that was made elsewhere, from its metadata.json files; None if they do not say.

    Both our tables (`system`, `density`) and the document's (`sim`, `model`, `params`, `noise`) are understood.
    """
    found = {split: _found(root / split) for split in ("training", "test", "test_long") if (root / split).is_dir()}
    promised = {split: max(cases, default=-1) + 1 for split, cases in found.items()}
    splits = {"training": 1, "test": 0, "test_long": 0} | promised
    for path in (path for cases in found.values() for path in cases.values()):
        config = read_metadata(path).get("config")
        if isinstance(config, dict):
            return {**_tables_of(config, path), "splits": splits, "surrogates": {"spectral": {}, "pod_mvar": {}}}
    return None


def _tables_of(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    try:
        if "system" in config:
            return {"system": {"name": "swarm", **config["system"]}, "density": dict(config.get("density", {}))}
        system = {
            **config["sim"],
            "speed": config["model"]["speed"],
            "R": config["params"]["R"],
            "noise": config["noise"],
        }
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path / METADATA}: `config` is not the document's ({error}).", "Give the study by --study."
        ) from error
    ny, nx = read_arrays(path / DENSITY, ["rho"])["rho"].shape[1:]
    return {"system": {"name": "swarm", **system}, "density": {"nx": nx, "ny": ny}}
