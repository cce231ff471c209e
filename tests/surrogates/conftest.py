"""A dataset in memory, so that surrogates can be tried without a system."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from emulant.dataset.npz import ArrayDataset
from emulant.dataset.seams import Array, Context, Field, Fields


@dataclass(frozen=True)
class Memory(ArrayDataset):
    arrays: Fields = field(default_factory=dict)

    def load(self, path: Path, fields: Sequence[str]) -> dict[str, Array]:
        return {name: self.arrays[name] for name in fields}


def in_memory(
    arrays: Fields,
    targets: Sequence[str] = ("rho",),
    geometry: Mapping[str, Any] | None = None,
    families: Sequence[str] = ("a",),
    groups: Sequence[str] | None = None,
) -> Memory:
    """A training split of the given fields (C, T, ...); families take turns."""
    count = len(next(iter(arrays.values())))
    rows = {
        "case": list(range(count)),
        "split": ["training"] * count,
        "group_key": list(groups) if groups is not None else [f"training/{case}" for case in range(count)],
        "family": [families[case % len(families)] for case in range(count)],
        "status": ["ok"] * count,
    }
    schema = {name: Field(str(a.dtype), ("time", *(f"d{i}" for i in range(a.ndim - 2)))) for name, a in arrays.items()}
    files = {case: (Path("memory"), case) for case in range(count)}
    frame = pl.DataFrame(rows)
    return Memory("training", frame, schema, tuple(targets), geometry or {"step": 0.5}, files, arrays)


@pytest.fixture
def dataset() -> Callable[..., Memory]:
    return in_memory


@pytest.fixture
def context() -> Callable[..., Context]:
    """The first `frames` frames of some fields."""

    def cut(arrays: Fields, frames: int, step: float = 0.5) -> Context:
        seen = {name: array[:, :frames].copy() for name, array in arrays.items()}
        return Context(seen, step * np.arange(frames), step, {"step": step})

    return cut
