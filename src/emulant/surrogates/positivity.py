"""The nearest field that is nowhere negative and has the right total."""

from __future__ import annotations

import numpy as np

from emulant.dataset.seams import Array


def project(fields: Array, total: Array) -> Array:
    """Project each row onto the simplex {f >= 0, Σ f = total}, in the Euclidean sense.

    The truth lies in that convex set, so the distance to it cannot grow. Sort-based: Duchi, Shalev-Shwartz, Singer,
    Chandra, "Efficient projections onto the l1-ball", ICML 2008, figure 1.

    Args:
        fields: (..., n), finite.
        total: (...), not negative; the sum over the n cells that each row gets.
    """
    total = np.asarray(total, dtype=float)[..., None]
    descending = -np.sort(-fields, axis=-1)
    excess = np.cumsum(descending, axis=-1) - total
    support = np.count_nonzero(descending * np.arange(1, fields.shape[-1] + 1) > excess, axis=-1, keepdims=True)
    support = np.maximum(support, 1)  # a total of zero has no support
    threshold = np.take_along_axis(excess, support - 1, axis=-1) / support
    return np.asarray(np.maximum(fields - threshold, 0.0))
