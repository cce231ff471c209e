import numpy as np
import pytest

from emulant.errors import UsageError
from emulant.systems.pendulum import lanes, tableau
from emulant.systems.pendulum.lyapunov import spectrum

UNIT = np.array([1.0, 1.0, 1.0, 1.0, 9.81])
DEGREES = np.radians([(5, 5), (20, 20), (45, 45), (60, 60), (75, 75), (90, 90), (120, -20), (120, 120), (179, 179)])
STARTS = np.concatenate(
    [
        np.concatenate([DEGREES, np.zeros_like(DEGREES)], axis=1),
        [(0.5, 1, 5, 2.5), (0.5, 1, 10, 5), (0.5, 1, 20, 10)],
    ]
)
LARGEST = np.array([0, 0, 0, 0, 0, 0.92, 0.98, 1.41, 1.01, 1.48, 0.009, 0.010])
"""1/s over 3000 s, from long integrations made elsewhere; 0 for regular motion."""


@pytest.fixture(scope="module")
def known():
    return spectrum(STARTS, np.tile(UNIT, (12, 1)), 300.0)


def test_exponents_of_known_starts(known):
    chaotic = LARGEST > 0.5
    assert known.exponents[chaotic, 0] == pytest.approx(LARGEST[chaotic], rel=0.15)
    assert (known.exponents[~chaotic, 0] < 0.05).all()
    assert (np.abs(known.exponents[chaotic, 0] - LARGEST[chaotic]) < 3 * known.standard_error[chaotic]).all()


def test_exponents_come_in_pairs_and_sum_to_zero(known):
    first, second, third, fourth = known.exponents.T
    assert (np.abs(first + fourth) <= 1e-3 * first + 5 / known.time).all()
    assert (np.abs(second + third) <= 5 / known.time).all()
    assert (np.abs(known.exponents.sum(axis=1)) <= 1e-2).all()
    assert (np.diff(known.exponents, axis=1) <= 5 / known.time).all()


def test_volumes_are_kept_as_well_as_promised(known):
    assert known.volume_error.max() <= 1e-4


def test_fast_cases_take_shorter_steps(known):
    assert known.steps[0] == 50
    assert known.steps[-1] > 50


def test_growth_is_that_of_neighbouring_trajectories(pendulums):
    states, parameters = pendulums(8, speed=1.0)
    time, h = 1.0, 1e-6
    moved = states[:, None, None] + h * np.array([1, -1])[:, None, None] * np.eye(4)
    flat = moved.reshape(-1, 4), np.repeat(parameters, 8, axis=0)
    ends = lanes.advance(*flat, time, 1, 600, tableau.rk8())[:, -1].reshape(8, 2, 4, 4)
    tangent = np.swapaxes(ends[:, 0] - ends[:, 1], 1, 2) / (2 * h)  # ∂y(T)/∂y(0)
    sizes = np.log(np.abs(np.diagonal(np.linalg.qr(tangent).R, axis1=1, axis2=2)))
    assert spectrum(states, parameters, time).exponents * time == pytest.approx(sizes, abs=1e-5)


def test_a_case_does_not_know_its_neighbours(pendulums):
    states, parameters = pendulums(lanes.LANES + 3, speed=6.0)
    together = spectrum(states, parameters, 5.0)
    assert len(np.unique(together.steps)) > 1
    for case in (0, 7, lanes.LANES + 2):
        alone = spectrum(states[[case]], parameters[[case]], 5.0)
        assert alone.exponents[0].tobytes() == together.exponents[case].tobytes()
        assert alone.steps[0] == together.steps[case]


def test_the_standard_error_is_the_scatter_of_copies():
    rng = np.random.default_rng(0)
    copies = STARTS[7] + 1e-9 * rng.normal(size=(64, 4))
    found = spectrum(copies, np.tile(UNIT, (64, 1)), 60.0)
    assert found.standard_error.mean() == pytest.approx(found.exponents[:, 0].std(), rel=0.5)


def test_times_are_whole_intervals(pendulums):
    states, parameters = pendulums(2)
    assert spectrum(states, parameters, 0.26).time == pytest.approx(0.3)
    assert np.isnan(spectrum(states, parameters, 0.1).standard_error).all()
    with pytest.raises(UsageError, match=r"at least 0\.1 s"):
        spectrum(states, parameters, 0.04)
    with pytest.raises(UsageError, match="cases, 5"):
        spectrum(states, parameters[:1], 1.0)
