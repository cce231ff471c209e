"""A split of cells, opened: nothing but its index is read until numbers are asked for, and then in slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emulant.dataset import hdf5
from emulant.dataset.seams import Field
from emulant.dataset.seeds import stream
from emulant.dataset.store import Store
from emulant.errors import DataError
from emulant.systems.flavor.fields import DIAGNOSTICS, F4_INITIAL, FIELDS, TARGETS
from emulant.systems.flavor.files import CHUNK, FOUR_FLUXES, read_columns

Array = NDArray[Any]
READABLE: Mapping[str, Field] = {**FIELDS, **DIAGNOSTICS}

POOL = 1 << 18
"""Rows that are shuffled together: enough to mix shards, few enough for memory."""


@dataclass(frozen=True, eq=False)
class CellDataset:
    """The cells of one split. `cases` has beside the usual columns `outcome`, one of `fields.OUTCOMES`.

    `read` also gives what `fields.DIAGNOSTICS` names; NaN where a case has no such label.
    """

    split: str
    cases: pl.DataFrame
    flavors: int
    files: tuple[Path, ...]
    places: Array = field(repr=False)
    """(cases, 2): file and row of every case."""

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def schema(self) -> Mapping[str, Field]:
        return FIELDS

    @property
    def targets(self) -> tuple[str, ...]:
        return TARGETS

    @property
    def geometry(self) -> Mapping[str, Any]:
        return {"flavors": self.flavors}

    def read(self, fields: Sequence[str], cases: Sequence[int] | None = None) -> dict[str, Array]:
        """The named fields, first axis = cases in the order asked for.

        Raises:
            DataError: A field or case is not there, or a file is damaged.
        """
        for name in fields:
            if name not in READABLE:
                raise DataError(f"split `{self.split}`: has no field `{name}` (it has: {', '.join(READABLE)}).")
        return self._at(fields, self.places if cases is None else self.places[self._positions(cases)])

    def _positions(self, cases: Sequence[int]) -> Array:
        known = self.cases["case"].to_numpy()
        order = np.argsort(known, kind="stable")
        wanted = np.asarray(cases, dtype=np.int64)
        found = order[np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)]
        lost = wanted[known[found] != wanted]
        if len(lost):
            raise DataError(f"split `{self.split}`: has no case {lost[0]}.", "See `emulant status`.")
        return found

    def _at(self, fields: Sequence[str], places: Array) -> dict[str, Array]:
        arrays = {name: self._empty(name, len(places)) for name in fields}
        for number in np.unique(places[:, 0]):
            here = np.flatnonzero(places[:, 0] == number)
            here = here[np.argsort(places[here, 1], kind="stable")]
            rows, path = places[here, 1], self.files[number]
            with hdf5.opened(path) as file:
                there = [name for name in fields if name in file]
                for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) > CHUNK) + 1):
                    first, last = int(rows[run[0]]), int(rows[run[-1]])
                    columns = read_columns(file, path, there, slice(first, last + 1))
                    for name, column in columns.items():
                        arrays[name][here[run]] = column[rows[run] - first]
        return arrays

    def _empty(self, name: str, count: int) -> Array:
        described = READABLE[name]
        shape = (4, 2, self.flavors) if name in FOUR_FLUXES else tuple(3 for _ in described.dims)
        empty = np.nan if np.dtype(described.dtype).kind == "f" else 0
        return np.full((count, *shape), empty, described.dtype)

    def batches(
        self, size: int, fields: Sequence[str], *, seed: int | None = None, epoch: int = 0
    ) -> Iterator[dict[str, Array]]:
        """`read` in pieces of at most `size` cases.

        Shuffled as a pure function of (seed, epoch) if seed is given: runs of neighbours in random order, and cases
        within pools of many runs, so that files are still read in slices.
        """
        order = np.arange(len(self))
        if seed is not None:
            generator = stream(seed, "training", epoch)
            runs = np.array_split(order, max(1, len(order) // CHUNK))
            order = np.concatenate([runs[run] for run in generator.permutation(len(runs))])
        for start in range(0, len(order), POOL):
            pool = order[start : start + POOL]
            arrays = self._at(fields, self.places[pool])
            mixed = np.arange(len(pool)) if seed is None else generator.permutation(len(pool))
            for first in range(0, len(pool), size):
                yield {name: array[mixed[first : first + size]] for name, array in arrays.items()}

    def select(self, cases: Sequence[int]) -> CellDataset:
        """The same dataset with just these cases, in this order."""
        positions = self._positions(cases)
        return replace(self, cases=self.cases[positions], places=self.places[positions])


def open_cells(folder: Path) -> CellDataset:
    """The split that emulant has written: the `ok` cases of all finished shards.

    Raises:
        DataError: The folder has no finished shard, or a file is damaged.
    """
    files = tuple(folder / file.path for sidecar in Store(folder).sidecars() for file in sidecar.files)
    frames, places, flavors = [], [], set()
    for number, path in enumerate(files):
        frame, count = _index(path, folder.name)
        frames.append(frame)
        places.append(np.stack([np.full(len(frame), number), np.arange(len(frame))], axis=1))
        flavors.add(count)
    if not frames:
        raise DataError(f"{folder}: holds no finished case.", "`emulant generate` makes them.")
    if len(flavors) > 1:
        raise DataError(f"{folder}: holds cells of {min(flavors)} and of {max(flavors)} flavors.", "Keep them apart.")
    cases = pl.concat(frames)
    order = np.argsort(cases["case"].to_numpy(), kind="stable")
    return CellDataset(folder.name, cases[order], flavors.pop(), files, np.concatenate(places)[order])


def _index(path: Path, split: str) -> tuple[pl.DataFrame, int]:
    """The rows of a file as rows of `Dataset.cases`, and its number of flavors."""
    with hdf5.opened(path) as file:
        columns = {name: hdf5.read(file, path, name) for name in ("case", "family", "outcome", "group_key")}
        flavors = int(hdf5.dataset_of(file, path, F4_INITIAL).shape[-1])
    frame = pl.DataFrame(
        {
            "case": columns["case"],
            "split": np.full(len(columns["case"]), split),
            **{name: columns[name].astype(str) for name in ("group_key", "family", "outcome")},
            "status": np.full(len(columns["case"]), "ok"),
        }
    )
    own = pl.concat_str("split", pl.lit("/"), "case")
    return frame.with_columns(group_key=pl.when(pl.col("group_key") == "").then(own).otherwise("group_key")), flavors
