"""Blocks: the simulations that begin in one row group, read at once and looked at before anybody trains on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import DTypeLike

from emulant.dataset import parquet
from emulant.dataset.seams import Array
from emulant.errors import DataError

TIME_TOLERANCE = 1e-9
"""s; what a time made elsewhere may be off k·dt."""
_NUMERIC = (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal, pa.types.is_null)
"""Types of a column that is read as numbers; a text of digits is not: other readers would not compute with it."""
MEND = "`emulant validate` lists all that is wrong."


@dataclass(frozen=True, eq=False)
class Block:
    """Some of the simulations that begin in one row group: rows of the index, in the order in which they are stored.

    In files that were made elsewhere the last of them may run on into the row groups that follow.
    """

    path: Path
    group: int
    rows: pl.DataFrame

    @cached_property
    def lengths(self) -> Array:
        """(n,) samples of each simulation."""
        return self.rows["length"].to_numpy()

    @cached_property
    def starts(self) -> Array:
        """(n,) where each simulation begins in the arrays that `read` gives."""
        return np.cumsum(self.lengths) - self.lengths

    def read(self, columns: Sequence[str]) -> dict[str, Array]:
        """Columns as they are stored, each (Σ lengths,): simulation after simulation.

        Raises:
            DataError: The file is damaged; or a time that is not a multiple of dt, a number that is not finite or a
                simulation that is there twice makes the data unfit for use.
        """
        arrays = self.read_unchecked(tuple(dict.fromkeys((*columns, "t", "dt"))))
        self._refuse("is there twice", self.rows["twice"].to_numpy())
        off = self.off_grid(arrays["t"], arrays["dt"])
        self._refuse("has a time that is not the one before it plus dt", self.any(~(off <= TIME_TOLERANCE)))
        for name in columns:
            self._refuse(f"has a `{name}` that is not finite", self.any(~np.isfinite(arrays[name])))
        return {name: arrays[name] for name in columns}

    def read_unchecked(self, columns: Sequence[str]) -> dict[str, Array]:
        """The same without a look at the numbers.

        Raises:
            DataError: The file is damaged or has no such column.
        """
        table = self.table(columns)
        return {name: numbers(table, name, self.path) for name in columns}

    def stacked(self, columns: Sequence[str], dtype: DTypeLike = np.float64) -> Array:
        """Columns that have been looked at, side by side: (Σ lengths, len(columns)), C-contiguous."""
        return side_by_side(self.read(columns), columns, dtype)

    def table(self, columns: Sequence[str]) -> pa.Table:
        """The same as an Arrow table, the column `sim_id` too."""
        offsets = self.rows["offset"].to_numpy()
        with parquet.opened(self.path) as file:
            table = pa.concat_tables(self._groups(file, columns, int((offsets + self.lengths).max())))
        if len(table) == self.lengths.sum():
            return table
        first = np.repeat(offsets - self.starts, self.lengths)
        return table.take(first + np.arange(len(first)))

    def _groups(self, file: pq.ParquetFile, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        group = self.group
        while rows > 0:
            table = parquet.read_group(file, self.path, group, columns)
            yield table
            group, rows = group + 1, rows - len(table)

    def off_grid(self, times: Array, dt: Array) -> Array:
        """(rows,) how far each time is from the first of its simulation plus a multiple of dt, in s."""
        step = np.arange(len(times)) - np.repeat(self.starts, self.lengths)
        off: Array = np.abs(times - np.repeat(times[self.starts], self.lengths) - step * dt)
        return off

    def any(self, rows: Array) -> Array:
        """(n,) whether a flag (rows,) is raised anywhere in a simulation."""
        raised: Array = np.logical_or.reduceat(rows, self.starts)
        return raised

    def _refuse(self, what: str, flags: Array) -> None:
        if flags.any():
            name = self.rows["sim_id"][int(flags.argmax())]
            raise DataError(f"{self.path}: row group {self.group}: {name} {what}.", MEND)


def blocks(folder: Path, index: pl.DataFrame) -> list[Block]:
    """The blocks that the simulations of an index lie in, in the order of the index."""
    parts = index.partition_by("file", "row_group", maintain_order=True, as_dict=True)
    return [Block(folder / str(file), int(group), rows.sort("offset")) for (file, group), rows in parts.items()]


def numbers(table: pa.Table, name: str, path: Path) -> Array:
    """A numeric column as floating-point numbers (rows,); what is null is NaN.

    Raises:
        DataError: It is not a column of numbers.
    """
    column = table.column(name)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not any(is_number(kind) for is_number in _NUMERIC):
        raise DataError(f"{path}: `{name}` is of type {kind}, it should be float64.")
    array: Array = (column if pa.types.is_floating(column.type) else column.cast(pa.float64(), safe=False)).to_numpy()
    return array


def side_by_side(arrays: Mapping[str, Array], names: Sequence[str], dtype: DTypeLike = np.float64) -> Array:
    """Columns (rows,) as one array (rows, len(names)), C-contiguous."""
    together = np.empty((len(arrays[names[0]]), len(names)), dtype)
    for number, name in enumerate(names):
        together[:, number] = arrays[name]
    return together
