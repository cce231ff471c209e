"""A split of double pendulums, opened: as the program sees any dataset, and by the readers of the source document.

    data = open_dataset("runs/pendulum/training")     # or any Parquet file or folder with the eleven columns
    data.scan().filter(pl.col("l1") > 1).collect()    # plain polars, nothing loaded before
    data.read(["state"])["state"]                     # (C, T, 4)
    for batch in data.windows(100, batch=256): ...    # (256, 100, 4), without loading the file

Opening reads the index. Everything that hands out numbers looks at them first: what is torn, not finite, out of order
or there twice is an error that names file, row group and simulation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from emulant.dataset import parquet
from emulant.dataset.batching import in_batches
from emulant.dataset.npz import case_row
from emulant.dataset.seams import Array, Field
from emulant.dataset.store import Store
from emulant.errors import DataError
from emulant.systems.pendulum import index as indexing
from emulant.systems.pendulum.blocks import TIME_TOLERANCE, Block, blocks
from emulant.systems.pendulum.config import PARAMETERS, STATE
from emulant.systems.pendulum.files import ACCELERATION, FIELDS, Made, read_metadata
from emulant.systems.pendulum.windows import FieldStream, Windows

STANDARD_GRAVITY = 9.81
"""m/s², of files that do not say it."""
_COLUMNS_OF = {"state": STATE, "acceleration": ACCELERATION}


@dataclass(frozen=True, eq=False)
class PendulumDataset:
    """The simulations of one split (or of any Parquet files) and the ways to read them.

    A field is one array per case: `state` (T, 4) = theta1, theta2 (unwrapped), theta1_dot, theta2_dot, and where it is
    stored `acceleration` (T, 2); float64 whatever the files hold. The parameters l1, l2, m1, m2, g are columns of
    `cases`.
    """

    folder: Path
    files: tuple[Path, ...]
    split: str
    index: pl.DataFrame
    """One row per simulation: `indexing.SCHEMA`, `case`, and `twice`: whether its sim_id is there more than once."""
    made: Made
    """What the first file says about its making."""
    columns: tuple[str, ...]
    """Of all files."""
    selected: bool = False
    """Whether the files hold more than these simulations."""

    # -- as any dataset

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def cases(self) -> pl.DataFrame:
        rows = self.index.select("case", *PARAMETERS).iter_rows()
        return pl.DataFrame(
            [
                case_row(self.split, case, {"parameters": dict(zip(PARAMETERS, numbers, strict=True))})
                for case, *numbers in rows
            ]
        )

    @property
    def schema(self) -> Mapping[str, Field]:
        return {name: field for name, field in FIELDS.items() if set(_COLUMNS_OF[name]) <= set(self.columns)}

    @property
    def targets(self) -> tuple[str, ...]:
        return ("state",)

    @property
    def geometry(self) -> Mapping[str, Any]:
        """`step`: the time between frames, in s; `periodic`: which components of the state are angles.

        Raises:
            DataError: Simulations have different steps.
        """
        steps = self.index.unique("dt", keep="first", maintain_order=True)
        if len(steps) > 1:
            (a, b), (x, y) = steps["sim_id"][:2], steps["dt"][:2]
            raise DataError(
                f"{self.folder}: dt is {x:g} in {a} and {y:g} in {b}.",
                "A surrogate needs one time step: open them apart.",
            )
        return {"step": steps["dt"][0], "periodic": (0, 1)}

    def read(self, fields: Sequence[str], cases: Sequence[int] | None = None) -> dict[str, Array]:
        """The named fields of some cases (None: all), (C, T, 4) and (C, T, 2).

        Raises:
            DataError: A case or field is not there, cases differ in length, or what is stored is not sound.
        """
        chosen = (self if cases is None else self.select(cases)).index.with_row_index("place")
        length = self._common_length(chosen)
        names = {field: self._columns_of(field) for field in fields}
        arrays = {field: np.empty((len(chosen), length, len(names[field]))) for field in fields}
        for block in blocks(self.folder, chosen):
            columns = block.read([name for group in names.values() for name in group])
            places = block.rows["place"].to_numpy()
            for field, group in names.items():
                for number, name in enumerate(group):
                    arrays[field][places, :, number] = columns[name].reshape(-1, length)
        return arrays

    def _columns_of(self, field: str) -> tuple[str, ...]:
        if field not in self.schema:
            raise DataError(f"{self.folder}: has no field `{field}` (it has: {', '.join(self.schema)}).")
        return _COLUMNS_OF[field]

    def _common_length(self, chosen: pl.DataFrame) -> int:
        if chosen.is_empty():
            raise DataError(f"{self.folder}: no case to read.", "See `emulant status`.")
        other = chosen.filter(pl.col("length") != pl.col("length").first())
        if len(other):
            raise DataError(
                f"{self.folder / other['file'][0]}: row group {other['row_group'][0]}: {other['sim_id'][0]} has "
                f"{other['length'][0]} samples, {chosen['sim_id'][0]} has {chosen['length'][0]}.",
                "All cases of a split must be of one length to be read as one array.",
            )
        return int(chosen["length"][0])

    def batches(
        self, size: int, fields: Sequence[str], *, seed: int | None = None, epoch: int = 0
    ) -> Iterator[dict[str, Array]]:
        """`read` in pieces of `size` cases; shuffled as a pure function of (seed, epoch) if seed is given."""
        return in_batches(self.read, self.index["case"].to_numpy(), size, fields, seed, epoch)

    def select(self, cases: Sequence[int]) -> PendulumDataset:
        """The same dataset with just these cases, in this order.

        Raises:
            DataError: A case is not there.
        """
        wanted = pl.DataFrame({"case": list(cases)}, schema={"case": pl.Int64})
        chosen = wanted.join(self.index, on="case", how="left", maintain_order="left").select(self.index.columns)
        lost = chosen.filter(pl.col("sim_id").is_null())["case"].to_list()
        if lost:
            raise DataError(f"{self.folder}: has no case {lost[0]}.", "See `emulant status`.")
        return replace(self, index=chosen, selected=True)

    # -- the readers of the source document

    def scan(self) -> pl.LazyFrame:
        """All rows as a polars LazyFrame; nothing is loaded."""
        frame = pl.scan_parquet(list(self.files), glob=False).with_columns(pl.col("sim_id").cast(pl.String))
        return frame.filter(pl.col("sim_id").is_in(self.index["sim_id"].implode())) if self.selected else frame

    def load_time_window(self, t_start: float, t_end: float) -> pl.DataFrame:
        """The rows with t_start <= t <= t_end (s), of every simulation; the filter is pushed down into the files."""
        near = pl.col("t").is_between(t_start - TIME_TOLERANCE, t_end + TIME_TOLERANCE)
        return self.scan().filter(near).collect(engine="streaming")

    def load_single_simulation(self, sim_id: str) -> pl.DataFrame:
        """All rows and columns of one simulation, out of the one row group that it lies in.

        Raises:
            DataError: There is none of that name, it is there twice, or its bytes are damaged.
        """
        found = self.index.filter(sim_id=sim_id)
        if found.is_empty():
            near = get_close_matches(sim_id, self.index["sim_id"].to_list(), n=1) or self.index["sim_id"].to_list()[:1]
            raise DataError(f"{self.folder}: has no simulation `{sim_id}`.", f"Did you mean `{near[0]}`?")
        block = self.blocks(found)[0]
        block.read(STATE)
        frame = pl.DataFrame(block.table(self.columns))
        return frame.with_columns(pl.col("sim_id").cast(pl.String))

    def batch_stream(self, batch_size: int = 65_536, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All rows as Arrow batches of at most `batch_size`, in the order in which they are stored."""
        wanted = pa.array(self.index["sim_id"].to_list())
        for path in self.files:
            with parquet.opened(path) as file:
                try:
                    for batch in file.iter_batches(batch_size, columns=list(columns or self.columns)):
                        part = batch.filter(pc.is_in(batch["sim_id"], wanted)) if self.selected else batch
                        if len(part):
                            yield part
                except (pa.ArrowException, OSError) as error:
                    raise DataError(f"{path}: is damaged: {error}.", parquet.MEND) from error

    def training_pairs(self) -> Iterator[tuple[Array, Array]]:
        """States and what they are one step later, (n, 4) each, block by block; no pair reaches across simulations."""
        for block in self.blocks():
            states = block.stacked(STATE)
            last = block.starts + block.lengths - 1
            yield np.delete(states, last, axis=0), np.delete(states, block.starts, axis=0)

    def sim_index(self) -> dict[str, tuple[float, float]]:
        """sim_id -> (first time, last time), in s."""
        return {name: (start, end) for name, start, end in self.index.select("sim_id", "t_start", "t_end").iter_rows()}

    def sample_subsequence(self, length: int, generator: np.random.Generator) -> Array:
        """`length` consecutive states (length, 4) of one simulation; every such window is as likely as any other.

        Raises:
            DataError: A simulation is shorter.
        """
        windows = self.windows(length, dtype=np.float64)
        return windows.window(int(generator.integers(windows.count)))

    def windows(
        self,
        length: int,
        batch: int = 256,
        stride: int = 1,
        seed: int = 0,
        columns: Sequence[str] = STATE,
        dtype: Any = np.float32,
    ) -> Windows:
        """Random windows of `length` samples straight from the files, (batch, length, columns); see `Windows`.

        Raises:
            DataError: A simulation is shorter than a window.
        """
        return Windows(tuple(self.blocks()), tuple(columns), length, batch, stride, seed, dtype)

    def stream(
        self, field: str, length: int, size: int, *, parameters: Sequence[str] = (), seed: int = 0
    ) -> FieldStream:
        """Random windows (size, length, D) of a field and the parameters (size, P) of their cases, in float64.

        Raises:
            DataError: There is no such field, or a simulation is shorter than a window.
        """
        columns = self._columns_of(field)
        windows = self.windows(length, size, seed=seed, columns=(*columns, *parameters), dtype=np.float64)
        return FieldStream(windows, len(columns))

    def blocks(self, index: pl.DataFrame | None = None) -> list[Block]:
        """The pieces of the files that are read at once."""
        return blocks(self.folder, self.index if index is None else index)


