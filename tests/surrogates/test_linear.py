from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulant.dataset.seams import Forecaster
from emulant.errors import SurrogateError
from emulant.surrogates.baselines.linear import Linear
from emulant.surrogates.sequence_tables import LinearTable


def oscillators(cases: int, frames: int, seed: int) -> dict[str, Any]:
    """(C, T, 2) of one linear map."""
    angle = 0.3
    turn = 0.99 * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    states = [np.random.default_rng(seed).normal(size=(cases, 2))]
    for _ in range(frames - 1):
        states.append(states[-1] @ turn + 0.1)
    return {"state": np.stack(states, axis=1)}


def test_a_linear_map_is_found_and_continued(
    dataset: Callable[..., Any], context: Callable[..., Any], tmp_path: Path
) -> None:
    model = Linear(LinearTable(lag=3, ridge=1e-9))
    assert isinstance(model, Forecaster)
    model.fit(dataset(oscillators(8, 30, 0), targets=("state",)))
    unseen = oscillators(3, 30, 1)
    forecast = model.forecast(context(unseen, 5), 25)["state"]
    np.testing.assert_allclose(forecast, unseen["state"][:, 5:], atol=1e-5)
    assert [path.name for path in model.save(tmp_path)] == ["linear.npz"]
    again = Linear.load(tmp_path)
    assert again.lag == 3
    np.testing.assert_array_equal(again.forecast(context(unseen, 5), 25)["state"], forecast)


def test_the_fit_is_ridge_regression_on_windows_that_stay_in_their_case(dataset: Callable[..., Any]) -> None:
    states = np.random.default_rng(2).normal(size=(20, 7, 2))
    model = Linear(LinearTable(lag=2, ridge=0.3))
    model.fit(dataset({"state": states}, targets=("state",)))
    scaled = (states - states.mean(axis=(0, 1))) / states.std(axis=(0, 1))
    rows, steps = [], []
    for case in scaled:
        for now in range(1, 6):
            rows.append([*case[now - 1], *case[now], 1.0])
            steps.append(case[now + 1] - case[now])
    padded = np.vstack([rows, np.sqrt(0.3) * np.eye(5)])  # ridge as extra rows of least squares
    expected = np.linalg.lstsq(padded, np.vstack([steps, np.zeros((5, 2))]), rcond=None)[0]
    assert model.model is not None
    np.testing.assert_allclose(model.model.weights, expected, atol=1e-10)


def test_one_that_diverges_puts_out_inf_not_nan(dataset: Callable[..., Any], context: Callable[..., Any]) -> None:
    growing = {"state": np.exp(np.linspace(0, 8, 40))[None, :, None] * np.array([1.0, -1.5])[:, None, None]}
    model = Linear(LinearTable(lag=1, ridge=1e-9))
    model.fit(dataset(growing, targets=("state",)))
    forecast = model.forecast(context(growing, 3), 6000)["state"]
    assert not np.isnan(forecast).any()
    assert np.isinf(forecast[:, -1]).all()


def test_what_cannot_be_done_is_told(dataset: Callable[..., Any], context: Callable[..., Any], tmp_path: Path) -> None:
    data = oscillators(4, 10, 0)
    with pytest.raises(SurrogateError, match="longer than lag = 10"):
        Linear(LinearTable(lag=10)).fit(dataset(data, targets=("state",)))
    with pytest.raises(SurrogateError, match="is not fitted"):
        Linear().forecast(context(data, 3), 1)
    with pytest.raises(SurrogateError, match=r"linear\.npz"):
        Linear.load(tmp_path)
    np.savez(tmp_path / "linear.npz", weights=np.ones(3))
    with pytest.raises(SurrogateError, match=r"linear\.npz"):
        Linear.load(tmp_path)
