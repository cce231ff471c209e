"""HDF5 files of cells: how a shard is written, and how any file of four-fluxes is read, ours or the user's.

Two orders of the components occur: (sim, 4, 2, NF), which we write, and (sim, 2, NF, 4). NF is 2 or 3, so that the
shape tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from emulant.dataset import hdf5
from emulant.dataset.hdf5 import Stored
from emulant.dataset.seams import Product, Shard
from emulant.errors import DataError
from emulant.systems.flavor.fields import DIAGNOSTICS, F4_FINAL, F4_INITIAL, F4_STDDEV, FIELDS

Array = NDArray[Any]

FORMAT, FORMAT_VERSION = "emulant.flavor", 1
LAYOUT = "sim, xyzt, matter, flavor"
CHUNK = 8192
"""Rows of a chunk, and of what is read at once."""
FOUR_FLUXES = (F4_INITIAL, F4_FINAL, F4_STDDEV)
NAME = "S32"


def write_shard(shard: Shard, product: Product, folder: Path) -> list[Path]:
    """Write the cases of a shard to `shard_ID.h5`; a dataset that no case has is left out, NaN stands for the rest."""
    if not product:
        return []
    columns: dict[str, Stored | Array] = {"nf": np.array(product[0].arrays[F4_INITIAL].shape[-1])}
    for name, field in {**FIELDS, **DIAGNOSTICS}.items():
        given = [result.arrays.get(name) for result in product]
        example = next((array for array in given if array is not None), None)
        if example is not None:
            rows = [np.full(np.shape(example), np.nan) if array is None else array for array in given]
            columns[name] = Stored(np.stack(rows).astype(field.dtype), {"unit": field.unit}, CHUNK)
    columns["case"] = Stored(np.array([result.case for result in product], "<i8"), {}, CHUNK)
    for name in ("family", "outcome", "group_key"):
        values = [str(result.record.get(name, "")) for result in product]
        columns[name] = Stored(np.array(values, NAME), {}, CHUNK)
    attributes = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "emulant": version("emulant"),
        "layout": LAYOUT,
        "components": "x, y, z, t; t is the number density",
        "split": shard.split,
    }
    return [hdf5.write(folder / f"shard_{shard.id}.h5", columns, attributes)]


# -- reading ------------------------------------------------------------------------------------------------------


def components_last(dataset: h5py.Dataset, path: Path) -> bool:
    """Whether the components are the last axis of a dataset of four-fluxes.

    Raises:
        DataError: It is neither (sim, 4, 2, NF) nor (sim, 2, NF, 4).
    """
    shape = dataset.shape
    if len(shape) == 4 and shape[1:3] == (4, 2) and shape[3] in (2, 3):
        return False
    if len(shape) == 4 and shape[1] == 2 and shape[2] in (2, 3) and shape[3] == 4:
        return True
    name = str(dataset.name).lstrip("/")
    raise DataError(
        f"{path}: dataset `{name}` has shape {shape}; wanted is (sim, 4, 2, NF) or (sim, 2, NF, 4), NF 2 or 3."
    )


def four_fluxes(array: Array, *, last: bool) -> Array:
    """Four-fluxes as (sim, 4, 2, NF) float64, whichever way they were stored."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 1) if last else array, dtype="<f8")


def read_columns(file: h5py.File, path: Path, names: Sequence[str], rows: slice) -> dict[str, Array]:
    """Rows of the named datasets; four-fluxes as (sim, 4, 2, NF).

    Raises:
        DataError: One is missing, damaged, or of a shape that it cannot have.
    """
    columns = {}
    for name in names:
        dataset = hdf5.dataset_of(file, path, name)
        if name in FOUR_FLUXES:
            last = components_last(dataset, path)
            columns[name] = four_fluxes(hdf5.read(file, path, name, rows), last=last)
        else:
            columns[name] = hdf5.read(file, path, name, rows)
    return columns


def row_count(file: h5py.File, path: Path, names: Sequence[str]) -> int:
    """Rows of the named datasets.

    Raises:
        DataError: One is missing, or they differ in length.
    """
    lengths = {}
    for name in names:
        dataset = hdf5.dataset_of(file, path, name)
        if name not in FOUR_FLUXES and dataset.ndim != 1:
            raise DataError(f"{path}: dataset `{name}` has shape {dataset.shape}; wanted is (sim,).")
        lengths[name] = len(dataset)
    longest = max(lengths.values())
    for name, length in lengths.items():
        if length != longest:
            raise DataError(f"{path}: dataset `{name}` has {length} rows, others have {longest}.")
    return longest


def pieces(rows: int, size: int = CHUNK) -> Iterator[slice]:
    """All rows in slices that are read at once."""
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))
