"""Scores of a field's forecast as functions of lead time.

Every function takes the target fields of truth and forecast, (C, H, ...) each, and gives (C, H): entry h is the score
over the first h + 1 forecast frames. NaN says that the score is undefined for that case (a truth without variance
has no r2). A diverged forecast is not undefined: it scores inf or -inf, without a warning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from emulant.dataset.seams import Array, Fields, Metric

Info = Mapping[str, Any]

DIVERGED_FACTOR = 1e3


def r2(truth: Fields, forecast: Fields, info: Info, *, field: str) -> Array:
    """1 - Σ(f - ρ)² / Σ(ρ - m)², sums over space and time, m the case's own space-time mean over those frames."""
    squares, variation = _cumulated_squares(truth, forecast, field), _cumulated_variation(truth[field])
    with np.errstate(all="ignore"):
        return np.where(variation > 0, 1 - squares / variation, np.nan)


def rmse(truth: Fields, forecast: Fields, info: Info, *, field: str) -> Array:
    """Root of the mean squared difference over space and time, in the field's unit."""
    frames = np.arange(1, truth[field].shape[1] + 1)
    return np.asarray(np.sqrt(_cumulated_squares(truth, forecast, field) / (frames * _cells(truth[field]).shape[2])))


def rel_l2(truth: Fields, forecast: Fields, info: Info, *, field: str) -> Array:
    """Median over frames of ‖f - ρ‖ / ‖ρ‖."""
    errors = relative_errors(truth, forecast, field)
    medians = [np.median(errors[:, : last + 1], axis=1) for last in range(errors.shape[1])]
    return np.stack(medians, axis=1)


def mass_error(truth: Fields, forecast: Fields, info: Info, *, field: str) -> Array:
    """Largest over frames of |∫f - ∫ρ| / |∫ρ|; cells are of equal size, so their sum stands for the integral."""
    with np.errstate(all="ignore"):
        mass = _cells(truth[field]).sum(axis=2, dtype=np.float64)
        error = np.abs(_cells(forecast[field]).sum(axis=2, dtype=np.float64) - mass) / np.abs(mass)
    error[np.isnan(error)] = np.inf  # +inf and -inf in one frame have no sum
    error[mass == 0] = np.nan
    return np.asarray(np.maximum.accumulate(error, axis=1))


def negativity(truth: Fields, forecast: Fields, info: Info, *, field: str) -> Array:
    """Share of cells, over space and time, where f < 0."""
    shares = (_cells(forecast[field]) < 0).mean(axis=2)
    return np.asarray(np.cumsum(shares, axis=1) / np.arange(1, shares.shape[1] + 1))


def tau_tol(
    truth: Fields, forecast: Fields, info: Info, *, field: str, tolerance: float = 0.1, window: int = 10
) -> Array:
    """Lead time at which the rolling mean of the per-frame ‖f - ρ‖ / ‖ρ‖ reaches the tolerance.

    The mean is over the last `window` frames, fewer at the start. A forecast that never gets there has the full
    horizon. `info["times"]` are the lead times (H,).
    """
    errors = relative_errors(truth, forecast, field)
    padded = np.pad(errors, ((0, 0), (window - 1, 0)))
    with np.errstate(over="ignore"):
        sums = np.lib.stride_tricks.sliding_window_view(padded, window, axis=1).sum(axis=2)
    reached = sums / np.minimum(np.arange(1, errors.shape[1] + 1), window) >= tolerance
    times = np.asarray(info["times"], dtype=np.float64)
    crossing = np.where(reached.any(axis=1), times[reached.argmax(axis=1)], np.inf)
    tau = np.minimum(times, crossing[:, None])
    return np.where(np.logical_or.accumulate(np.isnan(sums), axis=1), np.nan, tau)


def diverged(truth: Fields, forecast: Fields, info: Info) -> Array:
    """1 from the frame on at which any field is not finite or 10³ times the largest norm of its truth, 0 before."""
    gone = np.zeros(next(iter(truth.values())).shape[:2], dtype=bool)
    for field, array in truth.items():
        largest = np.sqrt(_squares(array)).max(axis=1, keepdims=True)
        norm = np.sqrt(_squares(forecast[field]))
        gone |= ~np.isfinite(norm) | (norm > DIVERGED_FACTOR * np.where(largest > 0, largest, np.inf))
    return np.logical_or.accumulate(gone, axis=1).astype(np.float64)


