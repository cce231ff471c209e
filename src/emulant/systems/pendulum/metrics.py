"""Scores of forecast pendulums: errors per dimension, valid prediction times under their published names, energy.

`state` is (C, H, 4) = θ1, θ2, ω1, ω2. The features of a state are sin θ1, sin θ2, cos θ1, cos θ2, ω1, ω2; NRSE(t) is
the root of the mean over them of squared errors, each over its standard deviation in the training split.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from emulant.dataset.seams import Array, Dataset, Fields, Metric
from emulant.systems.pendulum.config import PARAMETERS, STATE

Info = Mapping[str, Any]
BATCH_CASES = 64


def features(states: Array) -> Array:
    """(..., 4) -> (..., 6); inf where the state is."""
    with np.errstate(invalid="ignore"):
        angles, velocities = states[..., :2], states[..., 2:]
        found = np.concatenate([np.sin(angles), np.cos(angles), velocities], axis=-1)
    return np.where(np.isnan(found), np.inf, found)


def spread(train: Dataset) -> Array:
    """(6,) standard deviations of the features over all samples of the training split."""
    count, total, squares = 0, np.zeros(6), np.zeros(6)
    for batch in train.batches(BATCH_CASES, ["state"]):
        values = features(batch["state"]).reshape(-1, 6)
        count, total, squares = count + len(values), total + values.sum(axis=0), squares + (values**2).sum(axis=0)
    return np.asarray(np.sqrt(squares / count - (total / count) ** 2))


def nrse(truth: Fields, forecast: Fields, info: Info) -> Array:
    """(C, H); inf where the forecast has diverged."""
    with np.errstate(over="ignore", invalid="ignore"):
        error = (features(forecast["state"]) - features(truth["state"])) / info["sigma"]
        found = np.sqrt((error**2).mean(axis=-1))
    return np.where(np.isnan(found), np.inf, found)


def smape(truth: Fields, forecast: Fields, info: Info) -> Array:
    """(C, H), on the scale of 0 to 200 (Zhang and Gilpin, arXiv 2409.15771)."""
    with np.errstate(over="ignore", invalid="ignore"):
        x, y = features(truth["state"]), features(forecast["state"])
        found = 200 * (np.abs(x - y) / (np.abs(x) + np.abs(y) + 1e-10)).mean(axis=-1)
    return np.where(np.isnan(found), 200.0, found)


def valid_time(truth: Fields, forecast: Fields, info: Info, *, error: Any, above: float) -> Array:
    """(C, H) s before the first step whose error is above the threshold, as far as the horizon goes."""
    good = np.logical_and.accumulate(error(truth, forecast, info) <= above, axis=1)
    return np.asarray(np.cumsum(good, axis=1) * _step(info))


def in_lyapunov_times(truth: Fields, forecast: Fields, info: Info, *, error: Any, above: float) -> Array:
    """The same in units of each trajectory's own 1/λ1; undefined (NaN) for regular cases."""
    seconds = valid_time(truth, forecast, info, error=error, above=above)
    cases = info["cases"]
    exponents = np.where(cases["family"].to_numpy() == "chaotic", cases["lyapunov_1"].to_numpy(), np.nan)
    return np.asarray(seconds * exponents[:, None])


def mean_square(truth: Fields, forecast: Fields, info: Info, *, component: int) -> Array:
    """(C, H) mean squared error of one component up to each horizon; angles are wrapped to (-π, π]."""
    with np.errstate(over="ignore", invalid="ignore"):
        error = forecast["state"][..., component] - truth["state"][..., component]
        if component < 2:
            error = -((-error + np.pi) % (2 * np.pi) - np.pi)
        squares = np.where(np.isnan(error), np.inf, error**2)
        return np.asarray(np.cumsum(squares, axis=1) / np.arange(1, squares.shape[1] + 1))


def cumulative_maximum(truth: Fields, forecast: Fields, info: Info) -> Array:
    """(C, H) mean over time of min(1, the largest NRSE so far) (after arXiv 2407.20158)."""
    worst = np.minimum(np.maximum.accumulate(nrse(truth, forecast, info), axis=1), 1.0)
    return np.asarray(np.cumsum(worst, axis=1) / np.arange(1, worst.shape[1] + 1))


def energy_error(truth: Fields, forecast: Fields, info: Info) -> Array:
    """(C, H) J: how far the forecast's energy at each time is from the truth's at its start."""
    from emulant.systems.pendulum.equations import energy  # compiled

    parameters = np.stack([info["cases"][name].to_numpy() for name in PARAMETERS], axis=-1)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        drift = np.abs(energy(forecast["state"], parameters) - energy(truth["state"][:, :1], parameters))
    return np.where(np.isnan(drift), np.inf, drift)


def measured(truth: Fields, forecast: Fields, info: Info, *, quantity: str) -> Array:
    """(C,) of the model itself (see `surrogate_lyapunov`); NaN where it has not been measured."""
    found: Array = info["probe"].get(quantity, np.full(len(info["cases"]), np.nan))
    return found


def _step(info: Info) -> float:
    return float(info["times"][0])


def _valid(name: str, error: Any, above: float, scale: str = "") -> dict[str, Metric]:
    text = f"time before the first step with {name} above {above:g}{scale}"
    seconds, lyapunov = (
        partial(valid_time, error=error, above=above),
        partial(in_lyapunov_times, error=error, above=above),
    )
    key = f"vpt_{name.lower()}_{above:g}"
    return {
        key: Metric(seconds, "s", f"valid prediction time: {text}", "higher", np.inf),
        f"{key}_lyapunov": Metric(lyapunov, "1", f"{text}, in Lyapunov times of that very case", "higher", np.inf),
    }


MEASURED = {
    "lyapunov_surrogate": ("1/s", "mean largest Lyapunov exponent of the model's own rollouts"),
    "lyapunov_true": ("1/s", "mean largest Lyapunov exponent of the truth, of the same cases over the same time"),
    "lyapunov_error": ("1", "median |λ' - λ| / λ of the chaotic cases, λ' of the model's rollout"),
}
"""Of the surrogates themselves; `n` says of how many cases: those that run away have no exponent."""

METRICS: Mapping[str, Metric] = {
    **_valid("NRSE", nrse, 0.4),
    **_valid("NRSE", nrse, 0.5),
    **_valid("sMAPE", smape, 30, " on its scale of 0 to 200"),
    "cme": Metric(cumulative_maximum, "1", "cumulative maximum error, NRSE capped at 1", "lower"),
    "energy_drift": Metric(energy_error, "J", "median |E(forecast) - E(start)| then", "lower", aggregate="median"),
    **{
        f"rmse_{name}": Metric(
            partial(mean_square, component=index),
            "rad/s" if name.endswith("dot") else "rad",
            f"root mean square error of {name} over cases and times",
            "lower",
            aggregate="rms",
        )
        for index, name in enumerate(STATE)
    },
    **{
        name: Metric(
            partial(measured, quantity=name),
            unit,
            meaning,
            "lower",
            aggregate="median" if name == "lyapunov_error" else "mean",
            horizons=(),
        )
        for name, (unit, meaning) in MEASURED.items()
    },
}
"""VPT first: the columns of the report follow this order."""
