"""What the embedded boxes are worth: figures over an ensemble, against oracles. Minutes."""

import numpy as np
import pytest
from scipy import fft

from emulant.systems.halos import mesh
from emulant.systems.halos.baryons import Astrophysics, baryonify
from emulant.systems.halos.catalogue import find
from emulant.systems.halos.cosmology import Cosmology
from emulant.systems.halos.gravity import Lattice, evolve, overdensity

pytestmark = pytest.mark.soak

SIZE, PARTICLES, MESH, BOXES = 50.0, 64, 256, 8
WIDE, PHASES = 400.0, 4
FIDUCIAL = Cosmology(0.3, 0.049, 0.6711, 0.8, 0.9624)
EDGES = [0.1, 0.3, 0.5, 0.8, 1.3, 2.0, 3.0, 4.5, 7.0]


def box(seed):
    """(sharpened positions, catalogue) of a box with fixed amplitudes."""
    lattice = Lattice(PARTICLES, SIZE)
    delta = overdensity(lattice, FIDUCIAL, np.random.default_rng(seed), fixed=True)
    coarse = evolve(lattice, FIDUCIAL, delta, steps=30)
    fine = coarse.copy()
    mass = FIDUCIAL.matter_density * SIZE**3 / len(fine)
    return fine, find(coarse, fine, mass, SIZE, FIDUCIAL.matter_density, 0, seed)


@pytest.fixture(scope="module")
def boxes():
    return [box(seed) for seed in range(BOXES)]


def power(*weighted):
    """Band powers of several sets of particles, each with a weight."""
    total = np.zeros((MESH,) * 3, np.float32)
    for positions, weight in weighted:
        counts = np.zeros_like(total)
        mesh.deposit(positions, counts, SIZE / MESH)
        total += weight * counts
    k = np.sqrt(Lattice(MESH, SIZE).k_squared())
    bands = np.digitize(k, EDGES).ravel()
    sums = np.bincount(bands, (np.abs(fft.rfftn(total)) ** 2).ravel(), len(EDGES) + 1)
    return sums[1 : len(EDGES)]


def suppression(fine, catalogue, seed, **strength):
    share = FIDUCIAL.baryon_fraction
    made = baryonify(fine, catalogue, SIZE, share, Astrophysics(**strength), 0, seed)
    return power((made.dm, 1 - share), (made.gas, share)) / power((fine, 1.0))


def grown(end):
    """Power at `end` over the linear power of today, in bands up to k = 0.1 h/Mpc; boxes of 400 Mpc/h, each with one of
    the opposite phases, so that their odd terms cancel."""
    lattice, edges = Lattice(PARTICLES, WIDE), np.array([0.015, 0.04, 0.07, 0.1])
    k = np.sqrt(lattice.k_squared())
    bands, ratios = np.digitize(k, edges), []
    for seed in range(PHASES):
        linear = overdensity(lattice, FIDUCIAL, np.random.default_rng(seed), fixed=True)
        for delta in (linear, -linear):
            counts = np.zeros((2 * PARTICLES,) * 3, np.float32)
            moved = evolve(lattice, FIDUCIAL, delta.copy(), steps=30, end=end)
            mesh.deposit(moved, counts, WIDE / (2 * PARTICLES))
            found = np.abs(low_waves(fft.rfftn(counts))) ** 2 / window(2 * PARTICLES) ** 2
            measured, wanted = (np.bincount(bands.ravel(), p.ravel())[1:4] for p in (found, np.abs(linear) ** 2))
            ratios.append(measured / wanted)
    return edges, np.mean(ratios, axis=0)


def low_waves(transform):
    """The waves of a mesh of PARTICLES nodes a side, from the transform of one twice as fine."""
    half = PARTICLES // 2
    rows = np.r_[0:half, -half:0]
    return transform[rows][:, rows][:, :, : half + 1]


