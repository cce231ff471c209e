"""Datasets in memory: one that remembers what was read of another, and one of cases that lie in no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from emulant.dataset.batching import in_batches
from emulant.dataset.seams import Array, Dataset, Field, Fields

if TYPE_CHECKING:
    import polars as pl

    from emulant.dataset.seams import Product

LIMIT = 1 << 29
"""Bytes that are kept; what comes after is read from disk each time."""


class Remembered:
    """`dataset`, with the arrays of its cases kept in memory as far as `limit` bytes go."""

    def __init__(self, dataset: Dataset, limit: int = LIMIT) -> None:
        self.dataset = dataset
        self.left = limit
        self.kept: dict[tuple[str, int], Array] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def split(self) -> str:
        return self.dataset.split

    @property
    def cases(self) -> pl.DataFrame:
        return self.dataset.cases

    @property
    def schema(self) -> Mapping[str, Field]:
        return self.dataset.schema

    @property
    def targets(self) -> tuple[str, ...]:
        return self.dataset.targets

    @property
    def geometry(self) -> Mapping[str, Any]:
        return self.dataset.geometry

    def read(self, fields: Sequence[str], cases: Sequence[int] | None = None) -> dict[str, Array]:
        numbers = self.cases["case"].to_list() if cases is None else list(cases)
        missing = [name for name in fields if any((name, case) not in self.kept for case in numbers)]
        fresh = self.dataset.read(missing, numbers) if missing else {}
        for name, array in fresh.items():
            self._keep(name, array, numbers)
        known = (name for name in fields if name not in fresh)
        return {**fresh, **{name: np.stack([self.kept[name, case] for case in numbers]) for name in known}}

    def _keep(self, name: str, array: Array, cases: Sequence[int]) -> None:
        if array.nbytes <= self.left:
            self.left -= array.nbytes
            self.kept.update({(name, case): row for case, row in zip(cases, array, strict=True)})

    def batches(
        self, size: int, fields: Sequence[str], *, seed: int | None = None, epoch: int = 0
    ) -> Iterator[dict[str, Array]]:
        return self.dataset.batches(size, fields, seed=seed, epoch=epoch)

    def select(self, cases: Sequence[int]) -> Dataset:
        return self.dataset.select(cases)


@dataclass(frozen=True)
class Unfiled:
    """Cases that were simulated a moment ago and lie in no file, as any dataset: so everything goes by one road."""

    split: str
    cases: pl.DataFrame
    schema: Mapping[str, Field]
    targets: tuple[str, ...]
    geometry: Mapping[str, Any]
    arrays: Fields
    """(C, ...) each, rows as in `cases`."""

    @classmethod
    def of(
        cls, product: Product, schema: Mapping[str, Field], targets: Sequence[str], geometry: Mapping[str, Any]
    ) -> Unfiled:
        """The `ok` cases of a product, with those fields of the schema that they have."""
        import polars as pl

        from emulant.dataset.npz import case_row

        rows = [case_row("unfiled", result.case, result.record) for result in product]
        had = {name: field for name, field in schema.items() if name in product[0].arrays}
        arrays = {name: np.stack([result.arrays[name] for result in product]) for name in had}
        return cls("unfiled", pl.DataFrame(rows), had, tuple(targets), geometry, arrays)

    def __len__(self) -> int:
        return len(self.cases)

    def read(self, fields: Sequence[str], cases: Sequence[int] | None = None) -> dict[str, Array]:
        numbers = self.cases["case"].to_list()
        rows = [numbers.index(case) for case in (numbers if cases is None else cases)]
        return {name: self.arrays[name][rows] for name in fields}

    def batches(
        self, size: int, fields: Sequence[str], *, seed: int | None = None, epoch: int = 0
    ) -> Iterator[dict[str, Array]]:
        return in_batches(self.read, self.cases["case"].to_numpy(), size, fields, seed, epoch)

    def select(self, cases: Sequence[int]) -> Dataset:
        numbers = self.cases["case"].to_list()
        rows = [numbers.index(case) for case in cases]
        kept = {name: array[rows] for name, array in self.arrays.items()}
        return replace(self, cases=self.cases[rows], arrays=kept)
