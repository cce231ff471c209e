import numpy as np
import pytest
from scipy import fft

from emulant.systems.halos import mesh
from emulant.systems.halos.cosmology import Cosmology
from emulant.systems.halos.gravity import Lattice, evolve, lagrangian, overdensity

FIDUCIAL = Cosmology(0.3, 0.049, 0.6711, 0.8, 0.9624)


def plane_wave(lattice, amplitude):
    """Transform of an overdensity cos(2 pi x / L)."""
    x = np.arange(lattice.n) / lattice.n
    wave = np.broadcast_to(np.cos(2 * np.pi * x)[:, None, None], (lattice.n,) * 3)
    return fft.rfftn(amplitude * wave).astype(np.complex64)


def phases(lattice):
    """(n³, 3) of the longest waves at the lattice points."""
    line = 2 * np.pi * np.arange(lattice.n) / lattice.n
    return np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)


def test_a_plane_wave_moves_particles_as_its_closed_form_and_has_no_second_order():
    lattice = Lattice(16, 100.0)

    first, second = lagrangian(lattice, plane_wave(lattice, 0.1))

    expected = -0.1 * np.sin(phases(lattice)[:, 0]) / (2 * np.pi / 100)
    assert np.abs(first[:, 0] - expected).max() < 1e-4 * np.abs(expected).max()
    assert np.abs(first[:, 1:]).max() < 1e-5
    assert np.abs(second).max() < 1e-5


def test_second_order_of_two_crossed_waves_is_its_closed_form():
    """delta = A (cos kx + cos ky): S = A² cos kx cos ky, so psi2 = -(3/14) A²/k (sin kx cos ky, cos kx sin ky, 0)."""
    lattice, amplitude = Lattice(16, 100.0), 0.2
    wave = plane_wave(lattice, amplitude)
    both = wave + fft.rfftn(np.swapaxes(fft.irfftn(wave, s=(16,) * 3), 0, 1))

    _, second = lagrangian(lattice, both.astype(np.complex64))

    k = 2 * np.pi / 100
    x, y, _ = phases(lattice).T
    size = 3 / 14 * amplitude**2 / k
    assert np.abs(second[:, 0] + size * np.sin(x) * np.cos(y)).max() < 1e-3 * size
    assert np.abs(second[:, 1] + size * np.cos(x) * np.sin(y)).max() < 1e-3 * size
    assert np.abs(second[:, 2]).max() < 1e-3 * size


@pytest.mark.parametrize("steps", [5, 20])
def test_a_small_wave_grows_as_linear_theory_says_whatever_the_number_of_steps(steps):
    lattice, amplitude = Lattice(16, 400.0), 0.02

    moved = evolve(lattice, FIDUCIAL, plane_wave(lattice, amplitude), steps=steps) - lattice.sites

    moved -= 400 * np.rint(moved / 400)
    expected = -amplitude * np.sin(phases(lattice)[:, 0]) / (2 * np.pi / 400)
    assert np.abs(moved[:, 0] - expected).max() < 0.01 * np.abs(expected).max()


def test_the_power_of_initial_conditions_is_the_one_asked_for():
    lattice = Lattice(32, 200.0)
    rng = np.random.default_rng(1)

    fixed = np.abs(overdensity(lattice, FIDUCIAL, rng, fixed=True)) ** 2 * 200**3 / 32**6
    free = np.abs(overdensity(lattice, FIDUCIAL, rng)) ** 2 * 200**3 / 32**6

    k = np.sqrt(lattice.k_squared())
    expected = FIDUCIAL.linear_power(k.ravel()).reshape(k.shape)
    inside = k < 0.4
    inside[0, 0, 0] = False
    assert np.allclose(fixed[inside], expected[inside], rtol=5e-3)
    assert np.mean(free[inside] / expected[inside]) == pytest.approx(1, abs=0.05)


def test_depositing_conserves_mass_and_the_mean_position():
    rng = np.random.default_rng(0)
    positions = rng.uniform(2, 8, (500, 3)).astype(np.float32)
    grid = np.zeros((10, 10, 10), np.float64)

    mesh.deposit(positions, grid, 1.0)

    assert grid.sum() == pytest.approx(500)
    nodes = np.stack(np.meshgrid(*[np.arange(10.0)] * 3, indexing="ij"), -1)
    assert np.allclose((grid[..., None] * nodes).sum((0, 1, 2)) / 500, positions.mean(0), atol=1e-5)


def test_refined_particles_are_the_lattice_itself_where_nothing_moves_and_keep_the_flow():
    n, size = 8, 16.0
    still, moved = np.zeros((n, n, n, 3), np.float32), np.full((n, n, n, 3), 1.25, np.float32)
    fine = np.empty((n**3 * 8, 3), np.float32)

    mesh.refine(still, 2, size, fine)

    lines = np.unique(np.round(fine[:, 0], 5))
    assert np.allclose(np.diff(lines), size / n / 2)
    assert len(np.unique(np.round(fine, 4), axis=0)) == len(fine)
    assert (fine >= 0).all()
    assert (fine < size).all()
    carried = np.empty_like(fine)
    mesh.refine(moved, 2, size, carried)
    assert np.allclose((carried - fine - 1.25 + 8) % 16 - 8, 0, atol=1e-5)


@pytest.mark.soak
def test_large_scales_grow_as_linear_theory_says():
    """P / P_linear within 3 % for k < .1 h/Mpc at z = 2, boxes of 400 Mpc/h with fixed amplitudes."""
    lattice, ratios = Lattice(128, 400.0), []
    k = np.sqrt(lattice.k_squared())
    for seed in range(4):
        delta = overdensity(lattice, FIDUCIAL, np.random.default_rng(seed), fixed=True)
        positions = evolve(lattice, FIDUCIAL, delta, steps=30, end=1 / 3)
        counts = np.zeros((128,) * 3, np.float32)
        mesh.deposit(positions, counts, 400 / 128)
        power = np.abs(fft.rfftn(counts / counts.mean())) ** 2 * 400**3 / 128**6
        for axis in range(3):
            window = np.sinc(fft.rfftfreq(128) if axis == 2 else fft.fftfreq(128)) ** 4
            power /= window.reshape([-1 if other == axis else 1 for other in range(3)])
        linear = FIDUCIAL.linear_power(k.ravel()).reshape(k.shape) * FIDUCIAL.growth(1 / 3) ** 2
        linear[0, 0, 0] = np.inf
        bands = np.digitize(k, [0.02, 0.04, 0.06, 0.08, 0.1])
        ratios.append([np.mean((power / linear)[bands == band]) for band in range(1, 5)])

    assert np.abs(np.mean(ratios, axis=0) - 1).max() < 0.03
