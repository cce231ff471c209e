import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy.special import ellipj, ellipk

from emulant.errors import UsageError
from emulant.systems.pendulum import equations, lanes, tableau
from emulant.systems.pendulum.config import PendulumConfig, SystemTable
from emulant.systems.pendulum.integrate import integrate
from emulant.systems.pendulum.lanes import LANES, REACH
from emulant.systems.pendulum.sampling import draw

UNIT = np.array([1.0, 1.0, 1.0, 1.0, 9.81])


def run(states, parameters=UNIT, **system):
    trust = system.pop("trust", False)
    states = np.atleast_2d(np.asarray(states, float))
    parameters = np.broadcast_to(parameters, (len(states), 5))
    return integrate(states, parameters, SystemTable.model_validate({"T": 2.0, **system}), trust=trust)


def default_cases(cases, split="test"):
    return map(np.array, zip(*(draw(PendulumConfig(), split, case) for case in range(cases)), strict=True))


# -- the lanes ------------------------------------------------------------------------------------------------------


@njit
def sines(x):
    out = np.empty((2, x.size))
    for i in range(x.size):
        out[0, i], out[1, i] = lanes.sincos(x[i])
    return out


@pytest.mark.parametrize("reach", [1.0, 300.0, 1e4, REACH])
def test_sines_are_right_to_an_ulp(reach):
    x = np.concatenate([np.random.default_rng(0).uniform(-reach, reach, 20000), np.arange(-40, 41) * np.pi / 4])
    exact = np.stack([np.sin(x.astype(np.longdouble)), np.cos(x.astype(np.longdouble))])
    assert np.abs(sines(x) - exact).max() <= 2.3e-16


@settings(max_examples=15)
@given(st.integers(0, 1000), st.lists(st.integers(0, 3 * LANES), min_size=1, max_size=2 * LANES + 3))
def test_a_case_does_not_know_its_neighbours_place_or_padding(seed, chosen):
    rng = np.random.default_rng(seed)
    states, parameters = rng.normal(0, 2, (3 * LANES + 1, 4)), rng.uniform(0.5, 3, (3 * LANES + 1, 5))
    whole = lanes.advance(states, parameters, 0.05, 3, 2, tableau.rk8())
    part = lanes.advance(states[chosen], parameters[chosen], 0.05, 3, 2, tableau.rk8())
    assert part.tobytes() == whole[chosen].tobytes()


def test_neighbours_do_not_matter_when_some_are_done_again_or_fail(pendulums):
    states, parameters = pendulums(20, speed=8.0)
    states[3] = np.nan
    together = run(states, parameters, trust=True)
    assert len(np.unique(together.substeps)) > 2
    for case in (0, 3, 4, 19):
        alone = run(states[case], parameters[case], trust=True)
        assert alone.states[0].tobytes() == together.states[case].tobytes()
        assert (alone.substeps[0], alone.reasons[0]) == (together.substeps[case], together.reasons[case])
        assert alone.trust_horizon[0] == together.trust_horizon[case]


@pytest.mark.parametrize(("method", "order", "steps"), [("rk8", 8, 8), ("rk4", 4, 64), ("verlet", 2, 256)])
def test_a_tableau_has_its_order(method, order, steps, pendulums, exact_path):
    states, parameters = pendulums(12, speed=1.0)
    exact = np.stack([exact_path(*case, [0, 0.5])[-1] for case in zip(states, parameters, strict=True)])
    errors = [
        np.abs(lanes.advance(states, parameters, 0.5, 1, n, getattr(tableau, method)())[:, -1] - exact).max(axis=1)
        for n in (steps, 2 * steps)
    ]
    assert np.median(np.log2(errors[0] / errors[1])) == pytest.approx(order, abs=0.1 * order)