def open_dataset(path: str | Path, g: float | None = STANDARD_GRAVITY) -> PendulumDataset:
    """Open a split that emulant has made, or any Parquet file or folder of such files with the eleven columns.

    Args:
        path: The file or folder.
        g: m/s², for files that do not say it.

    Raises:
        DataError: There is nothing to open, a file is damaged, or it lacks a column.
    """
    path = Path(path)
    if path.is_dir() and Store(path).is_ours:
        files = tuple(_finished(path))
        _refuse_if_none(path, files)
        made, columns = _headers(files)
        index = indexing.of_folder(path, files, path.name)
        return PendulumDataset(path, files, path.name, _numbered(index, path.name), made, columns)
    return open_files(path, _some(parquet_files(path), path), g)


def open_files(path: Path, files: Sequence[Path], g: float | None = STANDARD_GRAVITY) -> PendulumDataset:
    """Open some Parquet files, all of them in the folder `path` or `path` itself; as `open_dataset`."""
    made, columns = _headers(files)
    folder, split = path if path.is_dir() else path.parent, made.split or path.stem
    index = indexing.build(folder, files, split, g)
    return PendulumDataset(folder, tuple(files), split, _numbered(index, split), made, columns)


def parquet_files(path: Path) -> list[Path]:
    """The Parquet files of a folder, or the file itself."""
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def _some(files: Sequence[Path], path: Path) -> Sequence[Path]:
    if not files:
        raise DataError(f"{path}: holds no Parquet file of pendulums.", "Name a file, or one split of a run.")
    return files


