"""Datasets of NPZ files: reading one safely, and the default layout of one NPZ per shard."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset.atomic import write_npz
from emulant.dataset.batching import in_batches
from emulant.dataset.seams import Array, Dataset, Field, Product, Shard
from emulant.dataset.store import Store
from emulant.errors import DataError, EmulantError

MEND = "`emulant generate`, `train` and `evaluate` make what is missing of a run's data, models and predictions."

BOMB = 1 << 28
"""Bytes from which an entry that is a hundred times smaller in its file is taken for an attack."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An NPZ file whose entries are read when they are asked for; nothing is ever unpickled.

    Raises:
        DataError: The file is missing, torn or foreign; an entry is damaged or made of Python objects.
    """
    try:
        # numpy leaves a file open that it was given by name and could not read
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: is a single array, not an NPZ file.")
            yield arrays
    except FileNotFoundError:
        raise DataError(f"{path}: is missing.", MEND) from None
    except EmulantError:
        raise
    except Exception as error:  # damaged bytes end in many kinds: zip, zlib, struct, header syntax, memory
        why = f" ({error})" if isinstance(error, zipfile.BadZipFile | zlib.error | EOFError | OSError) else ""
        raise DataError(f"{path}: is damaged, or not an NPZ file{why}.") from error


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, Array]:
    """The named arrays of an NPZ file; nothing else of the file is touched.

    Raises:
        DataError: The file is missing, torn or foreign, or an array is missing, damaged or made of Python objects.
    """
    with opened(path) as file:
        missing = [name for name in names if name not in file.files]
        if missing:
            raise DataError(f"{path}: has no array `{missing[0]}` (it has: {', '.join(file.files) or 'none'}).")
        return {name: _entry(file, name, path) for name in names}


def _entry(file: Any, name: str, path: Path) -> Array:
    entry = file.zip.getinfo(f"{name}.npy")
    if entry.file_size > BOMB and entry.file_size > 100 * max(entry.compress_size, 1):
        raise DataError(f"{path}: array `{name}` would unfold from {entry.compress_size} to {entry.file_size} bytes.")
    if header(file, name).hasobject:
        raise DataError(f"{path}: array `{name}` is made of Python objects, which emulant does not load.")
    array: Array = file[name]
    return array


def header(file: Any, name: str) -> np.dtype[Any]:
    """The type of an entry of an opened NPZ, without reading the entry."""
    with file.zip.open(f"{name}.npy") as entry:
        version = np.lib.format.read_magic(entry)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        dtype: np.dtype[Any] = read(entry)[2]
    return dtype


def names_in(path: Path) -> tuple[str, ...]:
    """The arrays that an NPZ file has.

    Raises:
        DataError: The file is missing, torn or foreign.
    """
    with opened(path) as file:
        return tuple(file.files)


def write_shard(shard: Shard, product: Product, folder: Path) -> list[Path]:
    """`shard_ID.npz`: every array stacked over the cases, beside `case` numbers and `records` (JSON)."""
    if not product:
        return []
    arrays = {name: np.stack([result.arrays[name] for result in product]) for name in product[0].arrays}
    records = [json.dumps(dict(result.record), sort_keys=True) for result in product]
    numbers = np.array([result.case for result in product], dtype="<i8")
    path = write_npz(folder / f"shard_{shard.id}.npz", {"case": numbers, "records": np.array(records), **arrays})
    return [path]


@dataclass(frozen=True)
class ArrayDataset:
    """A dataset whose cases all have arrays of the same shapes; `load` fetches the fields of some cases."""

    split: str
    cases: pl.DataFrame
    schema: Mapping[str, Field]
    targets: tuple[str, ...]
    geometry: Mapping[str, Any]
    files: Mapping[int, tuple[Path, int | None]]
    """Case -> its file, and its row in it (None: the file holds just this case)."""

    def __len__(self) -> int:
        return len(self.cases)

    def read(self, fields: Sequence[str], cases: Sequence[int] | None = None) -> dict[str, Array]:
        wanted = self.cases["case"].to_list() if cases is None else list(cases)
        if not wanted:
            raise DataError(f"split `{self.split}` has no case to read.", "See `emulant status`.")
        rows: dict[str, list[Array]] = {name: [] for name in fields}
        loaded: tuple[Path, dict[str, Array]] | None = None
        for case in wanted:
            path, row = self.files[case]
            if loaded is None or loaded[0] != path:
                loaded = (path, self.load(path, fields))
            for name in fields:
                rows[name].append(loaded[1][name] if row is None else loaded[1][name][row])
        return {name: self._stack(name, arrays, wanted) for name, arrays in rows.items()}

    def load(self, path: Path, fields: Sequence[str]) -> dict[str, Array]:
        """The named fields of one file."""
        return read_arrays(path, fields)

    def _stack(self, name: str, arrays: Sequence[Array], cases: Sequence[int]) -> Array:
        for case, array in zip(cases, arrays, strict=True):
            if array.shape != arrays[0].shape:
                raise DataError(
                    f"split `{self.split}`: `{name}` of case {case} has shape {array.shape}, "
                    f"that of case {cases[0]} {arrays[0].shape}.",
                    "All cases of a split have one shape.",
                )
        return np.stack(arrays)

    def batches(
        self, size: int, fields: Sequence[str], *, seed: int | None = None, epoch: int = 0
    ) -> Iterator[dict[str, Array]]:
        return in_batches(self.read, self.cases["case"].to_numpy(), size, fields, seed, epoch)

    def select(self, cases: Sequence[int]) -> Dataset:
        wanted = pl.DataFrame({"case": list(cases)}, schema={"case": pl.Int64})
        return replace(self, cases=wanted.join(self.cases, on="case", how="inner", maintain_order="left"))


def open_split(
    folder: Path, fields: Mapping[str, Field], targets: Sequence[str], geometry: Mapping[str, Any]
) -> Dataset:
    """The split that `write_shard` wrote: the `ok` cases of all finished shards.

    Raises:
        DataError: The folder has no finished shard, or a file is damaged.
    """
    rows: list[dict[str, Any]] = []
    files: dict[int, tuple[Path, int | None]] = {}
    for sidecar in Store(folder).sidecars():
        for file in sidecar.files:
            arrays = read_arrays(folder / file.path, ["case", "records"])
            for row, (case, record) in enumerate(zip(arrays["case"].tolist(), arrays["records"].tolist(), strict=True)):
                files[case] = (folder / file.path, row)
                rows.append(case_row(folder.name, case, json.loads(record)))
    if not rows:
        raise DataError(f"{folder}: holds no finished case.", "`emulant generate` makes them.")
    return ArrayDataset(folder.name, pl.DataFrame(rows).sort("case"), fields, tuple(targets), geometry, files)


def case_row(split: str, case: int, record: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `Dataset.cases`: the record's `family` and `group_key`, and a column for each of its `parameters`.

    Surrogates see the parameters of a case, so nothing else of a record gets among them.
    """
    row = {"case": case, "split": split, "group_key": f"{split}/{case}", "family": "all", "status": "ok"}
    named = {key: record[key] for key in ("group_key", "family") if key in record}
    return {**row, **named, **record.get("parameters", {})}