def window(n):
    """Cloud in cell at the waves of `low_waves`."""
    x = np.sinc(np.fft.fftfreq(PARTICLES, 1 / PARTICLES) / n) ** 2
    z = np.sinc(np.arange(PARTICLES // 2 + 1) / n) ** 2
    return x[:, None, None] * x[None, :, None] * z


def test_large_scales_grow_as_linear_theory_says_until_z_2():
    """Within 3 % below k = 0.1 h/Mpc."""
    a = 1 / 3
    _, ratio = grown(a)
    assert ratio / FIDUCIAL.growth(a) ** 2 == pytest.approx(1, abs=0.03)


def test_large_scales_today_are_those_of_hmcode():
    """Within 5 % of HMcode2020 (Mead et al. 2021), which itself dips to 0.96 of linear power at k = 0.07 h/Mpc."""
    edges, ratio = grown(1.0)
    k, linear, nonlinear = hmcode()
    middles = np.sqrt(edges[1:] * edges[:-1])
    expected = np.interp(middles, k, nonlinear / linear)
    assert ratio / expected == pytest.approx(1, abs=0.05)


def hmcode():
    """k, and linear and nonlinear power of today at it."""
    camb = pytest.importorskip("camb")
    usual = {
        "H0": 100 * FIDUCIAL.h,
        "ombh2": FIDUCIAL.Omega_b * FIDUCIAL.h**2,
        "omch2": (FIDUCIAL.Omega_m - FIDUCIAL.Omega_b) * FIDUCIAL.h**2,
        "ns": FIDUCIAL.n_s,
        "mnu": 0,
        "num_massive_neutrinos": 0,
        "WantTransfer": True,
    }
    guess = camb.set_params(As=2e-9, **usual)
    guess.set_matter_power(redshifts=[0.0], kmax=20)
    sigma8 = camb.get_results(guess).get_sigma8_0()
    scaled = camb.set_params(As=2e-9 * (FIDUCIAL.sigma8 / sigma8) ** 2, **usual)
    scaled.set_matter_power(redshifts=[0.0], kmax=20)
    scaled.NonLinear = camb.model.NonLinear_both
    scaled.NonLinearModel.set_params(halofit_version="mead2020")
    results = camb.get_results(scaled)
    k, _, nonlinear = results.get_nonlinear_matter_power_spectrum(hubble_units=True, k_hunit=True)
    _, _, linear = results.get_linear_matter_power_spectrum(hubble_units=True, k_hunit=True)
    return k, linear[0], nonlinear[0]


def test_there_are_as_many_massive_halos_as_there_should_be(boxes):
    """Within 15 % of Tinker et al. (2008) above 1e13 Msun/h in M200c."""
    cosmology = pytest.importorskip("colossus.cosmology.cosmology")
    mass_function = pytest.importorskip("colossus.lss.mass_function")
    cosmology.setCosmology(
        "emulant", flat=True, H0=67.11, Om0=0.3, Ob0=0.049, sigma8=0.8, ns=0.9624, persistence="", relspecies=False
    )
    masses = np.geomspace(1e13, 1e16, 400)
    density = mass_function.massFunction(masses, 0.0, mdef="200c", model="tinker08", q_out="dndlnM")
    expected = np.trapezoid(density, np.log(masses)) * SIZE**3

    found = np.mean([(catalogue.halos.m200c > 1e13).sum() for _, catalogue in boxes])

    assert found == pytest.approx(expected, rel=0.15)


def test_baryons_suppress_power_on_small_scales_only_and_feedback_acts_one_way(boxes):
    for seed, (fine, catalogue) in enumerate(boxes):
        usual = suppression(fine, catalogue, seed)
        assert np.abs(usual[:2] - 1).max() < 0.01
        assert 0.7 < usual[-1] < 0.92
        for name, strengths in {
            "A_SN1": (0.25, 1, 4),
            "A_AGN1": (0.25, 1, 4),
            "A_SN2": (0.5, 1, 2),
            "A_AGN2": (0.5, 1, 2),
        }.items():
            at_five = [suppression(fine, catalogue, seed, **{name: strength})[-1] for strength in strengths]
            assert at_five == sorted(at_five, reverse=True), name
