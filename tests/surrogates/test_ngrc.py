from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import product
from math import comb, prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from motion import pendulums

from emulant.dataset.seams import Forecaster
from emulant.surrogates.baselines.ngrc import NGRC, monomials
from emulant.surrogates.sequence_tables import LatentNGRCTable, NGRCTable


@pytest.mark.parametrize(("values", "degree"), [(6, 4), (2, 3), (3, 1)])
def test_all_monomials_are_there_once(values: int, degree: int) -> None:
    window = np.random.default_rng(0).normal(size=(5, 1, values))
    found = monomials(window, degree)
    assert found.shape == (5, comb(values + degree, degree))
    powers = [power for power in product(range(degree + 1), repeat=values) if sum(power) <= degree]
    expected = [prod(x**n for x, n in zip(window[0, 0], power, strict=True)) for power in powers]
    np.testing.assert_allclose(np.sort(found[0]), np.sort(expected), rtol=1e-12)
    assert max(Counter(np.round(expected, 12)).values()) == 1


def henon(cases: int, frames: int, seed: int) -> dict[str, Any]:
    states = [np.random.default_rng(seed).uniform(-0.1, 0.1, size=(cases, 2))]
    for _ in range(frames - 1):
        x, y = states[-1].T
        states.append(np.stack([1 - 1.4 * x**2 + y, 0.3 * x], axis=1))
    return {"state": np.stack(states, axis=1)}


def test_a_polynomial_map_is_found_from_many_runs(
    dataset: Callable[..., Any], context: Callable[..., Any], tmp_path: Path
) -> None:
    model = NGRC(NGRCTable(degree=2, ridge=1e-10))
    assert isinstance(model, Forecaster)
    model.fit(dataset(henon(30, 12, 0), targets=("state",)))
    unseen = henon(4, 12, 1)
    forecast = model.forecast(context(unseen, 1), 11)["state"]
    np.testing.assert_allclose(forecast, unseen["state"][:, 1:], atol=1e-5)
    model.save(tmp_path)
    again = NGRC.load(tmp_path, NGRCTable(degree=2))
    np.testing.assert_array_equal(again.forecast(context(unseen, 1), 11)["state"], forecast)


def test_forecasts_are_clipped(dataset: Callable[..., Any], context: Callable[..., Any]) -> None:
    train = henon(30, 12, 0)
    model = NGRC(NGRCTable(degree=2, ridge=1e-10, bound=3.0))
    model.fit(dataset(train, targets=("state",)))
    scale, mean = train["state"].std(axis=(0, 1)), train["state"].mean(axis=(0, 1))
    outside = {"state": np.full((1, 1, 2), 40.0)}
    forecast = model.forecast(context(outside, 1), 20)["state"]
    assert np.abs((forecast - mean) / scale).max() == pytest.approx(3.0)


def test_it_beats_standing_still_on_pendulums_and_runs_on_modes(
    dataset: Callable[..., Any], context: Callable[..., Any]
) -> None:
    geometry = {"step": 0.05, "periodic": (0, 1)}
    data, unseen = pendulums(40, 41, 0), pendulums(5, 31, 1)
    model = NGRC()
    model.fit(dataset(data, ("state",), geometry))
    forecast = model.forecast(context(unseen, 1), 10)["state"]
    truth, still = unseen["state"][:, 1:11], unseen["state"][:, :1]
    assert np.abs(forecast - truth).mean() < 0.1 * np.abs(still - truth).mean()
    grid = np.random.default_rng(0).normal(size=(4, 6))
    fields = {"rho": (data["state"] @ grid).reshape(40, 41, 2, 3)}
    latent = NGRC(LatentNGRCTable(rank=4))
    latent.fit(dataset(fields))
    assert latent.forecast(context(fields, 3), 7)["rho"].shape == (40, 7, 2, 3)