# -- against closed forms -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_small_swings_are_the_two_normal_modes(sign):
    # unit masses: ω² = (g/l)(2 ∓ √2), with θ2 = ±√2 θ1
    size = 1e-5
    found = run([size, sign * np.sqrt(2) * size, 0, 0], T=10.0)
    wave = size * np.cos(np.sqrt(9.81 * (2 - sign * np.sqrt(2))) * found.times)
    assert np.abs(found.states[0, :, 0] - wave).max() <= 2e-8 * size
    assert np.abs(found.states[0, :, 1] - sign * np.sqrt(2) * wave).max() <= 2e-8 * size


def test_without_the_second_mass_the_first_is_a_simple_pendulum():
    # from rest at a: θ = 2 arcsin(k sn(K - ω0 t, k²)), k = sin(a/2)
    a, length, g = 2.5, 1.7, 6.0
    found = run([a, 0.4, 0, 0], [length, 0.8, 1.3, 1e-13, g], T=6.0)
    m = np.sin(a / 2) ** 2
    sn = ellipj(ellipk(m) - np.sqrt(g / length) * found.times, m)[0]
    assert found.states[0, :, 0] == pytest.approx(2 * np.arcsin(np.sqrt(m) * sn), abs=1e-8)


def test_without_gravity_angular_momentum_is_kept(pendulums):
    states, parameters = pendulums(16)
    parameters[:, 4] = 1e-12
    paths = lanes.advance(states, parameters, 0.05, 200, 20, tableau.rk8())
    total = equations.momenta(paths, parameters[:, None]).sum(axis=2)
    assert np.abs(total - total[:, :1]).max() <= 1e-9 * np.abs(total).max()


def test_time_runs_back_to_the_start(pendulums):
    states, parameters = pendulums(32, speed=1.0)
    there = run(states, parameters, T=3.0, tolerance=1e-12).states[:, -1]
    back = run(there * [1, 1, -1, -1], parameters, T=3.0, tolerance=1e-12).states[:, -1] * [1, 1, -1, -1]
    assert np.abs(back - states).max() <= 1e-6


def test_the_mirror_image_is_the_mirror_image(pendulums):
    states, parameters = pendulums(5)
    assert np.array_equal(run(-states, parameters).states, -run(states, parameters).states)


def test_whole_turns_do_not_matter(pendulums):
    states, parameters = pendulums(5, speed=1.0)
    turns = np.array([2e4 * np.pi, -2 * np.pi, 0, 0])
    turned = run(states + turns, parameters, T=1.0).states
    assert turned - turns == pytest.approx(run(states, parameters, T=1.0).states, abs=1e-8)


# -- against an independent integration -----------------------------------------------------------------------------


def reached(states, parameters, exact_path, **system):
    """The share of cases that are within 1e-3 after 10 s, and whether the trust horizon knows which."""
    found = run(states, parameters, T=10.0, trust=True, **system)
    exact = np.stack([exact_path(*case, [0, 10.0])[-1] for case in zip(states, parameters, strict=True)])
    right = np.abs(found.states[:, -1] - exact).max(axis=1) <= 1e-3
    assert found.reasons == ("",) * len(states)
    return right.mean(), (right == (found.trust_horizon == 10)).mean()


def test_default_cases_end_where_they_should(exact_path):
    assert reached(*default_cases(20), exact_path) >= (0.95, 0.95)


def test_swept_masses_and_lengths_are_as_accurate(pendulums, exact_path):
    assert reached(*pendulums(20, seed=1, speed=1.0), exact_path) >= (0.9, 0.95)


@pytest.mark.soak
def test_150_default_cases_end_where_they_should(exact_path):
    assert reached(*default_cases(150), exact_path, dt=0.01) >= (0.95, 0.97)


@pytest.mark.parametrize("integrator", ["rk4", "dop853", "rk45", "verlet"])
def test_the_other_integrators_solve_the_same_equations(integrator, pendulums):
    states, parameters = pendulums(4, speed=1.0)
    found, rk8 = (run(states, parameters, integrator=name, T=1.0) for name in (integrator, "rk8"))
    assert found.reasons == ("",) * 4
    assert np.array_equal(found.states[:, 0], states)
    assert found.states == pytest.approx(rk8.states, abs=1e-3 if integrator == "verlet" else 1e-6)


