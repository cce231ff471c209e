"""What the mixing networks are fitted to: cells worked out once, without the weights, and their labels."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

from emulant.dataset.seams import Array, Dataset
from emulant.dataset.seeds import stream
from emulant.systems.flavor.fields import COUPLING, EXCLUDED, F4_FINAL, F4_INITIAL, GROWTH
from emulant.systems.flavor.mixing.crossings import Crossings
from emulant.systems.flavor.mixing.prescription import describe, rate
from emulant.systems.flavor.mixing.selection import spread
from emulant.systems.flavor.mixing.shapes import Shapes

CHUNK = 128
WIDENED = 0.05
"""By which share of its width the range of a feature is widened at either end before a cell counts as unseen."""
TAIL = 1e-3

T = TypeVar("T")


@dataclass(frozen=True)
class Mixed:
    """Cells with a final state, pairs (C, P) in place of rows; float32 but for flags."""

    crossed: Crossings
    shape: Shapes
    change: Array
    """(C, 4, 2, NF), of the four-fluxes, n_tot = 1."""


@dataclass(frozen=True)
class Grown:
    """Cells with a crossing and a growth rate."""

    features: Array
    """(C, P, F), as they are."""
    rates: Array
    """(C, P): √(I+ I-), 0 for a pair without crossing; n_tot = 1."""
    growth: Array
    """(C,): γ / (K n_tot)."""


@dataclass(frozen=True)
class Scaling:
    """What features are like in training."""

    mean: Array
    deviation: Array
    lowest: Array
    highest: Array

    @classmethod
    def of(cls, grown: Grown) -> Scaling:
        """Of the pairs with a crossing."""
        rows = grown.features[grown.rates > 0]
        if not len(rows):
            width = grown.features.shape[-1]
            return cls(np.zeros(width), np.ones(width), np.full(width, -np.inf), np.full(width, np.inf))
        low, high = np.quantile(rows, TAIL, axis=0), np.quantile(rows, 1 - TAIL, axis=0)
        wider = WIDENED * (high - low)
        return cls(rows.mean(axis=0), rows.std(axis=0) + 1e-9, low - wider, high + wider)


def read(dataset: Dataset) -> tuple[Array, Array, Array]:
    """Start, end and growth rate of all cases; the end is NaN where it is not to be trusted."""
    arrays = dataset.read([F4_INITIAL, F4_FINAL, GROWTH])
    final = np.array(arrays[F4_FINAL], dtype=float)
    if "outcome" in dataset.cases.columns:
        final[dataset.cases["outcome"].is_in(EXCLUDED).to_numpy()] = np.nan
    return np.asarray(arrays[F4_INITIAL], dtype=float), final, np.asarray(arrays[GROWTH], dtype=float)


def mixed(start: Array, final: Array, grid: tuple[int, int], most: int, seed: int) -> Mixed:
    """The unstable cells with a final state; of more than `most`, so many drawn."""
    total = start[:, 3].sum(axis=(1, 2))
    rows = np.flatnonzero(np.isfinite(final).all(axis=(1, 2, 3)) & (final != start).any(axis=(1, 2, 3)) & (total > 0))
    if len(rows) > most:
        rows = np.sort(stream(seed, "subsample", 1).choice(rows, most, replace=False))
    described = [describe(start[some], grid, np) for some in chunks(rows)]
    change = (final[rows] - start[rows]) / total[rows, None, None, None]
    crossed = joined(Crossings, [(one.crossed, one.place) for one in described])
    return Mixed(crossed, joined(Shapes, [(one.shape, one.place) for one in described]), change.astype(np.float32))


def grown(start: Array, growth: Array, grid: tuple[int, int]) -> Grown:
    """The cells with a growth rate above 0 in which the grid's crossings agree that there is one."""
    rows = np.flatnonzero(growth > 0)
    features, rates, levels = [], [], []
    for some in chunks(rows):
        cells = describe(start[some], grid, np)
        unstable = cells.present.any(axis=1)
        features.append(spread(cells.shape.features, cells.place, np)[unstable])
        rates.append(spread(rate(cells.crossed, np), cells.place, np)[unstable])
        levels.append((growth[some] / (COUPLING * np.maximum(cells.total, 1e-200)))[unstable])
    return Grown(np.concatenate(features), np.concatenate(rates), np.concatenate(levels))


def chunks(rows: Array) -> list[Array]:
    """At least one, so that what is made of them has its shape."""
    return np.array_split(rows, max(1, -(-len(rows) // CHUNK)))


def joined(kind: type[T], parts: list[tuple[T, Array]]) -> T:
    """Dataclasses of rows, each with the places of its rows, as one of cells and pairs, in float32."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    wholes = ([spread(getattr(rows, name), place, np) for rows, place in parts] for name in names)
    return kind(*(_single(np.concatenate(whole)) for whole in wholes))


def _single(array: Any) -> Any:
    return array.astype(np.float32) if array.dtype == np.float64 else array