def _refuse_if_none(folder: Path, files: Sequence[Path]) -> None:
    """A split that has no file is not finished, or the simulator could make none of its cases: then say why."""
    if files:
        return
    cases = [case for sidecar in Store(folder).sidecars() for case in sidecar.cases]
    if cases:
        why = f"case {cases[0].case} is {cases[0].status}: {cases[0].reason}"
        raise DataError(f"{folder}: none of its {len(cases)} cases is ok; {why}.", "Change [system], or the tolerance.")
    raise DataError(f"{folder}: no shard of it is finished.", "`emulant generate` goes on with it.")


def _finished(folder: Path) -> Iterator[Path]:
    """The shards that are signed for; what a kill has left beside them does not count."""
    return (folder / file.path for sidecar in Store(folder).sidecars() for file in sidecar.files)


def _headers(files: Sequence[Path]) -> tuple[Made, tuple[str, ...]]:
    """What the first file says about its making, and the columns that all files have."""
    schemas = []
    for file in files:
        with parquet.opened(file) as opened:
            schemas.append(opened.schema_arrow)
    common = set.intersection(*(set(schema.names) for schema in schemas))
    return read_metadata(schemas[0], files[0]), tuple(name for name in schemas[0].names if name in common)


def _numbered(index: pl.DataFrame, split: str) -> pl.DataFrame:
    """The index with case numbers: those in our sim_ids, in files made elsewhere the order in which they are stored."""
    told = pl.col("sim_id").str.extract(rf"^{re.escape(split)}_(\d+)$", 1).cast(pl.Int64, strict=False)
    index = index.with_columns(case=told, twice=pl.col("sim_id").is_duplicated())
    if index["case"].null_count():
        return index.with_columns(case=pl.int_range(pl.len(), dtype=pl.Int64))
    return index.sort("case", maintain_order=True)