def test_heyoka_that_is_missing_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "heyoka", None)
    with pytest.raises(UsageError, match="pip install heyoka"):
        run([1, 1, 0, 0], integrator="heyoka")


def test_heyoka_solves_the_same_equations(pendulums):
    pytest.importorskip("heyoka", reason="the optional package heyoka is not installed")
    states, parameters = pendulums(4, speed=1.0)
    found, rk8 = (run(states, parameters, integrator=name, T=1.0) for name in ("heyoka", "rk8"))
    assert found.states == pytest.approx(rk8.states, abs=1e-7)


def test_heyoka_is_the_anchor_of_accuracy(pendulums):
    """At a tolerance of rounding it keeps the energy to rounding; a case knows nothing of those before it."""
    pytest.importorskip("heyoka", reason="the optional package heyoka is not installed")
    states, parameters = pendulums(6, speed=1.0)
    tight = {"integrator": "heyoka", "T": 5.0, "tolerance": 1e-15}
    found = run(states, parameters, **tight)
    assert (found.energy_drift / equations.energy_scale(parameters)).max() < 1e-13
    assert np.array_equal(run(states[::-1], parameters[::-1], **tight).states[::-1], found.states)


def test_heyoka_cases_that_diverge_are_told_of(pendulums):
    pytest.importorskip("heyoka", reason="the optional package heyoka is not installed")
    states, parameters = pendulums(3)
    states[1] = [0.0, 0.0, 1e200, 0.0]
    assert [bool(reason) for reason in run(states, parameters, integrator="heyoka").reasons] == [False, True, False]


# -- tolerance, energy, trust ---------------------------------------------------------------------------------------


def test_what_is_reported_of_a_path_follows_from_it(pendulums):
    states, parameters = pendulums(6)
    found = run(states, parameters)
    assert np.array_equal(found.times, np.arange(41) * 0.05)
    assert np.array_equal(found.states[:, 0], states)
    assert found.accelerations == pytest.approx(equations.accelerations(found.states, parameters[:, None]), rel=1e-12)
    energy = equations.energy(found.states, parameters[:, None])
    assert found.energy == pytest.approx(energy, rel=1e-12)
    assert found.energy_drift == pytest.approx(np.abs(energy - energy[:, :1]).max(axis=1), abs=1e-12)
    assert np.isnan(found.trust_horizon).all()


@pytest.mark.parametrize(("integrator", "substeps"), [("rk8", 5), ("rk4", 25)])
def test_the_step_is_halved_until_the_tolerance_holds(integrator, substeps, pendulums):
    states, parameters = pendulums(24, speed=6.0)
    found = run(states, parameters, integrator=integrator, tolerance=1e-10)
    relative = found.energy_drift / equations.energy_scale(parameters)
    assert relative.max() <= 1e-10
    halvings = np.log2(found.substeps / substeps)
    assert np.array_equal(halvings, np.round(halvings))
    assert halvings.max() > 0
    for case in np.flatnonzero(halvings):  # with twice the step it did not hold
        arguments = states[[case]], parameters[[case]], 0.05, 40, int(found.substeps[case]) // 2
        energy = lanes.observe(lanes.advance(*arguments, getattr(tableau, integrator)()), parameters[[case]])[1]
        assert np.abs(energy - energy[:, :1]).max() > 1e-10 * equations.energy_scale(parameters)[case]


def test_a_tolerance_out_of_reach_fails_with_its_reason():
    found = run([2, 2, 0, 0], tolerance=1e-17, trust=True)
    assert found.substeps[0] == 5 * 2**6
    assert "320 steps per dt the energy still drifts" in found.reasons[0]
    assert "1e-17" in found.reasons[0]
    assert found.trust_horizon[0] == 0


