"""Parquet files that are whole or not there, and whose damage is told by file and row group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from emulant.dataset.atomic import replacing
from emulant.errors import DataError

MEND = "Write it again; `emulant generate` makes a shard of a run anew."


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """`open_file`, closed again."""
    with open_file(path) as file:
        yield file


def open_file(path: Path) -> pq.ParquetFile:
    """A Parquet file, its footer read and nothing else; pages are checked against their checksums where they have any.

    Raises:
        DataError: The file is missing, torn or not Parquet.
    """
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise DataError(f"{path}: is missing.", MEND) from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: is not a readable Parquet file: {_first_line(error)}.", MEND) from error


def read_group(file: pq.ParquetFile, path: Path, group: int, columns: Sequence[str]) -> pa.Table:
    """Some columns of one row group.

    Raises:
        DataError: A column is not there, or its bytes are damaged.
    """
    try:
        table = file.read_row_group(group, columns=list(columns), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: row group {group} is damaged: {_first_line(error)}.", MEND) from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise DataError(f"{path}: has no column `{missing[0]}` (it has: {', '.join(file.schema_arrow.names)}).")
    return table


def write_groups(
    path: Path,
    schema: pa.Schema,
    tables: Iterable[pa.Table],
    *,
    split: Sequence[str] = (),
    dictionary: Sequence[str] = (),
    delta: Sequence[str] = (),
) -> Path:
    """Write one row group per table; equal tables give equal bytes.

    Args:
        path: The file; it gets its name when it is complete.
        schema: Of all tables; its metadata become those of the file.
        tables: As many as there shall be row groups.
        split: Columns of measured numbers: their bytes are stored plane by plane (BYTE_STREAM_SPLIT), which is what
            makes floating-point numbers compressible.
        dictionary: Columns of few values.
        delta: Columns of whole numbers that change little from row to row: their differences are stored.
    """
    with (
        replacing(path) as partial,
        pq.ParquetWriter(
            partial,
            schema,
            compression="zstd",
            compression_level=3 if delta else 1,
            use_byte_stream_split=list(split),
            use_dictionary=list(dictionary),
            column_encoding=dict.fromkeys(delta, "DELTA_BINARY_PACKED") or None,
            write_statistics=True,
            write_page_checksum=True,
            store_schema=False,  # plain types: every reader sees the same
        ) as writer,
    ):
        for table in tables:
            writer.write_table(table, row_group_size=max(1, len(table)))
        writer.add_key_value_metadata(schema.metadata or {})
    return path


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(". ")
