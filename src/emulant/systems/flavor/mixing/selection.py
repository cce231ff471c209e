"""Of all pairs of flavors of cells, those that are worth working out, and the way back from them to the cells.

Pairs that are not (a pair that another equals, a pair without crossing) cost nothing then, whichever namespace runs.
Rows carry no cell: a `place`, one for every pair of every cell, tells which row is its own, 0 standing for none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from emulant.systems.flavor.fields import pairs


def chosen(mask: Any, xp: Any) -> tuple[Any, Any]:
    """Where a mask is true: indices (R,) into it, flattened; and `place`, of its shape.

    In graphs one more follows that is nobody's: ONNX Runtime 1.31 gets sums over the last axis of no rows wrong.
    """
    flat = mask.reshape(-1)
    rows = np.flatnonzero(flat) if xp is np else xp.concatenate([flat.nonzero()[:, 0], xp.zeros(1, dtype=xp.int64)], 0)
    place = xp.where(flat, xp.cumsum(xp.where(flat, 1, 0), 0), 0)
    return rows, place.reshape(mask.shape)


def spread(values: Any, place: Any, xp: Any) -> Any:
    """Rows (R, ...) to where they belong, (*place.shape, ...); 0 where there is none."""
    none = xp.zeros((1, *plain(values.shape[1:])), dtype=values.dtype)
    return xp.concatenate([none, values], 0)[place]


def plain(shape: Any) -> tuple[int, ...]:
    """Sizes that do not change from call to call as plain numbers, which a trace keeps as constants."""
    return tuple(int(size) for size in shape)


def distinct(f4: Any, xp: Any) -> tuple[Any, Any, Any]:
    """The pairs of flavors that are no copy of another, nor of two flavors alike: cells (R,), species (R, 4), place.

    Species are ν_a, ν_b, ν̄_a, ν̄_b as indices of the 2 NF of a cell; place is (C, P).
    """
    flavors = int(f4.shape[-1])
    among = pairs(flavors)
    differ = [~(f4[..., a] == f4[..., b]).all(-1).all(-1) for a, b in among]
    if flavors == 3:
        differ[1] = differ[1] & differ[2]  # with equal heavy flavors (e, τ) is (e, μ)
    rows, place = chosen(xp.stack(differ, 1), xp)
    if flavors == 3:
        copied = xp.where(differ[2], place[:, 1], place[:, 0])
        place = xp.stack([place[:, 0], copied, place[:, 2]], 1)
    species = xp.asarray(np.array([[a, b, flavors + a, flavors + b] for a, b in among]))
    return rows // len(among), species[rows % len(among)], place
