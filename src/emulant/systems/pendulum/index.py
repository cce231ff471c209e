"""The index of a split: where each simulation lies in the files, and what it is.

It follows from the files alone. Beside our own shards it is kept as `index.arrow` (Arrow IPC, so that `*.parquet` stays
one plain dataset) and made again when it is missing or the files have changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from emulant.dataset import parquet
from emulant.dataset.atomic import replacing
from emulant.dataset.seams import Array
from emulant.errors import DataError
from emulant.systems.pendulum.blocks import numbers, side_by_side
from emulant.systems.pendulum.config import PARAMETERS, STATE
from emulant.systems.pendulum.equations import energy
from emulant.systems.pendulum.files import COLUMNS, Made, read_metadata

INDEX = "index.arrow"
VERSION = 1
FINGERPRINT = b"files"

SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("sim_id", "split", "file"), pl.String()),
        **dict.fromkeys(("row_group", "offset", "length"), pl.Int64()),
        **dict.fromkeys(PARAMETERS, pl.Float64()),
        **dict.fromkeys(("energy", "energy_drift", "trust_horizon"), pl.Float64()),
        "substeps": pl.Int64(),
        **dict.fromkeys(("dt", "t_start", "t_end", *STATE), pl.Float64()),
    }
)
"""`offset` counts rows from the start of the row group, `length` samples; energies in J: at the start, and the largest
distance from that; the last six columns are the time step, the first and last time, and the start itself."""


def of_folder(folder: Path, files: Sequence[Path], split: str) -> pl.DataFrame:
    """The index of our own shards: the kept one if it is of these very files, else a new one, which is then kept.

    Raises:
        DataError: A file is missing, damaged or has other columns.
    """
    mark = _fingerprint(files)
    kept = _read(folder / INDEX, mark)
    if kept is not None:
        return kept
    index = build(folder, files, split)
    with suppress(DataError):  # a folder that may only be read: the index then lives in memory
        _write(folder / INDEX, index, mark)
    return index


def build(folder: Path, files: Sequence[Path], split: str, g: float | None = None) -> pl.DataFrame:
    """The index of some files: one row per simulation, in the order in which they are stored.

    Args:
        folder: The files' names are told from here.
        files: Parquet files with the eleven columns.
        split: What the split is called.
        g: m/s², for files that do not say it.

    Raises:
        DataError: A file is missing, damaged or has other columns; nobody says g.
    """
    frames = [_of_file(path, path.relative_to(folder).as_posix(), g) for path in files]
    return pl.concat(frames).with_columns(pl.lit(split).alias("split")).select(SCHEMA.names()).cast(SCHEMA)


def _of_file(path: Path, name: str, g: float | None) -> pl.DataFrame:
    with parquet.opened(path) as file:
        missing = [column for column in COLUMNS if column not in file.schema_arrow.names]
        if missing:
            raise DataError(
                f"{path}: has no column `{missing[0]}` (it has: {', '.join(file.schema_arrow.names)}).",
                f"A file of pendulums has {', '.join(COLUMNS)}.",
            )
        made = read_metadata(file.schema_arrow, path)
        known = made.provenance.g if made.provenance else g
        pieces = [piece for piece in _pieces(file, path, known) if len(piece)]
    if not pieces:
        raise DataError(f"{path}: holds no simulation.")
    whole = _joined(pl.concat(pieces)).with_columns(pl.lit(name).alias("file"))
    return whole.join(_facts(made), on="sim_id", how="left", maintain_order="left")


def _facts(made: Made) -> pl.DataFrame:
    """What only the simulator knows of a case; nulls in files that were made elsewhere."""
    rows = [(name, fact.get("trust_horizon"), fact.get("substeps")) for name, fact in (made.facts or {}).items()]
    schema = {"sim_id": pl.String(), "trust_horizon": pl.Float64(), "substeps": pl.Int64()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _pieces(file: pq.ParquetFile, path: Path, g: float | None) -> Iterator[pl.DataFrame]:
    """The runs of rows of one simulation, row group by row group."""
    swept = "g" in file.schema_arrow.names
    if not swept and g is None:
        raise DataError(f"{path}: does not say g.", "Give it, such as --g 9.81.")
    names = [*COLUMNS, *(["g"] if swept else [])]
    for group in range(file.num_row_groups):
        table = parquet.read_group(file, path, group, names)
        if len(table):
            arrays = {name: numbers(table, name, path) for name in names[1:]}
            arrays.setdefault("g", np.broadcast_to(np.float64(g or 0.0), len(table)))
            yield _runs(_sim_ids(table, path), arrays, group)


def _sim_ids(table: pa.Table, path: Path) -> tuple[Array, pl.Series]:
    """The column `sim_id` as codes (rows,) and the names that they stand for."""
    column = table.column("sim_id")
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        raise DataError(f"{path}: `sim_id` is of type {kind}, it should be string.")
    encoded = column.cast(kind).cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    return encoded.indices.to_numpy(), pl.Series(encoded.dictionary.to_pylist(), dtype=pl.String)


def _runs(sim_ids: tuple[Array, pl.Series], arrays: dict[str, Array], group: int) -> pl.DataFrame:
    """One row per run. A run ends where another simulation begins, or the same one once more from its first time."""
    codes, names = sim_ids
    times = arrays["t"]
    first = np.flatnonzero(np.diff(codes, prepend=codes[0] - 1))
    lengths = np.diff(first, append=len(codes))
    again = times == np.repeat(times[first], lengths)
    first = np.union1d(first, np.flatnonzero(again))
    lengths = np.diff(first, append=len(codes))
    with np.errstate(all="ignore"):  # what is not finite is told when it is read
        energies = energy(side_by_side(arrays, STATE), side_by_side(arrays, PARAMETERS))
    at_first = {name: arrays[name][first] for name in (*PARAMETERS, "dt", *STATE)}
    return pl.DataFrame(
        {
            "sim_id": names.gather(codes[first]),
            "row_group": np.full(len(first), group),
            "offset": first,
            "length": lengths,
            **{name: values.astype(np.float64) for name, values in at_first.items()},
            "energy": energies[first],
            "lowest": np.minimum.reduceat(energies, first),
            "highest": np.maximum.reduceat(energies, first),
            "t_start": times[first].astype(np.float64),
            "t_end": times[first + lengths - 1].astype(np.float64),
        }
    )


def _joined(runs: pl.DataFrame) -> pl.DataFrame:
    """Runs that a border between row groups has cut, put together again."""
    continues = (
        (pl.col("offset") == 0)
        & (pl.col("sim_id") == pl.col("sim_id").shift())
        & (pl.col("row_group") != pl.col("row_group").shift())
        & (pl.col("t_start") != pl.col("t_start").shift())
    )
    simulation = (~continues).fill_null(True).cum_sum().alias("simulation")
    kept = ["sim_id", "row_group", "offset", *PARAMETERS, "dt", *STATE, "energy", "t_start"]
    at_start = pl.col("energy").first()
    drift = pl.max_horizontal(pl.col("highest").max() - at_start, at_start - pl.col("lowest").min())
    whole = runs.group_by(simulation, maintain_order=True).agg(
        *(pl.col(name).first() for name in kept),
        pl.col("length").sum(),
        pl.col("t_end").last(),
        drift.alias("energy_drift"),
    )
    return whole.drop("simulation")


# -- keeping it ---------------------------------------------------------------------------------------------------


def _fingerprint(files: Sequence[Path]) -> bytes:
    """Of which files an index is: their names, sizes and dates."""
    try:
        facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    except FileNotFoundError as error:
        raise DataError(f"{error.filename}: is missing.", parquet.MEND) from None
    return json.dumps([VERSION, facts]).encode()


def _write(path: Path, index: pl.DataFrame, mark: bytes) -> None:
    table = index.to_arrow(compat_level=pl.CompatLevel.oldest()).replace_schema_metadata({FINGERPRINT: mark})
    with (
        replacing(path, durable=False) as partial,
        pa.OSFile(str(partial), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table)


def _read(path: Path, mark: bytes) -> pl.DataFrame | None:
    """The kept index; None if there is none, it is torn, or it is of other files."""
    try:
        with pa.OSFile(str(path), "rb") as file, pa.ipc.open_file(file) as reader:
            if (reader.schema.metadata or {}).get(FINGERPRINT) != mark:
                return None
            frame = pl.DataFrame(reader.read_all())
    except (pa.ArrowException, OSError):
        return None
    return frame if frame.schema == SCHEMA else None