DIVERGED = Metric(
    diverged, "1", "share of cases whose forecast is not finite or beyond 1000 times the truth's norm", "lower"
)
"""Scored for every forecast, beside the metrics that the system names."""


def diverged_at_once(truth: Fields, prediction: Fields, info: Info) -> Array:
    """1 for a case whose prediction is not finite."""
    gone = [~np.isfinite(array.reshape(len(array), -1)).all(axis=1) for array in prediction.values()]
    return np.asarray(np.logical_or.reduce(gone), dtype=np.float64)


DIVERGED_AT_ONCE = Metric(diverged_at_once, "1", "share of cases whose prediction is not finite", "lower")
"""Scored for every emulator, beside the metrics that the system names."""


def field_metrics(field: str, *, unit: str = "1", time_unit: str = "s") -> dict[str, Metric]:
    """The metrics of one field by name: r2, rmse, rel_l2, mass_error, negativity, tau_tol."""

    def metric(score: Any, *rest: Any) -> Metric:
        return Metric(partial(score, field=field), *rest)

    return {
        "r2": metric(r2, "1", "1 - squared error / the truth's variation about its own mean", "higher", 1.0),
        "rmse": metric(rmse, unit, "root mean squared error over space and time", "lower"),
        "rel_l2": metric(rel_l2, "1", "median over frames of the error's norm / the truth's norm", "lower"),
        "mass_error": metric(mass_error, "1", "largest relative deviation of the field's integral", "lower"),
        "negativity": metric(negativity, "1", "share of cells where the forecast is below zero", "lower"),
        "tau_tol": metric(
            tau_tol, time_unit, "lead time until the rolling relative error reaches 10 %", "higher", math.inf
        ),
    }


def relative_errors(truth: Fields, forecast: Fields, field: str) -> Array:
    """(C, H) ‖f - ρ‖ / ‖ρ‖ of each single frame; NaN where the truth is zero everywhere."""
    norms = np.sqrt(_squares(truth[field]))
    with np.errstate(all="ignore"):
        return np.where(norms > 0, np.sqrt(_squared_errors(truth, forecast, field)) / norms, np.nan)


def _cells(array: Array) -> Array:
    return array.reshape(*array.shape[:2], -1)


def _squares(array: Array) -> Array:
    """(C, H) sums over space of array²."""
    cells = np.asarray(_cells(array), dtype=np.float64)
    with np.errstate(over="ignore"):
        return np.asarray(np.vecdot(cells, cells))


def _squared_errors(truth: Fields, forecast: Fields, field: str) -> Array:
    return _squares(np.subtract(forecast[field], truth[field], dtype=np.float64))


def _cumulated_squares(truth: Fields, forecast: Fields, field: str) -> Array:
    with np.errstate(over="ignore"):
        return np.cumsum(_squared_errors(truth, forecast, field), axis=1)


def _cumulated_variation(array: Array) -> Array:
    """(C, H) Σ(ρ - m)² over the first h + 1 frames, m their mean; 0 where only rounding is left of it.

    Within frames plus between frames, all about the first frame's mean: a mass that stays puts exactly
    nothing between frames, and a large mean costs no digits.
    """
    cells = np.asarray(_cells(array), dtype=np.float64)
    means = cells.mean(axis=2)
    within = np.cumsum(_squares(cells - means[:, :, None]), axis=1)
    shifts, frames = means - means[:, :1], np.arange(1, array.shape[1] + 1)
    between = np.cumsum(shifts**2, axis=1) - np.cumsum(shifts, axis=1) ** 2 / frames
    variation = within + cells.shape[2] * between
    rounding = frames * cells.shape[2] * (8 * np.finfo(np.float64).eps * np.abs(means).max(axis=1, keepdims=True)) ** 2
    return np.where(variation > rounding, variation, 0.0)
