"""Never worse than the climate: a forecast fades into the mean field as it loses touch with the truth.

f_h becomes λ_h f_h + (1 - λ_h) c at lead h, c being the climatology. λ comes from held-out folds of training cases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self, TypeAlias

import numpy as np

from emulant.dataset.seams import Array, Context, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates.tuning import folds

DIVERGED = 1e3
"""A rollout whose norm is this many times the largest of the training frames has diverged."""

Forecast: TypeAlias = Callable[[Context, int], Array]
"""The target field (C, H, ...) from a context and H."""


@dataclass(frozen=True)
class Blend:
    """The weights λ and what they need."""

    climatology: Array
    """(...) the mean training frame."""
    weights: Array
    """(H,) λ at lead 1 ... H frames, in [0, 1], never increasing."""
    limit: float
    """The norm of a frame's anomaly beyond which a rollout has diverged."""
    diverged: int
    """Held-out rollouts that did."""

    @classmethod
    def fit(cls, train: Dataset, fit: Callable[[Dataset], Forecast], *, lag: int, count: int, target: str) -> Self:
        """Least squares on the held-out cases of `count` folds of the training cases.

        Each case counts in units of its own variance, so what is maximised is the mean R². Forecasts start at the
        first possible frame, where a swarm has seen least. Per fold the climatology is that of the kept cases.

        Args:
            train: The training cases.
            fit: Fits the surrogate without blend on a part of them.
            lag: Frames of context.
            count: Number of folds.
            target: The field that is forecast.

        Raises:
            SurrogateError: Fewer than two independent cases, or no case longer than `lag`.
        """
        parts = []
        for kept, held in folds(train.cases, count):
            part = train.select(kept)
            climatology, limit = _climate(part, target)
            parts.append(_overlaps(train.select(held), fit(part), climatology, limit, lag, target))
        agreements, sizes, diverged = zip(*parts, strict=True)
        climatology, limit = _climate(train, target)
        weights = non_increasing(np.sum(agreements, axis=0), np.sum(sizes, axis=0))
        return cls(climatology, weights, limit, sum(diverged))

    def at(self, horizon: int) -> Array:
        """λ at lead 1 ... horizon.

        Beyond the H leads that held-out cases could show, λ goes on as it went, geometrically at the rate of its
        last half, times H/(H + j) at lead H + j. That factor is the chance that what has lasted for H lasts for j
        more when its time scale is unknown (a scale-free prior), so trust ends even where no decline was seen.
        Too small a λ costs little and too large a one much: the squared error is a parabola in λ, and any value
        up to twice the best one beats the climatology.
        """
        seen = len(self.weights)
        middle = seen // 2
        first, last = self.weights[middle], self.weights[-1]
        rate = (last / first) ** (1 / max(seen - 1 - middle, 1)) if first > 0 else 0.0
        beyond = np.arange(1, max(horizon - seen, 0) + 1)
        return np.concatenate([self.weights, last * rate**beyond * seen / (seen + beyond)])[:horizon]

    def apply(self, forecast: Array) -> Array:
        """Blend (C, H, ...).

        A case that diverges is climatology from that frame on, and beyond the leads that were seen no anomaly may be
        larger than it was there: growth that no held-out case has shown is the closed loop's own.
        """
        anomaly, _ = converged(forecast, self.climatology, self.limit)
        seen, axes = len(self.weights), [1] * self.climatology.ndim
        size = _norms(anomaly)
        largest = size[:, min(seen, size.shape[1]) - 1, None]
        scale = np.minimum(1.0, largest / np.maximum(size, np.finfo(float).tiny))
        scale[:, :seen] = 1.0
        weights = self.at(forecast.shape[1]) * scale
        return np.asarray(self.climatology + weights.reshape(*weights.shape, *axes) * anomaly)

    def arrays(self) -> dict[str, Array]:
        """What a file of weights holds of it, beside the climatology."""
        return {
            "blend_weights": self.weights,
            "blend_limit": np.array(self.limit),
            "blend_diverged": np.array(self.diverged),
        }

    AXES: ClassVar[Mapping[str, int]] = {"blend_weights": 1, "blend_limit": 0, "blend_diverged": 0}

    @classmethod
    def from_arrays(cls, climatology: Array, arrays: Mapping[str, Array]) -> Self | None:
        """The blend that `arrays` wrote, None if there was none."""
        if not cls.AXES.keys() <= arrays.keys():
            return None
        return cls(climatology, arrays["blend_weights"], float(arrays["blend_limit"]), int(arrays["blend_diverged"]))


def converged(forecast: Array, climatology: Array, limit: float) -> tuple[Array, Array]:
    """The anomaly of (C, H, ...) from the climatology, 0 from where a case has diverged; and which cases (C,) did."""
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is about to be replaced
        anomaly = forecast - climatology
        norm = _norms(anomaly)
    lost: Array = np.logical_or.accumulate(~(norm <= limit), axis=1)
    anomaly[lost] = 0.0
    return anomaly, lost[:, -1]


def _norms(fields: Array) -> Array:
    """(C, H, ...) -> (C, H)"""
    return np.asarray(np.sqrt(np.sum(fields**2, axis=tuple(range(2, fields.ndim)))))


def non_increasing(agreement: Array, size: Array) -> Array:
    """The non-increasing λ in [0, 1] with the smallest Σ_h size_h λ_h² - 2 agreement_h λ_h."""
    from scipy.optimize import isotonic_regression

    size = np.maximum(size, np.finfo(float).tiny)
    weights = isotonic_regression(agreement / size, weights=size, increasing=False).x
    return np.asarray(np.clip(weights, 0.0, 1.0))


def _climate(dataset: Dataset, target: str) -> tuple[Array, float]:
    """The mean frame, and the norm from which on a rollout has diverged."""
    total, count, largest = 0.0, 0, 0.0
    for batch in dataset.batches(16, [target]):
        frames = batch[target]
        total = total + frames.sum(axis=(0, 1))
        count += frames.shape[0] * frames.shape[1]
        largest = max(largest, float(np.sum(frames.reshape(*frames.shape[:2], -1) ** 2, axis=2).max()))
    return np.asarray(total / count), DIVERGED * np.sqrt(largest)


def _overlaps(
    held: Dataset, forecast: Forecast, climatology: Array, limit: float, lag: int, target: str
) -> tuple[Array, Array, int]:
    """Per lead <f - c, t - c> and <f - c, f - c> over the cases, and how many rollouts diverged."""
    time_axis = held.schema[target].dims[0]
    names = [name for name, field in held.schema.items() if field.dims[:1] == (time_axis,) and name != "times"]
    arrays = held.read(names)
    horizon = arrays[target].shape[1] - lag
    if horizon < 1:
        raise SurrogateError(
            f"Training cases have {arrays[target].shape[1]} frames; blending needs more than lag = {lag}.",
            "Simulate longer cases, or set `blend = false`.",
        )
    step = float(held.geometry.get("step", 1.0))
    context = Context(
        {name: array[:, :lag].copy() for name, array in arrays.items()}, step * np.arange(lag), step, held.geometry
    )
    anomaly, lost = converged(forecast(context, horizon), climatology, limit)
    truth = arrays[target][:, lag:]
    cells = tuple(range(2, truth.ndim))
    spread = np.var(truth, axis=tuple(range(1, truth.ndim)), keepdims=True)
    scaled = anomaly / spread
    agreement = np.sum(scaled * (truth - climatology), axis=cells).sum(axis=0)
    return agreement, np.sum(scaled * anomaly, axis=cells).sum(axis=0), int(lost.sum())
