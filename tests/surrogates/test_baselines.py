from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulant.dataset.seams import Forecaster, Oracle
from emulant.errors import SurrogateError
from emulant.surrogates.baselines.climatology import Climatology
from emulant.surrogates.baselines.persistence import Persistence
from emulant.surrogates.latent import Latent
from emulant.surrogates.mvar import MVAR
from emulant.surrogates.pod import POD
from emulant.surrogates.pod_ceiling import PODCeiling
from emulant.surrogates.tables import PODTable


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"rho": rng.normal(size=(40, 6, 4, 5)), "spin": rng.normal(size=(40, 6, 3)), "seen": np.ones((40, 6, 2))}


def test_persistence_repeats_the_last_target_frames(
    arrays: dict[str, Any], dataset: Callable[..., Any], context: Any, tmp_path: Path
) -> None:
    model = Persistence()
    assert isinstance(model, Forecaster)
    model.fit(dataset(arrays, targets=("rho", "spin")))
    forecast = model.forecast(context(arrays, 3), 7)
    assert {name: array.shape for name, array in forecast.items()} == {"rho": (40, 7, 4, 5), "spin": (40, 7, 3)}
    np.testing.assert_array_equal(forecast["spin"], np.repeat(arrays["spin"][:, 2:3], 7, axis=1))
    assert model.save(tmp_path) == []
    np.testing.assert_array_equal(Persistence.load(tmp_path).forecast(context(arrays, 3), 7)["rho"], forecast["rho"])


def test_climatology_is_the_mean_over_all_frames_of_all_cases(
    arrays: dict[str, Any], dataset: Callable[..., Any], context: Any, tmp_path: Path
) -> None:
    model = Climatology()
    assert isinstance(model, Forecaster)
    with pytest.raises(SurrogateError, match="not fitted"):
        model.forecast(context(arrays, 3), 1)
    model.fit(dataset(arrays, targets=("rho", "spin")))
    forecast = model.forecast(context(arrays, 3), 7)
    assert forecast["rho"].shape == (40, 7, 4, 5)
    np.testing.assert_allclose(forecast["rho"][3, 5], arrays["rho"].mean(axis=(0, 1)), atol=1e-14)
    np.testing.assert_allclose(forecast["spin"][0, 0], arrays["spin"].mean(axis=(0, 1)), atol=1e-14)
    model.save(tmp_path)
    again = Climatology.load(tmp_path).forecast(context(arrays, 3), 7)
    np.testing.assert_array_equal(again["spin"], forecast["spin"])


def test_a_missing_climatology_is_named(tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match=r"climatology\.npz"):
        Climatology.load(tmp_path)


def test_the_ceiling_is_the_best_that_its_basis_can_do(
    arrays: dict[str, Any], dataset: Callable[..., Any], context: Any, tmp_path: Path
) -> None:
    model = PODCeiling(PODTable(rank=6))
    assert isinstance(model, Oracle)
    assert not isinstance(model, Forecaster)
    model.fit(dataset(arrays))
    truth = {"rho": np.random.default_rng(1).normal(size=(2, 3, 4, 5))}
    answer = model.forecast_with_truth(context(arrays, 3), truth)["rho"]
    rows = arrays["rho"].reshape(-1, 20)
    modes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:6].T
    best = np.linalg.lstsq(modes, (truth["rho"].reshape(-1, 20) - rows.mean(axis=0)).T)[0]
    np.testing.assert_allclose(answer.reshape(-1, 20), (modes @ best).T + rows.mean(axis=0), atol=1e-8)
    model.save(tmp_path)
    np.testing.assert_array_equal(
        PODCeiling.load(tmp_path).forecast_with_truth(context(arrays, 3), truth)["rho"], answer
    )


def test_a_latent_forecast_encodes_continues_and_decodes() -> None:
    rng = np.random.default_rng(0)
    modes = np.linalg.qr(rng.normal(size=(20, 2)))[0]
    matrix = np.array([[0.9, -0.3], [0.3, 0.9]])
    latent = Latent(POD(modes, np.ones(2), np.ones(20), 1.0, 1.0), MVAR(matrix[None], None, 0.0, 1.0, 0.0))
    codes = rng.normal(size=(3, 2))
    frames = (codes @ modes.T + 1).reshape(3, 1, 4, 5)
    forecast = latent.forecast(np.concatenate([np.full_like(frames, 9), frames], axis=1), 2)
    expected = codes @ matrix.T @ matrix.T @ modes.T + 1
    np.testing.assert_allclose(forecast[:, 1], expected.reshape(3, 4, 5), atol=1e-12)
    with pytest.raises(SurrogateError, match="0 frames"):
        latent.forecast(frames[:, :0], 2)


def test_a_diverging_latent_forecast_is_infinite_not_missing() -> None:
    pod = POD(np.eye(4)[:, :2], np.ones(2), np.zeros(4), 1.0, 1.0)
    latent = Latent(pod, MVAR(np.array([[[9.0, -8.0], [-8.0, 9.0]]]), None, 0.0, 1.0, 0.0))
    forecast = latent.forecast(np.array([[[1.0, 0.5, 0, 0]]]), 900)
    assert np.isinf(forecast[0, -1]).any()
    assert not np.isnan(forecast).any()
