from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.errors import SurrogateError
from emulant.surrogates.mvar import MVAR, NormalEquations, windows

LAGS = [np.array([[0.5, 0.2], [-0.1, 0.4]]), np.array([[0.1, -0.3], [0.2, 0.1]]), np.array([[-0.2, 0.0], [0.1, 0.2]])]
OFFSET = np.array([1.0, -2.0])


def generate(runs: int, frames: int, *, offset: np.ndarray | None = None, noise: float = 0.0) -> np.ndarray:
    """Runs of y(t) = b + Σ LAGS[k] y(t-1-k), one column vector at a time."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(runs, frames, 2))
    for run in data:
        for t in range(3, frames):
            run[t] = sum((matrix @ run[t - 1 - k] for k, matrix in enumerate(LAGS)), np.zeros(2))
            run[t] += noise * rng.normal(size=2) + (0 if offset is None else offset)
    return data


def model(*matrices: np.ndarray, intercept: np.ndarray | None = None) -> MVAR:
    return MVAR(np.array(matrices), intercept, 0.0, 1.0, 0.0)


def by_hand(runs: np.ndarray, lag: int, ridge: float) -> np.ndarray:
    """Ridge regression as least squares with extra rows, from windows collected one at a time."""
    rows, targets = [], []
    for run in runs:
        for t in range(lag, len(run)):
            rows.append(np.concatenate([run[t - 1 - k] for k in range(lag)]))
            targets.append(run[t])
    size = len(rows[0])
    stacked = np.concatenate([np.array(rows), np.sqrt(ridge) * np.eye(size)])
    return np.linalg.lstsq(stacked, np.concatenate([np.array(targets), np.zeros((size, 2))]))[0]


def test_a_known_law_is_found_with_the_first_matrix_on_the_latest_value() -> None:
    fitted = MVAR.fit(generate(12, 8), 3, 1e-12)
    np.testing.assert_allclose(fitted.matrices, LAGS, atol=1e-8)
    assert fitted.train_r2 == pytest.approx(1)
    assert fitted.intercept is None


def test_windows_stay_inside_their_run() -> None:
    runs = generate(6, 5, noise=0.5)
    fitted = MVAR.fit(runs, 3, 0.1)
    expected = by_hand(runs, 3, 0.1).reshape(3, 2, 2).transpose(0, 2, 1)
    np.testing.assert_allclose(fitted.matrices, expected, atol=1e-10)
    assert len(windows(runs, 3)[0]) == 6 * 2


def test_runs_may_differ_in_length_and_too_short_ones_are_left_out() -> None:
    runs = generate(6, 9, noise=0.5)
    ragged = [runs[0], runs[1, :6], runs[2, :3], runs[3]]
    np.testing.assert_allclose(
        MVAR.fit(ragged, 3, 0.1).matrices,
        by_hand(ragged, 3, 0.1).reshape(3, 2, 2).transpose(0, 2, 1),
        atol=1e-10,
    )


def test_r2_and_rmse_are_those_of_one_step() -> None:
    runs = generate(10, 20, noise=0.3)
    fitted = MVAR.fit(runs, 2, 1e-3)
    truth = np.concatenate([run[2:] for run in runs])
    steps = np.concatenate([[fitted.rollout(run[None, t - 2 : t], 1)[0, 0] for t in range(2, 20)] for run in runs])
    missed = np.sum((truth - steps) ** 2)
    assert fitted.train_r2 == pytest.approx(1 - missed / np.sum((truth - truth.mean(axis=0)) ** 2))
    assert fitted.train_rmse == pytest.approx(np.sqrt(missed / truth.size))


def test_the_intercept_is_found_and_not_penalised() -> None:
    runs = generate(30, 12, offset=OFFSET)
    fitted = MVAR.fit(runs, 3, 1e-12, intercept=True)
    np.testing.assert_allclose(fitted.intercept, OFFSET, atol=1e-7)
    np.testing.assert_allclose(fitted.matrices, LAGS, atol=1e-7)
    heavy = MVAR.fit(runs, 3, 1e12, intercept=True)
    np.testing.assert_allclose(heavy.intercept, windows(runs, 3)[1].mean(axis=0), rtol=1e-6)


def test_equations_of_few_components_are_part_of_those_of_all() -> None:
    runs = np.random.default_rng(0).normal(size=(8, 12, 5))
    for intercept in (False, True):
        matrices, constant = NormalEquations.of(*windows(runs, 2)).first(3).solve(0.5, intercept=intercept)
        alone = MVAR.fit(runs[..., :3], 2, 0.5, intercept=intercept)
        np.testing.assert_allclose(matrices, alone.matrices, atol=1e-12)
        assert (constant is None) == (alone.intercept is None)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1.3, 1.3), min_size=1, max_size=4))
def test_the_spectral_radius_is_the_largest_root(roots: list[float]) -> None:
    polynomial = np.poly(roots)  # y(t) + c1 y(t-1) + ... = 0
    law = model(*(-polynomial[1:, None, None]))
    # a root of multiplicity m is only known to eps^(1/m)
    assert law.spectral_radius() == pytest.approx(np.abs(roots).max(), abs=5e-3)


def test_the_spectral_radius_is_the_rate_of_a_long_rollout() -> None:
    law = model(*LAGS)
    ends = np.linalg.norm(law.rollout(np.random.default_rng(0).normal(size=(1, 3, 2)), 600)[0], axis=1)
    assert law.spectral_radius() == pytest.approx((ends[-1] / ends[-201]) ** (1 / 200), rel=1e-3)


def test_the_companion_matrix_takes_one_step() -> None:
    law, context = model(*LAGS), np.random.default_rng(0).normal(size=(1, 3, 2))
    stacked = law.companion() @ context[0, ::-1].reshape(-1)
    np.testing.assert_allclose(stacked[:2], law.rollout(context, 1)[0, 0])
    np.testing.assert_allclose(stacked[2:], context[0, :0:-1].reshape(-1))


def test_a_rollout_goes_on_like_its_law_case_by_case() -> None:
    data = generate(4, 30, offset=OFFSET)
    rolled = model(*LAGS, intercept=OFFSET).rollout(data[:, :5], 25)
    np.testing.assert_allclose(rolled, data[:, 5:], atol=1e-12)


def test_an_unstable_rollout_overflows_in_silence() -> None:
    rolled = model(np.array([[3.0, 1.0], [-1.0, 3.0]])).rollout(np.ones((1, 1, 2)), 2000)
    assert not np.isfinite(rolled[0, -1]).all()


def test_equations_without_a_solution_say_what_to_do() -> None:
    with pytest.raises(SurrogateError, match="ridge"):
        MVAR.fit(np.zeros((3, 6, 2)), 2, 0.0)
    with pytest.raises(SurrogateError, match="lag = 6"):
        MVAR.fit(np.ones((3, 6, 2)), 6, 1.0)
    with pytest.raises(SurrogateError, match="lag = 6"):
        MVAR.fit([np.ones((3, 2))], 6, 1.0)


@pytest.mark.parametrize("intercept", [False, True])
def test_files_bring_it_back(tmp_path: Path, intercept: bool) -> None:
    fitted = MVAR.fit(generate(10, 9, noise=0.1), 2, 1e-3, intercept=intercept)
    np.savez(tmp_path / "mvar_model.npz", **fitted.arrays())
    loaded = MVAR.load(tmp_path / "mvar_model.npz")
    context = np.ones((1, 2, 2))
    np.testing.assert_array_equal(loaded.rollout(context, 5), fitted.rollout(context, 5))
    assert (loaded.lag, loaded.ridge, loaded.train_r2) == (2, 1e-3, fitted.train_r2)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"p": 3}, "'p'"), ({"A_matrices": np.ones((2, 2, 3))}, "A_matrices"), ({"intercept": np.ones(3)}, "intercept")],
)
def test_wrong_files_are_named(tmp_path: Path, change: dict[str, object], named: str) -> None:
    path = tmp_path / "mvar_model.npz"
    np.savez(path, **(MVAR.fit(generate(10, 9), 2, 1e-3).arrays() | change))
    with pytest.raises(SurrogateError, match=named):
        MVAR.load(path)
