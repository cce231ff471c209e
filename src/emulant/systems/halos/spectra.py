"""Power spectra of square maps, and what is made of them. k in h/Mpc; normalisations that cancel are left out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.seams import Array

Vector = NDArray[np.float64]

BANDS = ((1.0, 3.0), (3.0, 8.0), (8.0, 20.0), (20.0, 60.0))
"""Bands of the scores, one beginning where the other ends."""
MIDDLES = tuple(float(np.sqrt(low * high)) for low, high in BANDS)


def contrast(maps: Array) -> NDArray[np.float64]:
    """(..., r, r) over the mean of each map, minus one; zeros for a map that is empty."""
    values = np.asarray(maps, np.float64)
    mean = values.mean(axis=(-2, -1), keepdims=True)
    return np.asarray(np.where(mean > 0, values / np.where(mean > 0, mean, 1.0) - 1, 0.0))


def power(maps: Array, side: float, edges: Array | Sequence[float], other: Array | None = None) -> Vector:
    """Mean |FFT|² (or the real part of the cross spectrum with `other`) of maps in bins of wave number.

    Args:
        maps: (..., r, r)
        side: Mpc/h along one side.
        edges: (bins + 1,)
        other: (..., r, r)

    Returns:
        (..., bins); NaN where a bin has no wave.
    """
    from scipy.fft import rfft2

    values = np.asarray(maps, np.float64)
    waves = rfft2(values)
    cross = waves * np.conj(waves if other is None else rfft2(np.asarray(other, np.float64)))
    bins, weights = _bins(values.shape[-1], float(side), tuple(float(edge) for edge in edges))
    kept = bins >= 0
    flat = cross.real[..., kept] * weights[kept]
    made = np.full((*values.shape[:-2], len(edges) - 1), np.nan)
    for index in range(len(edges) - 1):
        chosen = bins[kept] == index
        if chosen.any():
            made[..., index] = flat[..., chosen].sum(axis=-1) / weights[kept][chosen].sum()
    return made


def band_power(maps: Array, side: float, other: Array | None = None) -> Vector:
    """The same in `BANDS`, (..., bands)."""
    return power(maps, side, (BANDS[0][0], *(high for _, high in BANDS)), other)


def log_edges(side: float, pixels: int, count: int) -> Vector:
    """Edges of logarithmic bins from the fundamental to the Nyquist wave number; each holds some wave."""
    fundamental = 2 * np.pi / side
    edges = np.geomspace(0.999 * fundamental, 1.001 * fundamental * pixels / 2, count + 1)
    bins, _ = _bins(pixels, float(side), tuple(edges))
    filled = [index for index in range(count) if (bins == index).any()]
    return np.append(edges[filled], edges[-1])


def wave_numbers(pixels: int, side: float) -> Vector:
    """(r, r // 2 + 1) |k| of `rfft2`."""
    along = 2 * np.pi / side * np.fft.fftfreq(pixels, 1 / pixels)
    across = 2 * np.pi / side * np.fft.rfftfreq(pixels, 1 / pixels)
    return np.asarray(np.hypot(along[:, None], across[None, :]))


@lru_cache(maxsize=32)
def _bins(pixels: int, side: float, edges: tuple[float, ...]) -> tuple[NDArray[np.intp], Vector]:
    """The bin of every wave (-1: none) and how often it stands in the full transform."""
    bins = np.digitize(wave_numbers(pixels, side), edges) - 1
    bins[bins >= len(edges) - 1] = -1
    bins[0, 0] = -1
    weights = np.full(bins.shape, 2.0)
    weights[:, 0] = 1.0
    if pixels % 2 == 0:
        weights[:, -1] = 1.0
    return bins, weights
