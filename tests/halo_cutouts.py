"""Cutouts of a few formulae: dark matter with a bump, gas smoother and less where feedback is strong, few stars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from scipy.ndimage import gaussian_filter

from emulant.dataset.seams import Field
from emulant.dataset.seeds import stream

NAMES = ("Omega0", "OmegaBaryon", "RadioFeedbackFactor")
RESOLUTION = 16
GEOMETRY = {
    "box_size": 50.0,
    "npix": 128,
    "resolution": RESOLUTION,
    "scales": (6.25, 12.5, 25.0, 50.0),
    "parameters": NAMES,
}


def arrays(cases: int, seed: int = 0) -> dict[str, np.ndarray]:
    """`cases` samples, four to a simulation."""
    rng, r, boxes = np.random.default_rng(seed), RESOLUTION, max(1, cases // 4)
    simulation = np.arange(cases) % boxes
    params = np.column_stack([np.full(cases, 0.3), np.full(cases, 0.049), 4.0 ** rng.uniform(-1, 1, boxes)[simulation]])
    mass = 10 ** rng.uniform(13, 14.3, cases)
    grid = np.indices((r, r)) - r // 2
    bump = np.exp(-0.5 * np.sum(grid**2, axis=0) / 4.0)
    noise = gaussian_filter(rng.standard_normal((cases, r, r)), (0, 1, 1)) * 2
    condition = 1e9 * np.exp(noise) + mass[:, None, None] / 25 * bump
    large = np.stack([gaussian_filter(condition, (0, s, s)) for s in (1, 2, 4)], axis=1)
    share, feedback = 0.049 / 0.3, np.log(params[:, 2])[:, None, None]
    gas = share * (0.6 * condition + 0.4 * gaussian_filter(condition, (0, 2, 2))) * np.exp(-0.2 * feedback)
    gas *= np.exp(0.1 * rng.standard_normal((cases, 1, 1)))
    occupied = condition > np.quantile(condition, 0.9)
    stars = np.where(occupied, 0.02 * condition * np.exp(0.3 * rng.standard_normal(condition.shape)), 0.0)
    dm = (1 - share) * condition * np.exp(0.05 * gaussian_filter(rng.standard_normal(condition.shape), (0, 1, 1)))
    return {
        "condition": condition.astype("f4"),
        "target": np.stack([dm, gas, stars], axis=1).astype("f4"),
        "large_scale": large.astype("f4"),
        "params": params,
        "halo_mass": mass,
        "halo_center": rng.uniform(0, 50, (cases, 3)),
        "rotation": np.broadcast_to(np.eye(3), (cases, 3, 3)).copy(),
        "simulation": simulation.astype("i4"),
        "halo": np.arange(cases, dtype="i4"),
        "rotation_index": np.zeros(cases, "i4"),
    }


@dataclass(frozen=True)
class Cutouts:
    """A dataset in memory."""

    values: Mapping[str, np.ndarray]
    cases: pl.DataFrame
    geometry: Mapping[str, Any]
    split: str = "training"
    targets: tuple[str, ...] = ("target",)

    @property
    def schema(self) -> Mapping[str, Field]:
        return {name: Field(str(array.dtype), ()) for name, array in self.values.items()}

    def __len__(self) -> int:
        return len(self.cases)

    def read(self, fields: Sequence[str], cases: Sequence[int] | None = None) -> dict[str, np.ndarray]:
        rows = self.cases["case"].to_list() if cases is None else list(cases)
        return {name: self.values[name][rows] for name in fields}

    def batches(
        self, size: int, fields: Sequence[str], *, seed: int | None = None, epoch: int = 0
    ) -> Iterator[dict[str, np.ndarray]]:
        order = np.array(self.cases["case"].to_list())
        order = order if seed is None else stream(seed, "training", epoch).permutation(order)
        for start in range(0, len(order), size):
            yield self.read(fields, order[start : start + size].tolist())

    def select(self, cases: Sequence[int]) -> Cutouts:
        return replace(self, cases=self.cases.filter(pl.col("case").is_in(list(cases))))


def cutouts(cases: int = 96, seed: int = 0, split: str = "training", **changes: Any) -> Cutouts:
    """A dataset of such samples; `changes` are to its geometry."""
    values = arrays(cases, seed)
    table = pl.DataFrame({"case": np.arange(cases), "simulation": values["simulation"]}).with_columns(
        split=pl.lit(split),
        group_key=pl.format("box/{}", "simulation"),
        family=pl.lit("all"),
        status=pl.lit("ok"),
    )
    return Cutouts(values, table, GEOMETRY | changes, split)


@dataclass(frozen=True)
class Asked:
    """What an emulator is given: the fields of a dataset but for its targets."""

    fields: Mapping[str, np.ndarray]
    geometry: Mapping[str, Any]

    @classmethod
    def of(cls, dataset: Cutouts) -> Asked:
        names = [name for name in dataset.values if name not in dataset.targets]
        return cls(dataset.read(names), dataset.geometry)
