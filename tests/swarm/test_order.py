import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emulant.systems.swarm.order import mean_speed, nematic, polarization

headings = arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 30)), elements=st.floats(-7, 7))


@settings(deadline=None)  # the first example compiles
@given(headings)
def test_polarization_is_the_length_of_the_mean_heading(θ):
    u = np.stack([np.cos(θ), np.sin(θ)])
    np.testing.assert_allclose(polarization(θ), np.linalg.norm(u.mean(-1), axis=0), atol=1e-14)


@settings(deadline=None)  # the first example compiles
@given(headings)
def test_nematic_is_twice_the_largest_eigenvalue_of_the_order_tensor(θ):
    u = np.stack([np.cos(θ), np.sin(θ)], -1)
    tensor = np.einsum("tni,tnj->tij", u, u) / θ.shape[1] - np.eye(2) / 2
    np.testing.assert_allclose(nematic(θ), 2 * np.linalg.eigvalsh(tensor)[:, -1], atol=1e-14)


@settings(deadline=None)  # the first example compiles
@given(headings, st.floats(-7, 7))
def test_both_lie_between_zero_and_one_and_do_not_see_a_rotation(θ, turn):
    for order in (polarization, nematic):
        value = order(θ)
        assert value.shape == θ.shape[:1]
        assert ((value >= 0) & (value <= 1 + 1e-14)).all()
        np.testing.assert_allclose(order(θ + turn), value, atol=1e-13)


def test_the_three_plain_cases():
    flock, opposed, cross = np.full(8, 0.3), np.tile([0.3, 0.3 + np.pi], 4), np.arange(8) * np.pi / 2
    θ = np.stack([flock, opposed, cross])
    assert polarization(θ) == pytest.approx([1, 0, 0], abs=1e-14)
    assert nematic(θ) == pytest.approx([1, 1, 0], abs=1e-14)


def test_mean_speed():
    assert mean_speed(np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.5]])) == pytest.approx([2.0, 0.5])
