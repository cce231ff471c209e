"""The store: two Parquet files per shard, `frames_ID.parquet` and `scenes_ID.parquet`.

`frames` is long: a row per body and frame, ordered by scene, body, frame, and a row group per scene. Its columns are
whole numbers of the quanta of `scene.SCALE`, stored as differences (DELTA_BINARY_PACKED). `scenes` has a row per
scene: its number, seed, difficulty, how many objects, header (JSON), the sha256 of its integers, and its beginnings of
contact, three numbers each (frame, body, body; -1: something fixed).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from emulant.dataset import parquet
from emulant.dataset.seams import Array, Product, Shard
from emulant.errors import DataError
from emulant.systems.scenes.scene import SCALE

FORMAT, FORMAT_VERSION = "emulant.scenes", 1
QUANTITIES = ("x", "y", "angle", "vx", "vy", "angular_velocity")
"""Columns of the state, in the order of its last axis."""
UNITS = dict(zip(QUANTITIES, ("0.01 px", "0.01 px", "1e-4 rad", "0.01 px/s", "0.01 px/s", "1e-3 rad/s"), strict=True))
_METADATA = {
    "format": FORMAT,
    "format_version": str(FORMAT_VERSION),
    "quanta": json.dumps(UNITS),
}
FRAMES = pa.schema([(name, pa.int32()) for name in ("scene", "object", "frame", *QUANTITIES)], metadata=_METADATA)
SCENES = pa.schema(
    [
        ("scene", pa.int64()),
        ("type", pa.string()),
        ("seed", pa.int64()),
        ("difficulty", pa.int32()),
        ("object_count", pa.int32()),
        ("header", pa.string()),
        ("sha256", pa.string()),
        ("contacts", pa.list_(pa.int32())),
    ],
    metadata=_METADATA,
)


def integers(state: Array) -> NDArray[np.int32]:
    """A stored state (..., 6) as the whole numbers that it is made of."""
    whole: NDArray[np.int32] = np.rint(state * SCALE).astype("<i4")
    return whole


def digest(whole: NDArray[np.int32]) -> str:
    """sha256 of the integers (T, N, 6) of a scene."""
    return hashlib.sha256(np.ascontiguousarray(whole).data).hexdigest()


def write_shard(shard: Shard, product: Product, folder: Path) -> list[Path]:
    """Write the scenes of a shard; the files written. Every record has the `header` of its scene."""
    if not product:
        return []
    numbers = [integers(result.arrays["state"]) for result in product]
    headers = [result.record["header"] for result in product]
    frames, scenes = paths(folder, shard.id)
    names = [header["case"].rpartition("/")[2] for header in headers]
    tables = (_frames(int(name), whole) for name, whole in zip(names, numbers, strict=True))
    parquet.write_groups(frames, FRAMES, tables, delta=FRAMES.names)
    rows = {
        "scene": [int(name) for name in names],
        "type": [header["scenario_type"] for header in headers],
        "seed": [header["seed"] for header in headers],
        "difficulty": [header["difficulty"] for header in headers],
        "object_count": [header["object_count"] for header in headers],
        "header": [orjson.dumps(header).decode() for header in headers],
        "sha256": [digest(whole) for whole in numbers],
        "contacts": [result.arrays["contacts"].ravel() for result in product],
    }
    table = pl.DataFrame(rows).to_arrow().cast(SCENES)  # `pa.table` would import pandas, too
    parquet.write_groups(scenes, SCENES, [table], dictionary=("type",))
    return [frames, scenes]


def paths(folder: Path, shard_id: str) -> tuple[Path, Path]:
    """The two files of a shard."""
    return folder / f"frames_{shard_id}.parquet", folder / f"scenes_{shard_id}.parquet"


def _frames(scene: int, whole: NDArray[np.int32]) -> pa.Table:
    frames, bodies, _ = whole.shape
    columns = np.ascontiguousarray(whole.transpose(2, 1, 0)).reshape(6, -1)
    keys = (
        np.full(bodies * frames, scene, np.int32),
        np.repeat(np.arange(bodies, dtype=np.int32), frames),
        np.tile(np.arange(1, frames + 1, dtype=np.int32), bodies),
    )
    return pa.Table.from_arrays([_column(values) for values in (*keys, *columns)], schema=FRAMES)


def _column(values: NDArray[np.int32]) -> pa.Array:
    # `pa.array` would import pandas where that is installed, half a second for nothing
    return pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(values)])


# -- reading ------------------------------------------------------------------------------------------------------


def read_scenes(path: Path) -> list[dict[str, Any]]:
    """The rows of a `scenes` file, headers still as JSON text, without contacts.

    Raises:
        DataError: The file is missing or damaged.
    """
    with parquet.opened(path) as file:
        _check_version(file, path)
        names = [name for name in SCENES.names if name != "contacts"]
        return parquet.read_group(file, path, 0, names).to_pylist() if file.num_row_groups else []


def read_contacts(path: Path, row: int) -> NDArray[np.int32]:
    """The beginnings of contact (E, 3) of one row of a `scenes` file.

    Raises:
        DataError: The file is missing or damaged.
    """
    with parquet.opened(path) as file:
        values = parquet.read_group(file, path, 0, ["contacts"])["contacts"][row].values
    contacts: NDArray[np.int32] = np.asarray(np.from_dlpack(values)).reshape(-1, 3)
    return contacts


def read_state(file: pq.ParquetFile, path: Path, group: int, bodies: int) -> NDArray[np.int32]:
    """The integers (T, N, 6) of one scene, out of an opened `frames` file.

    Raises:
        DataError: They are damaged, have empty cells, or are not whole frames of that many bodies.
    """
    table = parquet.read_group(file, path, group, QUANTITIES)
    if any(column.null_count for column in table.columns):
        raise DataError(f"{path}: row group {group} has empty cells.", parquet.MEND)
    if bodies < 1 or len(table) % bodies:
        raise DataError(f"{path}: row group {group} has {len(table)} rows for {bodies} objects.", parquet.MEND)
    frames = len(table) // bodies
    return np.stack([_values(table[name]).reshape(bodies, frames).T for name in QUANTITIES], axis=2)


def _values(column: pa.ChunkedArray) -> NDArray[np.int32]:
    # `to_numpy` would import pandas where that is installed, half a second for nothing
    whole: NDArray[np.int32] = np.concatenate([np.from_dlpack(chunk) for chunk in column.chunks])
    return whole


def _check_version(file: pq.ParquetFile, path: Path) -> None:
    metadata = file.schema_arrow.metadata or {}
    if metadata.get(b"format", b"").decode(errors="replace") != FORMAT:
        raise DataError(f"{path}: is not a file of scenes.")
    version = metadata.get(b"format_version", b"").decode(errors="replace")
    if version != str(FORMAT_VERSION):
        raise DataError(
            f"{path}: has format version {version}; this emulant reads {FORMAT_VERSION}.", "Update emulant."
        )
