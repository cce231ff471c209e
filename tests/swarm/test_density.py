import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.errors import DataError
from emulant.systems.swarm.config import Box, DensityTable
from emulant.systems.swarm.density import density, grid


def scatter(N, box, frames=3, seed=0):
    return np.random.default_rng(seed).random((frames, N, 2)) * [box.Lx, box.Ly]


def mass(rho, table, box):
    return rho.sum(axis=(1, 2)) * box.Lx * box.Ly / (table.nx * table.ny)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(
    ("N", "nx", "ny", "bandwidth"),
    [(40, 64, 64, 2.0), (41, 48, 20, 1.2), (1, 16, 32, 3.0), (30, 20, 12, 9.0), (10, 8, 8, 8.0)],
)
def test_exact_equals_the_sum_of_kernels_and_their_images(periodic, N, nx, ny, bandwidth, brute_density):
    box, table = Box(15.0, 9.0, periodic), DensityTable(nx=nx, ny=ny, bandwidth=bandwidth)
    x = scatter(N, box)
    rho = density(x, table, box)
    assert rho.shape == (3, ny, nx)
    brute = np.array([brute_density(frame, table, box) for frame in x])
    np.testing.assert_allclose(rho, brute, rtol=0, atol=2e-14 * brute.max())
    assert abs(mass(rho, table, box) / N - 1).max() < 1e-12


def test_exact_for_the_document_to_the_last_digits(brute_density):
    box, table = Box(15.0, 15.0, True), DensityTable()
    x = scatter(40, box)
    rho, brute = density(x, table, box), np.array([brute_density(frame, table, box) for frame in x])
    assert np.linalg.norm(rho - brute) / np.linalg.norm(brute) < 2e-15
    assert (rho >= 0).all()


def test_a_kernel_given_as_a_length_is_round(brute_density):
    box, table = Box(15.0, 9.0, True), DensityTable(nx=30, ny=30, bandwidth=1.1, bandwidth_units="length")
    x = scatter(20, box, frames=1)
    np.testing.assert_allclose(density(x, table, box)[0], brute_density(x[0], table, box), atol=1e-13)


@pytest.mark.parametrize("method", ["exact", "fft"])
@pytest.mark.parametrize("periodic", [True, False])
def test_rows_are_y_and_columns_are_x(method, periodic):
    box, table = Box(20.0, 10.0, periodic), DensityTable(nx=40, ny=16, bandwidth=1.5, method=method)
    rho = density(np.array([[[15.1, 2.2]]]), table, box)[0]
    row, column = np.unravel_index(rho.argmax(), rho.shape)
    edges = grid(table, box)
    assert edges.y_edges[row] <= 2.2 < edges.y_edges[row + 1]
    assert edges.x_edges[column] <= 15.1 < edges.x_edges[column + 1]


@settings(max_examples=25, deadline=None)  # the first example compiles
@given(st.integers(0, 20), st.integers(0, 15), st.sampled_from(["exact", "fft"]))
def test_a_shift_by_whole_cells_rolls_the_field(columns, rows, method):
    box, table = Box(20.0, 10.0, True), DensityTable(nx=20, ny=16, bandwidth=2.0, method=method)
    x = scatter(30, box, frames=1)
    shifted = (x + np.array([columns * 1.0, rows * 10 / 16])) % [box.Lx, box.Ly]
    rolled = np.roll(density(x, table, box), (rows, columns), axis=(1, 2))
    np.testing.assert_allclose(density(shifted, table, box), rolled, atol=1e-12)


@pytest.mark.parametrize("method", ["exact", "fft"])
def test_walls_give_back_what_a_torus_passes_on(method):
    table = DensityTable(nx=30, ny=30, bandwidth=2.0, method=method)
    x = np.array([[[0.2, 5.0]]])
    torus, walls = (density(x, table, Box(10.0, 10.0, periodic))[0] for periodic in (True, False))
    assert torus[:, -1].max() > 0.1 * torus.max()
    assert walls[:, -1].max() < 0.01 * walls.max()
    assert mass(walls[None], table, Box(10.0, 10.0, False)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(("N", "bandwidth"), [(1001, 1.5), (5000, 2.0), (5000, 6.0)])
def test_many_particles_are_spread_on_the_grid_within_a_percent(periodic, N, bandwidth):
    box = Box(15.0, 10.0, periodic)
    table = DensityTable(nx=64, ny=40, bandwidth=bandwidth)
    exact = table.model_copy(update={"method": "exact"})
    x = scatter(N, box, frames=2)
    x[1] = np.random.default_rng(1).normal(0.5, 0.06, (N, 2)) * [box.Lx, box.Ly]  # a flock, and emptiness
    spread, summed = density(x, table, box), density(x, exact, box)
    error = np.linalg.norm(spread - summed, axis=(1, 2)) / np.linalg.norm(summed, axis=(1, 2))
    assert (error > 1e-7).all()  # it is the other method
    assert (error < 0.01).all()
    assert abs(mass(spread, table, box) / N - 1).max() < 1e-12
    assert (spread >= 0).all()


@pytest.mark.parametrize(("N", "bandwidth"), [(1000, 2.0), (1001, 1.49)])
def test_few_particles_and_narrow_kernels_are_summed(N, bandwidth):
    box, table = Box(15.0, 15.0, True), DensityTable(nx=32, ny=32, bandwidth=bandwidth)
    exact = table.model_copy(update={"method": "exact"})
    x = scatter(N, box, frames=1)
    np.testing.assert_array_equal(density(x, table, box), density(x, exact, box))


@pytest.mark.parametrize("bandwidth", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("N", [1, 40])
def test_a_narrow_kernel_still_conserves_mass(bandwidth, N):
    box, table = Box(15.0, 15.0, True), DensityTable(nx=32, ny=32, bandwidth=bandwidth)
    corner = np.full((1, N, 2), 15 / 32)  # as far from the cell centres as can be
    for x in (scatter(N, box), corner):
        assert abs(mass(density(x, table, box), table, box) / N - 1).max() < 1e-12


def test_frames_do_not_depend_on_their_neighbours():
    box, table = Box(15.0, 15.0, True), DensityTable()
    x = scatter(40, box, frames=5)
    together = density(x, table, box)
    apart = np.concatenate([density(frame[None], table, box) for frame in x])
    assert together.tobytes() == apart.tobytes()


def test_the_grid():
    g = grid(DensityTable(nx=4, ny=5), Box(8.0, 10.0, True))
    np.testing.assert_array_equal(g.x_edges, [0, 2, 4, 6, 8])
    np.testing.assert_array_equal(g.y_edges, [0, 2, 4, 6, 8, 10])
    np.testing.assert_array_equal(g.extent, [0, 8, 0, 10])


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 15.0])
def test_positions_outside_the_box_are_refused(wrong):
    box = Box(15.0, 15.0, True)
    x = scatter(4, box)
    x[1, 2, 1] = wrong
    with pytest.raises(DataError, match="1 of 12 positions"):
        density(x, DensityTable(), box)
