"""A split as Parquet: one row per case, arrays as nested lists, so that every reader of Parquet can open it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from emulant.dataset.parquet import write_groups
from emulant.dataset.seams import Array, Dataset, Field

GROUP_BYTES = 16 << 20
"""Of the arrays of one row group: what a reader of a single case has to unpack at most."""
FILE_BYTES = 400 << 20
"""Of the arrays of one file: below what hubs and mail take as one piece."""


@dataclass(frozen=True)
class Column:
    """A column of the table, as cards describe it."""

    name: str
    dtype: str
    """float64, int64, bool, string ..."""
    dims: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = ()
    """Without the axis of cases; None: not the same in all."""
    unit: str = "1"
    optional: bool = False


@dataclass(frozen=True)
class SplitTable:
    """A split that has been written."""

    split: str
    files: tuple[Path, ...]
    rows: int


@dataclass(frozen=True)
class Layout:
    """The columns that all splits of a dataset share: what a split is without is null there."""

    schema: pa.Schema
    columns: tuple[Column, ...]

    @classmethod
    def of(cls, datasets: Sequence[Dataset]) -> Layout:
        """The union of the columns of some splits, those of the cases first."""
        tables = [_first(dataset) for dataset in datasets]
        fields = {field.name: field for table in tables for field in table.schema}
        described = {name: field for dataset in datasets for name, field in dataset.schema.items()}
        plain = [
            Column(name, _NAMES.get(str(f.type), str(f.type))) for name, f in fields.items() if name not in described
        ]
        columns = [*plain, *(_column(name, field, datasets) for name, field in described.items())]
        return cls(pa.schema([fields[column.name] for column in columns]), tuple(columns))


_NAMES = {"double": "float64", "float": "float32"}


def _first(dataset: Dataset) -> pa.Table:
    number = dataset.cases["case"].to_list()[:1]
    return _table(dataset, dataset.read(list(dataset.schema), number), number)


def _column(name: str, field: Field, datasets: Sequence[Dataset]) -> Column:
    """The shape is told where it is the same in all cases; where a `mask` says that they differ in size, it is not."""
    shapes = {
        None if "mask" in dataset.schema else _shape(dataset, name) for dataset in datasets if name in dataset.schema
    }
    shape = shapes.pop() if len(shapes) == 1 else None
    return Column(name, str(np.dtype(field.dtype)), field.dims, shape, field.unit, field.optional)


def _shape(dataset: Dataset, name: str) -> tuple[int, ...]:
    return dataset.read([name], dataset.cases["case"].to_list()[:1])[name].shape[1:]


def write_split(dataset: Dataset, layout: Layout, folder: Path, metadata: Mapping[str, str]) -> SplitTable:
    """Write a split as `SPLIT-00000-of-00001.parquet`, ...; a few megabytes are in memory at a time.

    Cases of different sizes (a field `mask` says so) are written each at its own.

    Raises:
        DataError: What is stored is not sound, or cannot be written.
    """
    numbers = dataset.cases["case"].to_list()
    size = max(1, _first(dataset).nbytes)
    per_group = 1 if "mask" in dataset.schema else max(1, min(GROUP_BYTES // size, 1000))
    per_file = max(per_group, FILE_BYTES // size)
    count = -(-len(numbers) // per_file)
    told = {name: field.described() for name, field in dataset.schema.items()}
    schema = layout.schema.with_metadata({**metadata, "fields": json.dumps(told, sort_keys=True)})
    files = tuple(
        write_groups(
            folder / f"{dataset.split}-{number:05d}-of-{count:05d}.parquet",
            schema,
            _groups(dataset, layout, numbers[number * per_file : (number + 1) * per_file], per_group),
        )
        for number in range(count)
    )
    return SplitTable(dataset.split, files, len(numbers))


def _groups(dataset: Dataset, layout: Layout, numbers: list[int], size: int) -> Iterator[pa.Table]:
    """Row groups of `size` cases; where these are single, of as many as make up one."""
    waiting: list[pa.Table] = []
    for start in range(0, len(numbers), size):
        part = numbers[start : start + size]
        table = _table(dataset, dataset.read(list(dataset.schema), part), part)
        waiting.append(pa.table([_filled(table, field) for field in layout.schema], schema=layout.schema))
        if size > 1 or sum(table.nbytes for table in waiting) >= GROUP_BYTES:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _filled(table: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    there = field.name in table.column_names
    return table.column(field.name) if there else pa.nulls(len(table), field.type)


def _table(dataset: Dataset, arrays: Mapping[str, Array], numbers: list[int]) -> pa.Table:
    cases = dataset.select(numbers).cases.to_arrow()
    plain = {name: _plain(cases.column(name)) for name in cases.column_names}
    return pa.table({**plain, **{name: nested(array) for name, array in arrays.items()}})


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text as plain text: polars' own kinds of it are not known to every reader."""
    kind = column.type
    text = pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_dictionary(kind)
    return column.cast(pa.string()) if text else column


def nested(array: Array) -> pa.Array:
    """An array (C, a, b, ...) as C nested lists."""
    values = np.ascontiguousarray(array)
    flat = pa.array(values.reshape(-1))
    for axis in range(values.ndim - 1, 0, -1):
        lists, length = int(np.prod(values.shape[:axis])), values.shape[axis]
        flat = pa.ListArray.from_arrays(pa.array(np.arange(lists + 1, dtype="<i4") * length), flat)
    return flat
