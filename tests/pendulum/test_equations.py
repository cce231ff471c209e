import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulant.systems.pendulum import equations

ANGLE, SPEED, SIZE = st.floats(-20, 20), st.floats(-10, 10), st.floats(0.2, 5)
STATES = st.tuples(ANGLE, ANGLE, SPEED, SPEED).map(np.array)
PARAMETERS = st.tuples(SIZE, SIZE, SIZE, SIZE, st.floats(0.1, 20)).map(np.array)


def close(value, expected, tolerance=1e-10):
    return np.abs(value - expected).max() <= tolerance * max(1, np.abs(expected).max())


def test_the_accelerations_are_those_of_the_lagrangian(pendulums, lagrangian_accelerations):
    states, parameters = pendulums(200, speed=5.0)
    found = equations.accelerations(states, parameters)
    for case in range(200):
        assert close(found[case], lagrangian_accelerations(states[case], parameters[case]))


def test_momenta_are_the_derivative_of_the_lagrangian(pendulums, lagrangian_momentum):
    states, parameters = pendulums(50)
    found = equations.momenta(states, parameters)
    for case in range(50):
        assert close(found[case], lagrangian_momentum(states[case, :2], states[case, 2:], parameters[case]))


def test_the_energy_is_the_legendre_transform(pendulums, lagrangian_momentum):
    states, parameters = pendulums(50)
    M, w = equations.mass_matrix(states, parameters), states[:, 2:]
    l1, l2, m1, m2, g = parameters.T
    potential = -(m1 + m2) * g * l1 * np.cos(states[:, 0]) - m2 * g * l2 * np.cos(states[:, 1])
    assert close(equations.energy(states, parameters), np.einsum("ci,cij,cj->c", w, M, w) / 2 + potential)


@given(STATES, PARAMETERS)
def test_the_energy_does_not_change_along_the_flow(state, parameters):
    # dE/dt = ∂E/∂y · ẏ by a complex step
    flow = np.concatenate([state[2:], equations.accelerations(state, parameters)])
    change = equations.energy(state + 1e-30j * flow, parameters).imag / 1e-30
    size = equations.energy_scale(parameters) * (1 + np.abs(flow).max()) ** 2
    assert abs(change) <= 1e-11 * size


@given(STATES, PARAMETERS)
def test_the_jacobian_is_the_derivative_of_the_flow(state, parameters):
    found = equations.jacobian(state, parameters)
    stepped = equations.accelerations(state + 1e-30j * np.eye(4), parameters).imag.T / 1e-30
    assert np.array_equal(found[:2], [[0, 0, 1, 0], [0, 0, 0, 1]])
    assert close(found[2:], stepped, 1e-11)


@given(STATES, PARAMETERS)
def test_mirrored_states_have_mirrored_accelerations(state, parameters):
    assert np.array_equal(equations.accelerations(-state, parameters), -equations.accelerations(state, parameters))


def test_the_energy_scale_is_the_depth_of_rest(pendulums):
    _, parameters = pendulums(5)
    assert equations.energy_scale(parameters) == pytest.approx(-equations.energy(np.zeros((5, 4)), parameters))


def test_leading_axes_broadcast(pendulums):
    states, parameters = pendulums(6)
    paths = states.reshape(2, 3, 4)
    for function in (equations.accelerations, equations.energy, equations.momenta, equations.jacobian):
        whole = function(paths, parameters[0])
        assert np.array_equal(whole, function(paths, np.broadcast_to(parameters[0], (2, 3, 5))))
        assert whole[1, 2] == pytest.approx(function(states[5], parameters[0]), rel=1e-14)
