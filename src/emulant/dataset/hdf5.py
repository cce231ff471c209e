"""HDF5 files that are whole or not there, and whose damage is told by file and dataset.

Equal content gives equal bytes: object times are not tracked, and names are written in the order given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 (registers the compressions of the field)
import numpy as np

from emulant.dataset.atomic import replacing
from emulant.dataset.seams import Array
from emulant.errors import DataError

MEND = "Write it again; `emulant generate` makes a shard of a run anew."


@dataclass(frozen=True)
class Stored:
    """One dataset to be written: `chunk` rows to a chunk (None: contiguous), `options` such as a compression."""

    array: Array
    attributes: Mapping[str, Any] = field(default_factory=dict)
    chunk: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file for reading; nothing but its superblock is read yet.

    Raises:
        DataError: The file is missing, torn or not HDF5.
    """
    if not path.is_file():
        raise DataError(f"{path}: is missing.", MEND)
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise DataError(f"{path}: is not a readable HDF5 file: {_first_line(error)}.", MEND) from error
    with file:
        yield file


def read(file: h5py.File, path: Path, name: str, rows: slice | None = None) -> Array:
    """A dataset, or a slice of its rows: never single rows one by one, which is a thousand times slower.

    Raises:
        DataError: It is not there, not an array, or its bytes are damaged.
    """
    dataset = dataset_of(file, path, name)
    try:
        return np.asarray(dataset[() if rows is None else rows])
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path}: dataset `{name}` is damaged: {_first_line(error)}.", MEND) from error


def dataset_of(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    """The dataset of that name.

    Raises:
        DataError: There is none.
    """
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise DataError(f"{path}: has no dataset `{name}` (it has: {', '.join(file)}).")
    return found


def write(
    path: Path,
    datasets: Mapping[str, Stored | Array],
    attributes: Mapping[str, Any] | None = None,
    groups: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Write a file; it gets its name when it is complete. A name may be a path, such as `PartType1/Masses`.

    Args:
        path: The file.
        datasets: Name -> array.
        attributes: Of the file.
        groups: Name -> attributes, of groups that are there for them, such as `Header`.

    Raises:
        DataError: The operating system refused.
        TypeError: An array has Python objects in it.
    """
    with replacing(path) as partial, h5py.File(partial, "w", libver="latest", locking=False) as file:
        _describe(file, attributes or {})
        for name, described in (groups or {}).items():
            _describe(file.create_group(name), described)
        for name, value in datasets.items():
            _write(file, name, value if isinstance(value, Stored) else Stored(np.asarray(value)))
    return path


def _write(file: h5py.File, name: str, stored: Stored) -> None:
    array = np.asarray(stored.array)
    if array.dtype.hasobject:
        raise TypeError(f"{name}: has Python objects in it, which emulant never writes")
    chunks = (min(stored.chunk, len(array)), *array.shape[1:]) if stored.chunk and array.size else None
    options = dict(stored.options) if chunks else {}
    made = file.create_dataset(name, data=array, chunks=chunks, track_times=False, **options)
    _describe(made, stored.attributes)


def _describe(where: Any, attributes: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> None:
    for name, value in dict(attributes).items():
        where.attrs[name] = value


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(". ")
