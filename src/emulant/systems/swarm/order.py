"""Order parameters of a swarm, per frame."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Frames = NDArray[np.float64]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _resultant(angles: Frames, fold: int) -> Frames:
    """|mean exp(i fold θ)| of every row. Compiled: the bits do not hang on numpy's vector functions."""
    lengths = np.empty(len(angles))
    for t in range(len(angles)):
        c, s = 0.0, 0.0
        for angle in angles[t]:
            c += math.cos(fold * angle)
            s += math.sin(fold * angle)
        lengths[t] = math.sqrt(c * c + s * s) / angles.shape[1]
    return lengths


def polarization(headings: Frames) -> Frames:
    """|mean u| of the unit headings u: 1 for a flock, O(1/√N) for disorder.

    Args:
        headings: (T, N) rad.

    Returns:
        (T,).
    """
    value: Frames = _resultant(np.ascontiguousarray(headings), 1)
    return value


def nematic(headings: Frames) -> Frames:
    """|mean exp(2iθ)|, twice the largest eigenvalue of mean(u uᵀ) - I/2: 1 also for two opposed flocks.

    Args:
        headings: (T, N) rad.

    Returns:
        (T,).
    """
    value: Frames = _resultant(np.ascontiguousarray(headings), 2)
    return value


def mean_speed(speeds: Frames) -> Frames:
    """mean |v|.

    Args:
        speeds: (T, N) length per s.

    Returns:
        (T,).
    """
    value: Frames = np.add.reduce(speeds, axis=1) / speeds.shape[1]
    return value
