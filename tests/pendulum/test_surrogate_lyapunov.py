"""Exponents of rollouts: against maps whose exponents are known, the exact derivative, and the true equations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pendulum_files import simulate, write_split

from emulant.surrogates.networks import Flow, tensor
from emulant.systems.pendulum.config import PendulumEvaluation
from emulant.systems.pendulum.lanes import advance
from emulant.systems.pendulum.readers import open_dataset
from emulant.systems.pendulum.surrogate_lyapunov import grow, probe
from emulant.systems.pendulum.tableau import rk8

PARAMETERS = np.array([1.0, 0.8, 1.2, 0.7, 9.81])


class Truth:
    """A surrogate that is the pendulum itself, `speed` times as fast."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed

    def flow(self, context: Any) -> Flow:
        def step(state: torch.Tensor) -> torch.Tensor:
            turn = np.array([1, 1, self.speed, self.speed])
            parameters = np.tile(PARAMETERS, (len(state), 1))
            ends = advance(state.numpy() / turn, parameters, 0.05 * self.speed, 1, 10, rk8())[:, -1]
            return tensor(ends * turn, torch.float64)

        start = context.fields["state"][:, -1] * np.array([1, 1, self.speed, self.speed])
        return Flow(tensor(start, torch.float64), step, lambda state: state)


def linear(matrix: np.ndarray, cases: int = 3) -> Flow:
    start = torch.randn(2 * cases, len(matrix), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return Flow(start, lambda state: state @ tensor(matrix, torch.float64).T, lambda state: state)


def test_a_linear_map_grows_as_its_largest_eigenvalue() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 5))
    matrix = vectors @ np.diag([0.3, -1.02, 0.9, 0.5, -0.2]) @ np.linalg.inv(vectors)
    rates, observed = grow(linear(matrix), 400)
    assert rates == pytest.approx(np.log(1.02), abs=0.02)
    assert observed.shape == (6, 400, 5)


def test_the_cat_map_at_its_fixed_point() -> None:
    cat = tensor(np.array([[2.0, 1.0], [1.0, 1.0]]), torch.float64)
    flow = Flow(torch.zeros(4, 2, dtype=torch.float64), lambda state: state @ cat.T, lambda state: state)
    assert grow(flow, 30)[0] == pytest.approx(np.log((3 + 5**0.5) / 2), rel=0.02)


@pytest.mark.filterwarnings("ignore:.*jit.script:DeprecationWarning")
def test_neighbours_grow_as_the_exact_derivative_says() -> None:
    """Of a trained kind of map: a network with memory."""
    from emulant.surrogates.recurrent import RecurrentNetwork

    torch.manual_seed(0)
    network = RecurrentNetwork("lstm", 4, 0, 8, 1).double()

    def step(state: torch.Tensor) -> torch.Tensor:
        out, memory = network(state[:, None, :4], state[:, 4:])
        return torch.cat([state[:, :4] + out[:, 0], memory], dim=1)

    start = torch.randn(8, 20, dtype=torch.float64).repeat_interleave(2, dim=0)
    rates, _ = grow(Flow(start, step, lambda state: state[:, :4]), 20)
    state = start[::2]
    tangent, total = torch.full_like(state, state.shape[1] ** -0.5), torch.zeros(8, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(20):
            state, tangent = torch.func.jvp(step, (state,), (tangent,))
            total, tangent = total + tangent.norm(dim=1).log(), tangent / tangent.norm(dim=1, keepdim=True)
    assert rates == pytest.approx((total / 20).numpy(), abs=1e-5)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return open_dataset(write_split(tmp_path_factory.mktemp("split") / "test", simulate(12, 41, substeps=40)))


def table(**changes: Any) -> PendulumEvaluation:
    return PendulumEvaluation(
        **{"lyapunov_time": 20.0, "surrogate_lyapunov_cases": 3, "surrogate_lyapunov_time": 10.0, **changes}
    )


def test_the_equations_as_a_surrogate_have_the_exponents_of_the_truth(dataset: Any) -> None:
    """Over a short time, so that the two trajectories do not part."""
    found = probe("truth", Truth(), dataset, table())
    measured = np.isfinite(found["lyapunov_surrogate"])
    assert 3 <= measured.sum() <= 6
    np.testing.assert_array_equal(measured, np.isfinite(found["lyapunov_true"]))
    difference = found["lyapunov_surrogate"][measured] - found["lyapunov_true"][measured]
    assert np.abs(difference).max() < 0.35  # the first vectors differ: ln of a factor over 10 s
    assert 0 < np.isfinite(found["lyapunov_error"]).sum() <= 3


def test_a_faster_world_is_told_from_the_true_one(dataset: Any) -> None:
    true, fast = (probe("x", Truth(speed), dataset, table(surrogate_lyapunov_time=30.0)) for speed in (1.0, 1.5))
    assert np.nanmean(fast["lyapunov_surrogate"]) > 1.2 * np.nanmean(true["lyapunov_surrogate"])
    assert np.nanmedian(fast["lyapunov_error"]) > np.nanmedian(true["lyapunov_error"])


def test_what_runs_away_or_is_no_map_has_no_exponent(dataset: Any) -> None:
    found = probe("mad", Truth(speed=300.0), dataset, table())
    assert np.isnan(found["lyapunov_surrogate"]).all()
    assert np.isnan(found["lyapunov_true"]).all()
    assert probe("persistence", SimpleNamespace(), dataset, table()) == {}
    assert probe("truth", Truth(), dataset, table(surrogate_lyapunov_cases=0)) == {}
