import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulant.errors import DataError
from emulant.systems.swarm.config import Box
from emulant.systems.swarm.initial import unit_vectors
from emulant.systems.swarm.neighbours import cells_for, fold, neighbour_sums, pair_sums, sum_within, within

RATIOS = (1.0, 1.4, 1.9, 2.0, 2.5, 2.999, 3.0, 3.001, 3.7, 4.0, 5.5, 10.0, 23.0, 50.0)


def scatter(N, box, rng, clustered=False):
    x = rng.normal(0.02, 0.06, (N, 2)) % 1 if clustered else rng.random((N, 2))
    return x * [box.Lx, box.Ly]


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("shape", [1.0, 3.3])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(("N", "clustered"), [(40, False), (300, False), (300, True)])
def test_sums_equal_the_sum_over_every_pair(ratio, shape, periodic, N, clustered, brute_sums):
    rng = np.random.default_rng(N)
    for box in (Box(ratio * shape, ratio, periodic), Box(ratio, ratio * shape, periodic)):
        x = scatter(N, box, rng, clustered)
        values = np.stack([np.ones(N), rng.normal(size=N)], 1)
        sums, brute = neighbour_sums(x, values, 1.0, box), brute_sums(x, values, 1.0, box)
        np.testing.assert_array_equal(sums[:, 0], brute[:, 0])  # the number of neighbours: none missed, none twice
        np.testing.assert_allclose(sums[:, 1], brute[:, 1], atol=1e-12)


def test_cells_as_wide_as_the_reach_and_particles_far_apart(brute_sums):
    rng = np.random.default_rng(5)
    box = Box(500.0, 400.0, True)  # fewer cells than the reach would allow, for there are few particles
    x = scatter(200, box, rng)
    ones = np.ones((200, 2))
    np.testing.assert_array_equal(neighbour_sums(x, ones, 30.0, box), brute_sums(x, ones, 30.0, box))
    np.testing.assert_array_equal(neighbour_sums(x, ones, 1.0, box), brute_sums(x, ones, 1.0, box))


@pytest.mark.parametrize("side", [4, 12, 16, 24])
@pytest.mark.parametrize("radius", [0.5, 0.75, 3.0])
def test_the_radius_is_inclusive(side, radius):
    """On a square lattice with spacing R each particle has four neighbours, at exactly R, also around the edge."""
    i, k = np.meshgrid(np.arange(side), np.arange(side))
    x = np.stack([i.ravel(), k.ravel()], 1) * radius
    box = Box(side * radius, side * radius, True)
    assert (neighbour_sums(x, np.ones_like(x), radius, box) == 5).all()
    walls = neighbour_sums(x, np.ones_like(x), radius, box._replace(periodic=False))[:, 0]
    assert sorted(set(walls)) == [3, 4, 5]
    assert (walls == 3).sum() == 4


def test_beyond_half_the_box_everyone_counts_once():
    box = Box(2.0, 2.0, True)
    x = scatter(50, box, np.random.default_rng(0))
    assert (neighbour_sums(x, np.ones((50, 2)), 1.5, box) == 50).all()


