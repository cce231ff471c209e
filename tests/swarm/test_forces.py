import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.errors import DataError
from emulant.systems.swarm.config import Box, MorseTable
from emulant.systems.swarm.forces import forces

TORUS, WALLS = Box(15.0, 15.0, True), Box(15.0, 15.0, False)
LAW = MorseTable(Ca=0.8, la=0.6, Cr=1.7, lr=0.3)


def strength(r, table=LAW):
    return table.Cr / table.lr * math.exp(-r / table.lr) - table.Ca / table.la * math.exp(-r / table.la)


@settings(deadline=None)  # the first example compiles
@given(st.floats(1e-3, 4), st.floats(0, 2 * math.pi))
def test_two_particles_feel_the_law_along_the_line_between_them(r, angle):
    way = r * np.array([math.cos(angle), math.sin(angle)])
    x = np.array([[7.0, 7.0] - way / 2, [7.0, 7.0] + way / 2])
    first, second = forces(x, LAW, TORUS)
    expected = strength(r) * way / r if r < 3 - 1e-9 else 0 * way
    if abs(r - 3) > 1e-9:
        np.testing.assert_allclose(second, expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(first, -second, rtol=1e-12)


def test_positive_repels_and_negative_attracts():
    left, right = np.array([5.0, 5.0]), np.array([5.2, 5.0])
    assert forces(np.stack([left, right]), LAW, TORUS)[1, 0] > 0
    right = np.array([6.5, 5.0])
    assert forces(np.stack([left, right]), LAW, TORUS)[1, 0] < 0


@pytest.mark.parametrize("N", [40, 300])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("factor", [0.5, 5.0, 16.0])  # the last: beyond half the box, each pair once
def test_forces_equal_the_sum_over_every_pair(N, periodic, factor, brute_forces):
    rng = np.random.default_rng(N)
    table = LAW.model_copy(update={"rcut_factor": factor})
    for box in (Box(15.0, 11.0, periodic), Box(8.0, 40.0, periodic)):
        x = rng.random((N, 2)) * [box.Lx, box.Ly]
        np.testing.assert_allclose(forces(x, table, box), brute_forces(x, table, box), atol=1e-11)
        np.testing.assert_allclose(forces(x, table, box).sum(0), 0, atol=1e-10)  # Newton's third law


def test_the_torus_joins_its_edges_and_walls_do_not():
    x = np.array([[0.1, 7.0], [14.9, 7.0]])
    np.testing.assert_allclose(forces(x, LAW, TORUS)[0], [strength(0.2), 0], rtol=1e-9)
    assert (forces(x, LAW, WALLS) == 0).all()


def test_coincident_particles_are_finite():
    x = np.array([[3.0, 3.0], [3.0, 3.0], [3.0 + 1e-9, 3.0]])
    assert np.isfinite(forces(x, LAW, TORUS)).all()


def test_positions_outside_the_box_are_refused():
    with pytest.raises(DataError, match="1 of 2 positions"):
        forces(np.array([[3.0, 3.0], [3.0, 15.0]]), LAW, TORUS)
