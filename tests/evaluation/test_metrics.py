"""Definitions against plain loops, invariances, and what a diverged forecast scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.evaluation.metrics import DIVERGED, field_metrics

METRICS = field_metrics("rho", unit="1/length²")


def scores(name, truth, forecast, step=0.1):
    info = {"times": np.arange(1, truth.shape[1] + 1) * step, "geometry": {}}
    metric = DIVERGED if name == "diverged" else METRICS[name]
    return metric.score({"rho": truth}, {"rho": forecast}, info)


def by_loops(name, truth, forecast, step=0.1):
    """The definitions of the metrics for one case, read off word by word."""
    result = []
    for h in range(len(truth)):
        rho, f = truth[: h + 1], forecast[: h + 1]
        error = [np.linalg.norm(f[t] - rho[t]) / np.linalg.norm(rho[t]) for t in range(h + 1)]
        if name == "r2":
            value = 1 - np.sum((f - rho) ** 2) / np.sum((rho - rho.mean()) ** 2)
        elif name == "rmse":
            value = math.sqrt(np.mean((f - rho) ** 2))
        elif name == "rel_l2":
            value = np.median(error)
        elif name == "mass_error":
            value = max(abs(f[t].sum() - rho[t].sum()) / abs(rho[t].sum()) for t in range(h + 1))
        elif name == "negativity":
            value = np.mean(f < 0)
        elif name == "tau_tol":
            rolling = [np.mean(error[max(0, t - 9) : t + 1]) for t in range(h + 1)]
            value = next((step * (t + 1) for t in range(h + 1) if rolling[t] >= 0.1), step * (h + 1))
        result.append(value)
    return result


def fields(seed, cases=3, frames=15, noise=0.1):
    """A positive field whose mass changes, and a forecast whose error grows from a tenth of the noise."""
    random = np.random.default_rng(seed)
    truth = random.random((cases, frames, 4, 5)) + random.random((cases, frames, 1, 1))
    growth = noise * np.linspace(0.1, 1, frames)[:, None, None]
    return truth, truth + growth * random.normal(size=truth.shape)


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), noise=st.sampled_from([0.05, 0.3, 3.0]))
def test_a_metric_is_its_definition_at_every_lead_time(name, seed, noise):
    truth, forecast = fields(seed, noise=noise)
    expected = [by_loops(name, *case) for case in zip(truth, forecast, strict=True)]
    assert scores(name, truth, forecast) == pytest.approx(np.array(expected), rel=1e-10, abs=1e-14)


def test_tau_forgets_what_is_ten_frames_old():
    """No error for 20 frames, then 0.35 on each: the mean over ten frames is 0.07 after two and 0.105 after three."""
    truth = np.ones((1, 30, 2, 2))
    forecast = truth.copy()
    forecast[:, 20:] = 1.35
    tau = scores("tau_tol", truth, forecast)[0]
    assert tau[:23] == pytest.approx(np.arange(1, 24) * 0.1)
    assert tau[23:] == pytest.approx(2.3)


def test_an_empty_cell_is_not_negative():
    truth = np.zeros((1, 2, 2, 2))
    forecast = truth.copy()
    forecast[0, 1, 0, 0] = -1e-300
    assert scores("negativity", truth, forecast).tolist() == [[0, 0.125]]


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_forecast(name):
    truth, _ = fields(1)
    perfect = np.arange(1, 16) * 0.1 if name == "tau_tol" else METRICS[name].perfect
    assert np.array_equal(scores(name, truth, truth.copy()), np.broadcast_to(perfect, (3, 15)))


def test_the_flat_field_scores_zero():
    truth, _ = fields(2)
    truth /= truth.sum(axis=(2, 3), keepdims=True)
    flat = np.broadcast_to(truth.mean(axis=(1, 2, 3), keepdims=True), truth.shape)
    assert scores("r2", truth, flat)[:, -1] == pytest.approx(0, abs=1e-12)
    assert scores("mass_error", truth, flat) == pytest.approx(0, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-6, 1e6), seed=st.integers(0, 1000))
def test_scores_do_not_depend_on_the_unit_of_the_field(scale, seed):
    truth, forecast = fields(seed)
    for name in ("r2", "rel_l2", "mass_error", "negativity"):
        assert scores(name, scale * truth, scale * forecast) == pytest.approx(scores(name, truth, forecast), rel=1e-8)
    assert scores("rmse", scale * truth, scale * forecast) == pytest.approx(scale * scores("rmse", truth, forecast))


def test_a_large_mean_costs_r2_no_digits():
    truth, forecast = fields(4)
    assert scores("r2", truth + 1e6, forecast + 1e6) == pytest.approx(scores("r2", truth, forecast), rel=1e-7)


def test_a_constant_truth_has_no_r2():
    truth = np.full((1, 6, 4, 5), 0.1)
    assert np.isnan(scores("r2", truth, truth + 1)).all()
    truth[:, 3:] = 0.2
    assert np.array_equal(np.isnan(scores("r2", truth, truth + 1))[0], [True, True, True, False, False, False])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("wrong", ["inf", "-inf", "both", "huge"])
def test_a_diverged_forecast_scores_badly_and_without_a_warning(dtype, wrong):
    truth, forecast = fields(5)
    truth, forecast = truth.astype(dtype), forecast.astype(dtype)
    value = {"inf": np.inf, "-inf": -np.inf, "both": np.inf, "huge": np.finfo(dtype).max / 2}[wrong]
    forecast[0, 4:] = value
    if wrong == "both":
        forecast[0, 4:, 0] = -np.inf
    before = {name: scores(name, truth[:, :4], forecast[:, :4]) for name in METRICS}
    for name in METRICS:
        after = scores(name, truth, forecast)
        assert not np.isnan(after).any()
        assert after[:, :4] == pytest.approx(before[name])
    assert (scores("r2", truth, forecast)[0, 4:] < -1e60).all()
    if wrong == "huge" and dtype == np.float32:  # squares are summed in double precision
        assert np.isfinite(scores("r2", truth, forecast)).all()
    assert (scores("rmse", truth, forecast)[0, 4:] > 1e30).all()
    assert (scores("mass_error", truth, forecast)[0, 4:] > 1e30).all()
    assert scores("rel_l2", truth, forecast)[0, -1] > 1e30
    assert scores("tau_tol", truth, forecast)[0, -1] <= 0.5
    assert np.array_equal(scores("diverged", truth, forecast)[0], [0] * 4 + [1] * 11)
    assert not scores("diverged", truth, forecast)[1:].any()


def test_diverged_means_a_thousand_times_the_largest_norm_of_the_truth():
    truth = np.ones((2, 4, 3, 3))
    truth[:, 2] = 2
    forecast = truth.copy()
    forecast[0, 1] = 1999
    forecast[1, 1] = 2001
    assert np.array_equal(scores("diverged", truth, forecast), [[0, 0, 0, 0], [0, 1, 1, 1]])


def test_against_an_empty_truth_only_infinity_has_diverged():
    truth = np.zeros((2, 3, 2, 2))
    forecast = truth + 5
    forecast[1, 2, 0, 0] = np.inf
    assert np.array_equal(scores("diverged", truth, forecast), [[0, 0, 0], [0, 0, 1]])
    assert np.isnan(scores("rel_l2", truth, forecast)).all()
    assert np.isnan(scores("tau_tol", truth, forecast)).all()
    assert np.isnan(scores("mass_error", truth, forecast)).all()


def test_single_precision_is_summed_in_double():
    truth, forecast = fields(6)
    large = [(1e25 * array).astype(np.float32) for array in (truth, forecast)]
    for name in ("r2", "rel_l2", "mass_error"):
        assert scores(name, *large) == pytest.approx(scores(name, truth, forecast), rel=1e-4, abs=1e-6)


def test_counts_that_wrap_around_do_not():
    truth, forecast = np.full((1, 2, 2, 2), 3, dtype=np.uint8), np.full((1, 2, 2, 2), 1, dtype=np.uint8)
    assert scores("rmse", truth, forecast).tolist() == [[2, 2]]


def test_one_number_per_frame_is_a_field_too():
    random = np.random.default_rng(0)
    truth, forecast = random.random((2, 2, 9))
    truth, forecast = truth[None], forecast[None]
    assert scores("rmse", truth, forecast)[0, -1] == pytest.approx(np.sqrt(np.mean((truth - forecast) ** 2)))