def test_the_trust_horizon_is_where_half_the_step_parts():
    # close to upside down, chaos has the longest time to tell two step sizes apart
    states = np.array([[3.1, 3.1, 0, 0], [0.1, 0.1, 0, 0]])
    found = run(states, T=30.0, tolerance=1e-6, trust=True)
    finer = lanes.advance(states, np.tile(UNIT, (2, 1)), 0.05, 600, 10, tableau.rk8())
    apart = np.abs(found.states - finer).max(axis=2) > 1e-3
    assert found.substeps[0] == 5
    assert found.trust_horizon[0] == found.times[apart[0].argmax()]
    assert 5 < found.trust_horizon[0] < 30
    assert found.trust_horizon[1] == 30


def test_adaptive_methods_are_trusted_as_far_as_a_tighter_tolerance_agrees():
    found, tighter = (run([3.1, 3.1, 0, 0], T=20.0, integrator="dop853", tolerance=t, trust=True) for t in (1e-4, 1e-6))
    apart = np.abs(found.states - tighter.states).max(axis=2)[0] > 1e-3
    assert found.trust_horizon[0] == found.times[apart.argmax()] < 20
    assert found.substeps[0] == 0


def test_what_integrators_cost_in_energy():
    states, parameters = default_cases(32)
    drift = {
        name: np.median(run(states[:cases], parameters[:cases], T=10.0, integrator=name).energy_drift)
        for name, cases in [("rk8", 32), ("rk4", 32), ("verlet", 32), ("dop853", 8), ("rk45", 8)]
    }
    assert drift["rk8"] <= 1e-8
    assert drift["rk4"] <= 3e-8
    assert 1e-8 < drift["dop853"] < 1e-6
    assert 1e-7 < drift["rk45"] < 1e-5
    assert 1e-4 < drift["verlet"] < 1e-2


def test_verlet_has_a_step_and_no_tolerance():
    found = [run([2, 2, 0, 0], integrator="verlet", dt=0.025, tolerance=t) for t in (1e-3, 1e-12)]
    assert [f.substeps[0] for f in found] == [25, 25]
    assert np.array_equal(found[0].states, found[1].states)
    assert found[1].reasons == ("",)


# -- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("integrator", ["rk8", "rk4", "verlet", "dop853", "rk45"])
def test_a_case_that_leaves_the_numbers_fails_alone(integrator):
    states = np.array([[1, 2, 0, 0], [1, 2, 1e200, 0], [np.nan, 2, 0, 0]])
    found = run(states, T=0.1, integrator=integrator, trust=True)
    assert found.reasons[0] == ""
    assert "diverged at t = " in found.reasons[1]
    assert "diverged at t = 0 s" in found.reasons[2]
    assert found.states[0].tobytes() == run(states[0], T=0.1, integrator=integrator).states[0].tobytes()
    assert found.trust_horizon[1:].tolist() == [0, 0]


def test_angles_beyond_the_reach_of_the_sines_fail():
    assert "an angle beyond 1e+06 rad at t = 0 s" in run([2e6, 0, 0, 0], T=0.1).reasons[0]
    assert run([0.9e6, 0, 0, 0], T=0.1, tolerance=1e-6).reasons == ("",)


@pytest.mark.parametrize("shapes", [((3, 3), (3, 5)), ((3, 4), (2, 5)), ((4,), (5,)), ((3, 4), (3, 4))])
def test_shapes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(UsageError, match=r"\(cases, 4\) and \(cases, 5\)"):
        integrate(np.ones(shapes[0]), np.ones(shapes[1]), SystemTable())


def test_no_case_is_no_trouble():
    found = integrate(np.empty((0, 4)), np.empty((0, 5)), SystemTable())
    assert (found.states.shape, found.reasons) == ((0, 201, 4), ())
