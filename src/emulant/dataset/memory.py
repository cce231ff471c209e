"""A dataset that remembers what was read of it: scoring many models reads the same truth again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emulant.dataset.seams import Array, Dataset, Field

if TYPE_CHECKING:
    import polars as pl

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
