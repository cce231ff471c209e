"""Confidence intervals by the bootstrap over cases.

Cases that share a `group_key` are no independent evidence, so whole groups are drawn. One set of draws serves all
models and metrics, which makes every comparison a paired one: what is a hard case for one is in the same draw for the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from emulant.dataset.seams import Array
from emulant.dataset.seeds import stream


@dataclass(frozen=True)
class Estimate:
    """A statistic of the cases and its confidence interval; three arrays of one shape."""

    value: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Resampling:
    """Draws of the cases of a split.

    `weights` (R, C): how often case c is in draw r. `tail`: the share of draws left out on either side.
    """

    weights: Array
    tail: float

    def mean(self, values: Array) -> Estimate:
        """The mean over cases; `values` is (C, ...), NaN where a case is undefined, and the estimate (...)."""
        return self.statistic(lambda mean: mean, values)

    def rms(self, values: Array) -> Estimate:
        """The root of the mean over cases of mean squares (C, ...)."""
        return self.statistic(np.sqrt, values)

    def median(self, values: Array) -> Estimate:
        """The median over cases; `values` is (C, ...), NaN where a case is undefined, and the estimate (...)."""
        return self._ordered(_medians, values)

    def q95(self, values: Array) -> Estimate:
        """What 95 % of the cases do not exceed; `values` as in `median`."""
        return self._ordered(partial(_reached, share=0.95), values)

    def max(self, values: Array) -> Estimate:
        """The largest of the cases; `values` as in `median`. No draw exceeds it: its interval is one-sided."""
        return self._ordered(partial(_reached, share=1.0), values)

    def ratio(self, numerators: Array, denominators: Array) -> Estimate:
        """Sum over sum, (C, ...) each; a case counts where both are defined."""
        return self.statistic(np.divide, *_both_known(numerators, denominators))

    def rms_difference(self, own: Array, other: Array) -> Estimate:
        """Of mean squares (C, ...) each: the root of the one mean less that of the other; cases as in `ratio`."""
        return self.statistic(lambda one, two: np.sqrt(one) - np.sqrt(two), *_both_known(own, other))

    def _ordered(self, statistic: Callable[[Array, Array], Array], values: Array) -> Estimate:
        """A statistic of ordered cases, column by column."""
        flat = values.reshape(len(values), -1)
        ones = np.ones((1, len(values)))
        value, draws = (np.stack([statistic(weights, column) for column in flat.T]) for weights in (ones, self.weights))
        low, high = _quantiles(draws, self.tail)
        shape = values.shape[1:]
        return Estimate(value[:, 0].reshape(shape), low.reshape(shape), high.reshape(shape))

    def difference(self, first: Array, second: Array) -> Estimate:
        """The mean of `first` minus the mean of `second`, (C, ...) each, over the same draws of cases."""
        return self.statistic(lambda one, other: one - other, first, second)

    def statistic(self, function: Callable[..., Array], *values: Array) -> Estimate:
        """A function of means over cases, such as a ratio: `values` are (C, ...), its arguments (..., draws)."""
        with np.errstate(all="ignore"):  # diverged models bring infinities, and inf - inf is rightly NaN
            value = function(*(_means(np.ones((1, len(each))), each) for each in values))[..., 0]
            low, high = _quantiles(function(*(_means(self.weights, each) for each in values)), self.tail)
        # The mean of equal numbers may differ from itself by rounding.
        return Estimate(value, np.fmin(low, value), np.fmax(high, value))


def _both_known(first: Array, second: Array) -> tuple[Array, Array]:
    known = ~np.isnan(first + second)
    return np.where(known, first, np.nan), np.where(known, second, np.nan)


def resampling(group_keys: Sequence[str], *, resamples: int, confidence: float, seed: int) -> Resampling:
    """Draws of `resamples` times as many groups as there are, with replacement; all cases of a group come together.

    Percentile intervals of few groups are too narrow (n = 5: they hold 83 % where 95 % is said), so the percentiles
    are moved outwards as Hesterberg does ("expanded percentile", The American Statistician 69, 371, 2015): with n
    groups, tail = Φ(-√(n/(n-1)) t), where t is Student's quantile. A single group has no spread to show: its interval
    is its value, and `n` must be read with it.
    """
    _, group_of_case = np.unique(np.asarray(group_keys), return_inverse=True)
    groups = int(group_of_case.max()) + 1
    draws = stream(seed, "bootstrap").multinomial(groups, np.full(groups, 1 / groups), size=resamples)
    return Resampling(draws[:, group_of_case].astype(np.float64), _expanded_tail(groups, (1 - confidence) / 2))


def _expanded_tail(groups: int, tail: float) -> float:
    if groups < 2:
        return tail
    from scipy.special import ndtr, stdtrit  # a study file is read without scipy

    return float(ndtr(np.sqrt(groups / (groups - 1)) * stdtrit(groups - 1, tail)))


def _means(weights: Array, values: Array) -> Array:
    """Weighted means over the first axis: weights (R, C), values (C, ...) -> (..., R); NaN values do not count."""
    flat = values.reshape(len(values), -1).T
    finite = np.isfinite(flat)
    if finite.all():
        means = flat @ weights.T / weights.sum(axis=1)
    else:
        means = np.where(finite, flat, 0) @ weights.T / (~np.isnan(flat) @ weights.T)
        for infinity in (np.inf, -np.inf):
            means += np.where((flat == infinity) @ weights.T > 0, infinity, 0)
    return np.asarray(means.reshape(*values.shape[1:], len(weights)))


def _medians(weights: Array, values: Array) -> Array:
    """Medians (R,) of values (C,) that count as often as the weights (R, C) say; of two middle values the mean."""
    ordered, reached = _cumulated(weights, values)
    if not len(ordered):
        return np.full(len(weights), np.nan)
    half = reached[:, -1:] / 2
    lower, upper = (np.minimum((reached < edge).sum(axis=1), len(ordered) - 1) for edge in (half, half + 0.5))
    medians: Array = np.where(half[:, 0] > 0, (ordered[lower] + ordered[upper]) / 2, np.nan)
    return medians


def _reached(weights: Array, values: Array, share: float) -> Array:
    """The smallest of the values (C,) at which that share of the weights (R, C) is reached, for each draw."""
    ordered, reached = _cumulated(weights, values)
    if not len(ordered):
        return np.full(len(weights), np.nan)
    total = reached[:, -1:]
    index = np.minimum((reached < share * total * (1 - 1e-12)).sum(axis=1), len(ordered) - 1)
    found: Array = np.where(total[:, 0] > 0, ordered[index], np.nan)
    return found


def _cumulated(weights: Array, values: Array) -> tuple[Array, Array]:
    """The defined ones of the values (C,) in order, and the weight (R, ...) of each draw up to each of them."""
    known = ~np.isnan(values)
    order = np.argsort(values[known])
    return values[known][order], np.cumsum(weights[:, known][:, order], axis=1)


def _quantiles(samples: Array, tail: float) -> tuple[Array, Array]:
    """The order statistics of the last axis that leave `tail` outside on either side; NaN stay out of the count.

    Whole order statistics, not interpolations between them: those would make NaN of two infinities.
    """
    ordered = np.sort(samples, axis=-1)
    last = np.maximum(np.sum(~np.isnan(samples), axis=-1, keepdims=True) - 1, 0)
    outside = np.floor(tail * last).astype(np.intp)
    low, high = (np.take_along_axis(ordered, index, axis=-1)[..., 0] for index in (outside, last - outside))
    return low, high
