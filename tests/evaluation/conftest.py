"""A dataset in memory that follows the protocol, and nothing of any system's physics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from emulant.dataset.seams import Field


@dataclass
class MemoryDataset:
    """Cases 100, 101 ...; fields rho (C, T, 3, 2), spin (C, T, 4), `times` and a constant per case."""

    arrays: dict[str, np.ndarray]
    cases: pl.DataFrame
    split: str = "test"
    targets: tuple[str, ...] = ("rho",)
    geometry: dict[str, Any] = field(default_factory=lambda: {"step": 0.1})
    schema: dict[str, Field] = field(
        default_factory=lambda: {
            "rho": Field("float64", ("time", "y", "x")),
            "spin": Field("float64", ("time", "particle")),
            "times": Field("float64", ("time",)),
            "final": Field("float64", ("particle",)),
        }
    )

    def __len__(self) -> int:
        return len(self.cases)

    def read(self, fields: Sequence[str], cases: Sequence[int] | None = None) -> dict[str, np.ndarray]:
        rows = range(len(self)) if cases is None else [self.cases["case"].to_list().index(case) for case in cases]
        return {name: self.arrays[name][list(rows)] for name in fields}

    def changed_after(self, frame: int) -> MemoryDataset:
        """The same dataset with another future: everything after `frame` is replaced."""
        arrays = {name: array.copy() for name, array in self.arrays.items()}
        for name in ("rho", "spin"):
            arrays[name][:, frame + 1 :] = 1e6
        arrays["final"] += 1
        return replace(self, arrays=arrays)


@pytest.fixture
def make_dataset() -> Callable[..., MemoryDataset]:
    def make(cases: int = 8, frames: int = 21, families: Sequence[str] = ("ring", "uniform"), **columns: Any) -> Any:
        random = np.random.default_rng(7)
        arrays = {
            "rho": random.random((cases, frames, 3, 2)),
            "spin": random.random((cases, frames, 4)),
            "times": np.tile(np.arange(frames) * 0.1, (cases, 1)),
            "final": random.random((cases, 4)),
        }
        table = pl.DataFrame(
            {
                "case": range(100, 100 + cases),
                "split": ["test"] * cases,
                "group_key": [f"g{case}" for case in range(cases)],
                "family": [families[case % len(families)] for case in range(cases)],
                "status": ["ok"] * cases,
                **columns,
            }
        )
        return MemoryDataset(arrays, table)

    return make
