from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.dataset.seams import Context, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates.blending import Blend, Forecast, non_increasing

CELLS = 30


def cases(count: int = 40, frames: int = 14, seed: int = 0) -> np.ndarray:
    """Frames that forget: an autoregression of each cell about a mean that differs from cell to cell."""
    rng = np.random.default_rng(seed)
    state = rng.normal(size=(count, CELLS))
    out = []
    for _ in range(frames):
        out.append(state + np.linspace(1, 3, CELLS))
        state = 0.8 * state + 0.6 * rng.normal(size=state.shape)
    return np.stack(out, axis=1)


def standing_still(context: Context, horizon: int) -> np.ndarray:
    return np.repeat(context.fields["rho"][:, -1:], horizon, axis=1)


def growing(rate: float) -> Forecast:
    return lambda context, horizon: standing_still(context, horizon) * rate ** np.arange(1, horizon + 1)[:, None]


def fitted(dataset: Callable[..., Any], forecast: Forecast, **how: Any) -> Blend:
    return Blend.fit(dataset({"rho": cases()}), lambda _: forecast, lag=2, count=4, target="rho", **how)


def errors(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.sum((forecast - truth) ** 2, axis=(0, 2))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(0.1, 3)), min_size=1, max_size=8))
def test_the_weights_are_the_best_that_never_rise(pairs: list[tuple[float, float]]) -> None:
    agreement, size = np.array(pairs).T
    weights = non_increasing(agreement, size)
    assert ((weights >= 0) & (weights <= 1)).all()
    assert (np.diff(weights) <= 1e-12).all()

    def cost(values: np.ndarray) -> float:
        return float(np.sum(size * values**2 - 2 * agreement * values))

    rng = np.random.default_rng(0)
    rivals = np.sort(rng.uniform(0, 1, (200, len(pairs))), axis=1)[:, ::-1]
    nearby = np.sort(np.clip(weights + 0.01 * rng.normal(size=(200, len(pairs))), 0, 1), axis=1)[:, ::-1]
    assert cost(weights) <= min(map(cost, np.concatenate([rivals, nearby]))) + 1e-9


def test_a_known_correlation_is_found(dataset: Callable[..., Any]) -> None:
    weights = fitted(dataset, standing_still).weights
    np.testing.assert_allclose(weights, 0.8 ** np.arange(1, 13), atol=0.06)


def test_no_lead_is_below_the_climatology_on_new_cases(dataset: Callable[..., Any], context: Any) -> None:
    truth = cases(seed=1, frames=70)
    for forecast in (standing_still, growing(1.1), growing(1.9), growing(0.9)):
        blend = fitted(dataset, forecast)
        seen = context({"rho": truth}, 2)
        blended = blend.apply(forecast(seen, 68))
        skill = 1 - errors(blended, truth[:, 2:]) / errors(blend.climatology, truth[:, 2:])
        assert skill.min() > -0.01
        assert (np.cumsum(errors(blended, truth[:, 2:])) <= np.cumsum(errors(blend.climatology, truth[:, 2:]))).all()


def test_beyond_the_seen_leads_trust_declines_at_least_as_one_over_the_lead() -> None:
    blend = Blend(np.zeros(3), np.full(10, 0.9), 1e3, 0)
    weights = blend.at(60)
    np.testing.assert_allclose(weights[10:], 0.9 * 10 / np.arange(11, 61))
    np.testing.assert_array_equal(blend.at(7), weights[:7])
    declining = Blend(np.zeros(3), 0.9 ** np.arange(10), 1e3, 0).at(60)
    np.testing.assert_allclose(declining[10:], 0.9 ** np.arange(10, 60) * 10 / np.arange(11, 61))
    assert not Blend(np.zeros(3), np.zeros(4), 1e3, 0).at(20).any()


def test_growth_beyond_the_seen_leads_is_not_believed() -> None:
    blend = Blend(np.zeros(2), np.ones(4), 1e9, 0)
    forecast = np.ones((1, 12, 2)) * 2.0 ** np.arange(12)[:, None]
    blended = blend.apply(forecast)
    np.testing.assert_array_equal(blended[:, :4], forecast[:, :4])
    np.testing.assert_allclose(blended[0, 4:, 0], 8.0 * 4 / np.arange(5, 13))


def test_what_diverges_is_climatology_from_there_on_and_counted(dataset: Callable[..., Any]) -> None:
    def sometimes(context: Context, horizon: int) -> np.ndarray:
        forecast = standing_still(context, horizon)
        forecast[0, 3:] = np.inf
        forecast[1, 5] = 1e9
        forecast[1, 6, 0] = np.nan
        return forecast

    blend = fitted(dataset, sometimes)
    assert blend.diverged == 2 * 4
    np.testing.assert_allclose(blend.weights, 0.8 ** np.arange(1, 13), atol=0.06)
    truth = {"rho": cases(count=5)}
    blended = blend.apply(sometimes(Context({"rho": truth["rho"][:, :2]}, np.arange(2.0), 1.0), 12))
    np.testing.assert_array_equal(blended[0, 3:], np.broadcast_to(blend.climatology, (9, CELLS)))
    np.testing.assert_array_equal(blended[1, 5:], np.broadcast_to(blend.climatology, (7, CELLS)))
    assert (blended[0, :3] != blend.climatology).all()
    assert np.isfinite(blended).all()


def test_held_out_cases_are_not_seen_by_the_fit(dataset: Callable[..., Any]) -> None:
    train = dataset({"rho": cases()})
    seen: list[set[int]] = []

    def fit(part: Dataset) -> Forecast:
        kept = set(part.cases["case"].to_list())
        seen.append(kept)
        frames = part.read(["rho"])["rho"]

        def forecast(context: Context, horizon: int) -> np.ndarray:
            assert context.fields["rho"].shape[1] == 2
            assert not (context.fields["rho"][:, :1] == frames[None, :, 0].swapaxes(0, 1)[:, 0]).all(axis=-1).any()
            return standing_still(context, horizon)

        return forecast

    Blend.fit(train, fit, lag=2, count=4, target="rho")
    assert sorted(case for kept in seen for case in set(range(40)) - kept) == list(range(40))


def test_files_bring_it_back(dataset: Callable[..., Any]) -> None:
    blend = fitted(dataset, standing_still)
    again = Blend.from_arrays(blend.climatology, blend.arrays())
    assert again is not None
    forecast = cases(count=3)
    np.testing.assert_array_equal(again.apply(forecast), blend.apply(forecast))
    assert Blend.from_arrays(blend.climatology, {}) is None


def test_too_little_to_hold_out_is_said(dataset: Callable[..., Any]) -> None:
    with pytest.raises(SurrogateError, match="lag = 2"):
        Blend.fit(dataset({"rho": cases(frames=2)}), lambda _: standing_still, lag=2, count=4, target="rho")
    with pytest.raises(SurrogateError, match="two independent"):
        Blend.fit(dataset({"rho": cases(count=1)}), lambda _: standing_still, lag=2, count=4, target="rho")