@pytest.mark.parametrize(("N", "L"), [(60, 6.0), (500, 20.0), (500, 5.0), (500, 2.5)])
def test_sums_do_not_depend_on_the_order_in_memory(N, L):
    rng, box = np.random.default_rng(1), Box(L, L, True)
    x, y = scatter(N, box, rng).T.copy()
    a, b = unit_vectors(rng.uniform(0, 6, N)).T.copy()
    results = []
    for order in (np.arange(N), rng.permutation(N), np.arange(N)[::-1]):
        p, q, sums = np.empty(N), np.empty(N), np.empty((2, N))
        arrays = (np.ascontiguousarray(array[order]) for array in (x, y, a, b, np.arange(N)))
        sum_within(1.0, *arrays, box, cells_for(N, 1.0, box), p, q)
        sums[:, order] = p, q
        results.append(sums.tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(("Lx", "Ly"), [(60.0, 45.0), (900.0, 3.5), (3.5, 900.0), (70.0, 0.5)])
def test_rows_with_more_cells_than_particles(Lx, Ly, periodic, brute_sums):
    """Particles that are summed together lie many columns apart here, or on both edges of the torus."""
    rng, box = np.random.default_rng(3), Box(Lx, Ly, periodic)
    for x in (scatter(300, box, rng), scatter(300, box, rng) * [0.05, 1.0], scatter(300, box, rng) ** 2 / [Lx, Ly]):
        values = np.stack([np.ones(300), rng.normal(size=300)], 1)
        sums, brute = neighbour_sums(x, values, 1.0, box), brute_sums(x, values, 1.0, box)
        np.testing.assert_array_equal(sums[:, 0], brute[:, 0])
        np.testing.assert_allclose(sums[:, 1], brute[:, 1], atol=1e-12)


@pytest.mark.parametrize(("L", "periodic"), [(20.0, True), (20.0, False), (6.0, True)])
def test_a_particle_out_of_reach_does_not_change_a_bit(L, periodic):
    """Who is summed together with whom changes with each move; the sums do not."""
    rng, box = np.random.default_rng(4), Box(L, L, periodic)
    x, values = scatter(300, box, rng), rng.normal(size=(300, 2))
    before = neighbour_sums(x, values, 1.0, box)
    for mover in range(0, 300, 15):
        moved = x.copy()
        moved[mover] = rng.random(2) * L
        only = np.zeros((300, 2))
        only[mover] = 1.0
        touched = neighbour_sums(x, only, 1.0, box) + neighbour_sums(moved, only, 1.0, box)
        far = touched[:, 0] == 0
        assert far.sum() > 200
        assert neighbour_sums(moved, values, 1.0, box)[far].tobytes() == before[far].tobytes()


@pytest.mark.parametrize("group", [1, 1000])
def test_how_many_are_taken_abreast_does_not_change_a_bit(group):
    other, rng = pair_sums(within, group), np.random.default_rng(6)
    for box in (Box(20.0, 9.0, True), Box(20.0, 9.0, False), Box(3.2, 3.2, True)):
        x, y = scatter(400, box, rng).T.copy()
        a, b = rng.normal(size=(2, 400))
        results = []
        for sums in (sum_within, other):
            p, q = np.empty((2, 400))
            sums(1.0, x, y, a, b, np.arange(400), box, cells_for(400, 1.0, box), p, q)
            results.append(p.tobytes() + q.tobytes())
        assert results[0] == results[1]


positions_and_lengths = st.tuples(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))


@settings(deadline=None)  # the first example compiles
@given(positions_and_lengths)
@example((-1e-20, 15.0))
@example((223.2, 12.4))  # the quotient rounds up to 18, an even number of boxes, and the remainder is negative
@example((15.0, 15.0))
@example((-15.0, 15.0))
@example((np.nextafter(15.0, 0), 15.0))
@example((-np.nextafter(0, 1), 0.1))
def test_folding_lands_in_the_box(case):
    x, L = case
    wrapped, keep = fold(x, L, True)
    assert 0 <= wrapped < L
    assert keep == 1
    turns = (x - wrapped) / L
    assert turns == pytest.approx(round(turns), abs=1e-6)
    mirrored, flip = fold(x, L, False)
    assert 0 <= mirrored < L
    assert flip in (-1, 1)
    turns = (x - flip * mirrored) / (2 * L)  # images of x are x + 2mL and -x + 2mL
    assert turns == pytest.approx(round(turns), abs=1e-6)


def test_a_wall_turns_the_heading_only_of_what_hits_it():
    assert fold(3.0, 15.0, False) == (3.0, 1.0)
    assert fold(-0.25, 15.0, False) == (0.25, -1.0)
    assert fold(15.25, 15.0, False) == (14.75, -1.0)
    assert fold(30.25, 15.0, False) == (0.25, 1.0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.1, 10.0])
def test_positions_outside_the_box_are_refused(wrong):
    x = np.full((3, 2), 5.0)
    x[1, 0] = wrong
    with pytest.raises(DataError, match="1 of 3 positions"):
        neighbour_sums(x, x, 1.0, Box(10.0, 20.0, True))
